"""How far a consumer's digests have come, and the one that is being written."""

from datetime import datetime

import msgspec


class Standing(msgspec.Struct, frozen=True):
    """All up to ``since`` was in a digest; ``planned`` is when the next one is due.

    ``seen`` are entries of the last minute before ``since``: others of that minute may have been
    committed after it. ``name`` is the id of a digest that is on its way, of what came up to
    ``until``; empty where none is. ``kept`` are digests in the letterbox, of which none speaks.
    """

    since: datetime
    planned: datetime | None = None
    seen: tuple[str, ...] = ()
    name: str = ""
    until: datetime | None = None
    attempts: int = 0
    kept: tuple[str, ...] = ()
    #: When the last one was sent, and where to; empty: into the letterbox itself.
    last: datetime | None = None
    to: str = ""
