"""A page of a list: its rows, where it goes on, and the filters in its address."""

from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

Row = TypeVar("Row")


class Listing(NamedTuple, Generic[Row]):
    """Rows, and the addresses of the first page and of the next; empty where there is none."""

    rows: Sequence[Row]
    first: str
    next: str


def listing(
    rows: Sequence[Row], path: str, filters: Mapping[str, str], *, after: str | None, to: str | None
) -> Listing[Row]:
    """A page that was asked for ``after`` a row and goes on ``to`` another."""
    first = address(path, filters)
    return Listing(
        rows,
        first if after else "",
        address(path, {**filters, "after": to}) if to else "",
    )


def address(path: str, filters: Mapping[str, str]) -> str:
    """A path with those filters that say something."""
    said = {name: value for name, value in filters.items() if value}
    return f"{path}?{urlencode(said)}" if said else path
