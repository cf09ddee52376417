"""Programs of the distribution that tests run beside the broker."""

import os
import shutil

import pytest


def program(name: str) -> str:
    """Where a program is. Skips the test where there is none; under CI it fails instead."""
    # Daemons live where an ordinary user's PATH does not look.
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing; tests/install-packages installs it")
        pytest.skip(f"needs {name}")
    return found
