"""How far the handing on of one message has come."""

from datetime import datetime
from typing import Final, Literal

import msgspec

#: It is ``owed`` and not done yet; ``done``: the next server has taken it. It stays here alone
#: where it ``failed``, or was ``bounced`` after it had been taken.
OnwardState = Literal["owed", "done", "failed", "bounced"]

#: Why it stays here: the mailbox is ``unconfirmed``, the operator keeps no mailbox server
#: (``no-server``), the next server ``refused`` it or could not take it in time (``expired``), or
#: the message is not whole any more (``gone``).
OnwardWhy = Literal["", "unconfirmed", "no-server", "refused", "expired", "gone"]


class HandingOn(msgspec.Struct, frozen=True):
    """The handing on of one entry of an inbox.

    ``to`` is as in :class:`letterbox.model.preferences.OnwardRule`, ``since`` when it came to be
    owed, ``at`` when it last changed, and ``next`` when it is tried again. ``detail`` is what the
    next server said, safe to show. ``name`` is what it may come back by.
    """

    to: str
    since: datetime
    state: OnwardState = "owed"
    why: OnwardWhy = ""
    detail: str = ""
    at: datetime | None = None
    next: datetime | None = None
    attempts: int = 0
    name: str = ""

    @property
    def stuck(self) -> bool:
        """Whether there is something for its consumer to look at."""
        return self.state in STUCK or (self.state == "owed" and self.next is not None)


STUCK: Final = frozenset({"failed", "bounced"})
