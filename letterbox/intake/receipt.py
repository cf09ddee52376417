"""What comes with a message beside its content, and the answer to it."""

import msgspec

from letterbox.model.address import Address
from letterbox.model.preferences import Vendor
from letterbox.model.record import Declared
from letterbox.model.told import Told
from letterbox.reading.mail import Mail


class Outcome(msgspec.Struct, frozen=True):
    """One recipient's answer."""

    recipient: Address
    told: Told


class Received(msgspec.Struct, frozen=True):
    """The answer to a message: one outcome a recipient, in their order.

    ``reported``: a report by mail says what the one reply for all of them does not.
    """

    message: str
    outcomes: tuple[Outcome, ...]
    reported: bool = False


class Idempotent(msgspec.Struct, frozen=True):
    """A call that is to have one effect, however often it is made.

    ``key`` is the vendor's; ``fingerprint`` a digest of the whole request.
    """

    key: str
    fingerprint: bytes


class Submission(msgspec.Struct, frozen=True):
    """What comes beside a message whose sender showed a vendor's key."""

    vendor: Vendor
    declared: Declared | None = None
    your_reference: str | None = None
    idempotent: Idempotent | None = None
    #: One of many that come by themselves: it waits where it comes faster than the vendor may send.
    waits: bool = False
    #: The content as mail, where it was written here: its fields are known.
    composed: Mail | None = None


class Answered(msgspec.Struct, frozen=True):
    """The recorded answer to an idempotent call."""

    fingerprint: bytes
    received: Received


class KeyReused(Exception):
    """The idempotency key was used before, for another request."""
