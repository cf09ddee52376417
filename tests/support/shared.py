"""Real mail and public test vectors, kept beside the repository and not in it."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("LETTERBOX_SHARED", Path(__file__).parents[3] / "shared"))


def shared(name: str) -> Path:
    """A folder or file of the shared data; skips the test where a stranger's clone has none."""
    path = SHARED / name
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is missing; under CI nothing is skipped")
        pytest.skip(f"needs {path}; set LETTERBOX_SHARED to the folder that holds it")
    return path


def real_mail() -> list[Path]:
    """Every mail of the shared collection; empty where there is none."""
    return sorted((SHARED / "mail").glob("*/*.eml"))
