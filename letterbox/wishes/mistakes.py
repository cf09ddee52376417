"""What is wrong with preferences, said by the place and with what can stand there."""

from collections.abc import Iterator
from datetime import date
from typing import Final

import msgspec

_LONGEST_SHOWN: Final = 60


class Mistake(msgspec.Struct, frozen=True):
    """One thing wrong. ``path`` names the field, such as ``window[0].until``."""

    path: str
    mistake: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.path}: {self.mistake}; allowed: {self.allowed}"


def in_order(path: str, start: date | None, end: date | None) -> Iterator[Mistake]:
    """What is wrong where an end comes before its start."""
    if start is not None and end is not None and end < start:
        yield Mistake(path=path, mistake=f"{end} is before {start}", allowed=f"{start} or later")


def unique(path: str, key: str, what: str, seen: set[str]) -> Iterator[Mistake]:
    """What is wrong where a key stands among those that were ``seen``; it is one of them then."""
    if key in seen:
        yield Mistake(
            path=path, mistake=f"the {what} {key} stands here twice", allowed="each one once"
        )
    seen.add(key)


def no_address(path: str, text: str) -> Mistake:
    """What is wrong with a text that is no mail address."""
    return Mistake(
        path=path,
        mistake=f"{quoted(text)} is no mail address",
        allowed="an address such as anna@letterbox.example",
    )


def no_vendor(path: str, text: str) -> Mistake:
    """What is wrong with a name that names nobody."""
    return Mistake(
        path=path, mistake=f"{text!r} names nobody", allowed="a vendor's id, or its domain"
    )


def too_many(path: str, most: int) -> Mistake:
    """What is wrong where there are more than ``most``."""
    return Mistake(path=path, mistake="too many", allowed=f"at most {most:,}")


def quoted(text: str) -> str:
    """A text in quotes, as much of it as finds it again."""
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")
