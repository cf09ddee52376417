"""The test data of mail libraries, read from their source packages (``make vectors``).

Nothing of a package is run: files are read from the archive, and what a test of theirs holds as a
literal is read from its syntax tree.
"""

import ast
import os
import sys
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(sys.prefix) / "vectors"


class Library:
    """One source package: ``name`` with its version, ``tests`` the folder of its tests."""

    def __init__(self, name: str, tests: str) -> None:
        self.name = name
        self._tests = f"{name}/{tests}"

    def file(self, name: str) -> bytes:
        """A file of the tests; skips the test where the package is not to be had."""
        return self.files()[name]

    def literals(self, name: str, function: str) -> dict[str, Any]:
        """What one function of a test module assigns outright, by variable.

        A string that is handed to a function at once counts as assigned.
        """
        for node in ast.walk(ast.parse(self.file(name))):
            if isinstance(node, ast.FunctionDef) and node.name == function:
                return _assigned(node)
        raise LookupError(f"{self.name} has no {function} in {name}")

    def files(self) -> dict[str, bytes]:
        """Every file of the tests, by its name."""
        path = FOLDER / f"{self.name}.tar.gz"
        if path.is_file():
            return _read(path, self._tests)
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is missing; under CI nothing is skipped")
        pytest.skip(f"needs the source package {self.name}: make vectors")


@cache
def _read(path: Path, folder: str) -> dict[str, bytes]:
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            opened = archive.extractfile(member) if member.name.startswith(folder) else None
            if opened:
                found[member.name.removeprefix(folder).lstrip("/")] = opened.read()
    return found


def _assigned(function: ast.FunctionDef) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        value = node.value
        if isinstance(value, ast.Call) and len(value.args) == 1:
            value = value.args[0]
        try:
            found[node.targets[0].id] = ast.literal_eval(value)
        except ValueError:
            found |= _table(node.targets[0].id, node.value)
    return found


def _table(name: str, value: ast.expr) -> dict[str, Any]:
    """A dictionary of which only some values are literals: those."""
    if not isinstance(value, ast.Dict):
        return {}
    literals = {}
    for key, each in zip(value.keys, value.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(each, ast.Constant):
            literals[key.value] = each.value
    return {name: literals}


DKIMPY = Library("dkimpy-1.1.8", "dkim/tests")
AUTHHEADERS = Library("authheaders-0.16.3", "authheaders/test")
MAILMAN = Library("mailman-3.3.10", "src/mailman/handlers/tests")
