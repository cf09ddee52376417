"""Where a consumer is given notice: a webhook, a topic of ntfy, or a browser (Web Push)."""

from datetime import datetime
from typing import Final, Literal

import msgspec

#: Companies and subjects of one notice.
MOST_TOLD: Final = 5
ChannelKind = Literal["webhook", "ntfy", "push"]
#: Why a channel is called no more: it is ``gone`` (404, 410), or nothing has arrived for days.
ChannelOff = Literal["gone", "failing"]


class Channel(msgspec.Struct, frozen=True):
    """One channel. ``secret`` signs what a webhook is sent, ``token`` opens a topic of ntfy.

    ``key`` and ``auth`` are those of a browser (RFC 8291). ``last`` is when something arrived,
    ``failing`` since when nothing has, ``detail`` why.
    """

    id: str
    kind: ChannelKind
    url: str
    at: datetime
    label: str = ""
    secret: bytes = b""
    token: str = ""
    key: bytes = b""
    auth: bytes = b""
    last: datetime | None = None
    failing: datetime | None = None
    detail: str = ""
    off: ChannelOff | None = None

    def __repr__(self) -> str:
        return f"Channel(id={self.id!r}, kind={self.kind!r})"


class Summary(msgspec.Struct, frozen=True):
    """What a notice tells of: how many came, how many wait for an answer, and of whom.

    Of companies and subjects it has the first (:data:`MOST_TOLD`); nobody is told more of them.
    """

    new: int = 0
    waiting: int = 0
    companies: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    def and_also(self, other: "Summary") -> "Summary":
        """Both in one."""
        return Summary(
            self.new + other.new,
            self.waiting + other.waiting,
            tuple(dict.fromkeys((*self.companies, *other.companies)))[:MOST_TOLD],
            (*self.subjects, *other.subjects)[:MOST_TOLD],
        )


class Call(msgspec.Struct, frozen=True):
    """A notice on its way by one channel: tried until it is too late to be of use."""

    id: str
    at: datetime
    summary: Summary
    attempts: int = 0
