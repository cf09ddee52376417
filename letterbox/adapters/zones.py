"""The time zones of the IANA database, as the machine or the tzdata package has it."""

from datetime import tzinfo
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

#: What lies among the zones and is none: the machine's own time, and what stands in for no zone.
_NO_ZONES: Final = frozenset({"Factory", "localtime", "posixrules"})


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo | None:
    """A time zone of the IANA database; None for a name it has not.

    A file that the machine keeps beside them (``localtime``, ``right/…``) is none: what it says
    is another thing on another machine.
    """
    if name not in zones():
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@cache
def zones() -> frozenset[str]:
    """The names of all time zones; the database is looked through once, when first asked."""
    return frozenset(
        name
        for name in available_timezones() - _NO_ZONES
        if not name.startswith(("posix/", "right/"))
    )
