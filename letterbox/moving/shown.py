"""What was moved, as people read it on a terminal."""

from collections.abc import Mapping

from letterbox.moving.copy import Copied
from letterbox.ports.copying import Seal, Tally


def copied_lines(copied: Copied) -> list[str]:
    """What a migration has done, and what is to be done next."""
    return [
        f"copied {copied.source} to {copied.target}"
        + (", going on where it was interrupted" if copied.resumed else ""),
        *_rows(copied.rows, copied.gone),
        *_outside(copied.outside, "they stay where they are: leave bodies.url as it is"),
        "both were read again, counted and hashed: they are equal",
        f"next: set store.url to {copied.target} and start letterbox serve",
        "keep the old store until you have seen the new one at work; never serve both",
    ]


def backup_lines(seal: Seal, file: str) -> list[str]:
    """What a backup holds."""
    return [
        f"{file} holds {seal.source} as it was at {seal.begun:%Y-%m-%dT%H:%M:%SZ}",
        *_rows(seal.tallies, seal.gone),
        *_outside(seal.outside, "they are not in this file: copy the place of bodies.url after it"),
        "it was read again, counted and hashed: it is whole",
    ]


def restored_lines(copied: Copied) -> list[str]:
    """What was restored."""
    return [
        f"restored {copied.target}"
        + (", going on where it was interrupted" if copied.resumed else ""),
        *_rows(copied.rows, copied.gone),
        *_outside(copied.outside, "they are not in a backup: bodies.url must lead to them"),
        "it was read again, counted and hashed: it is what the backup holds",
        "next: start letterbox serve",
    ]


def _rows(tallies: Mapping[str, Tally], gone: int) -> list[str]:
    lines = [f"{tally.count:12,} {name}" for name, tally in tallies.items()]
    if gone:
        lines.append(f"{gone:12,} bodies left out: their files were gone")
    return lines


def _outside(bodies: int, where: str) -> list[str]:
    """A word on bodies that are kept outside the store."""
    return [f"{bodies:12,} of the bodies lie outside the store: {where}"] if bodies else []
