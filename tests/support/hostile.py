"""Hostile HTML, as a table."""

from pathlib import Path

_TABLE = Path(__file__).parents[1] / "cases" / "xss.txt"


def shapes() -> list[str]:
    """Every shape of the table."""
    lines = _TABLE.read_text().split("\n")
    return [
        line.replace("\\n", "\n").replace("\\0", "\0")
        for line in lines
        if line and not line.startswith("#")
    ]
