"""AUTH PLAIN (RFC 4954, RFC 4616): what stands in it, and what is answered to it."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, Protocol

from letterbox.gateways.smtp import replies
from letterbox.gateways.smtp.replies import Reply
from letterbox.intake.submitters import Shown, Unfit, Wrong
from letterbox.model.vendor import Registered
from letterbox.ports.store import StoreUnavailable

#: Says nothing to anybody: what was shown is being looked at.
LOOKING = Reply(octets=b"", waits=True)
#: Octets of an id and of a key: no real one is a fifth as long.
_LONGEST = 255


class Keys(Protocol):
    """Knows vendors by their keys (:class:`letterbox.intake.submitters.Submitters`)."""

    async def authenticate(
        self, name: str, key: str, *, place: str, session: str
    ) -> Shown | Wrong | Unfit | Literal["locked"]:
        """Look at an id and a key. Raises StoreUnavailable."""
        ...

    async def vendor(self, shown: Shown) -> Registered | None:
        """The vendor as it is now; None where its key is not good any more."""
        ...


class Plain(NamedTuple):
    """An id and a key as they were shown."""

    name: str
    key: str


def read_plain(text: str) -> Plain | None:
    """Read the base64 of ``[authzid] NUL authcid NUL passwd`` (RFC 4616, section 2).

    None for what is not of that form. Nobody speaks for somebody else here, so that an identity to
    act as can only be the one that is shown.
    """
    try:
        octets = base64.b64decode(text, validate=True)
        parts = octets.decode("utf-8").split("\0")
    except (binascii.Error, ValueError):
        return None
    if len(parts) != 3 or not all(parts[1:]) or any(len(part) > _LONGEST for part in parts):  # noqa: PLR2004
        return None
    act_as, name, key = parts
    return Plain(name, key) if act_as in {"", name} else None


async def look(
    keys: Keys,
    plain: Plain,
    *,
    place: str,
    session: str,
    pause: Callable[[float], Awaitable[None]],
) -> Shown | Reply:
    """Who has shown a key, or what is answered: whatever is wrong, the same, and not at once."""
    try:
        found = await keys.authenticate(plain.name, plain.key, place=place, session=session)
    except StoreUnavailable:
        return replies.NO_LOOK
    match found:
        case Shown():
            return found
        case Wrong(seconds=seconds):
            await pause(seconds)
            return replies.WRONG_KEY
        case Unfit(why=why):
            return replies.NO_DOMAIN if why == "domain" else replies.NOT_FOR_SENDING
        case _:
            return replies.LOCKED_OUT
