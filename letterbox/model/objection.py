"""Objections to advertising (GDPR, article 21(2)): what was said, what was asked, what came since.

Stored forms must evolve: decoding ignores fields it does not know, and every field added later
has a default.
"""

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from letterbox.model.address import is_below
from letterbox.model.kind import Kind
from letterbox.model.record import DecisionRecord
from letterbox.model.sender import How, VendorRef

#: The kinds of mail that are direct marketing.
ADVERTISING: Final = frozenset({Kind.OFFER, Kind.NEWSLETTER})

#: How a sender was asked to end the subscription; ``none``: it signed for neither.
Way = Literal["one-click", "mail", "none"]
#: ``owed``: it is on the way. ``taken``: the other side took it. ``refused``: it said no, or there
#: is nobody to ask. ``unanswered``: it was tried for long enough. ``before``: it had been asked
#: already, by an act of the consumer's that came earlier. ``none``: nothing was to be sent.
Outcome = Literal["owed", "taken", "refused", "unanswered", "before", "none"]


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was sent to end a subscription, and what was answered.

    ``to`` is the address or URL that the sender signed; ``at`` when the last answer came, which
    ``answer`` is: the status of HTTP, or the reply over SMTP, safe to show.
    """

    way: Way
    to: str = ""
    outcome: Outcome = "none"
    answer: str = ""
    at: datetime | None = None


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message as it can be shown to others.

    ``message`` is its id here, ``message_id`` what its Message-ID says, ``domain`` the proven one
    and ``how`` it was proven; ``results`` is our Authentication-Results (RFC 8601); ``sha256`` is
    of the bytes as received, empty where they are gone.
    """

    decision: str
    message: str
    received: datetime
    sender: str
    recipient: str
    subject: str
    kind: str
    domain: str
    how: How
    message_id: str = ""
    results: str = ""
    sha256: str = ""


class Objection(msgspec.Struct, frozen=True):
    """One person's word to one vendor: no advertising.

    ``domains`` are all that the vendor is known by, besides its id; ``evidence`` is the message by
    which the word was said, which is kept as long as this is. ``service``: its service mail goes
    on. ``breaches`` counts the advertising that came after the grace, ``last`` the newest.
    """

    id: str
    at: datetime
    vendor: VendorRef
    domains: tuple[str, ...]
    evidence: Evidence
    asked: Asked
    service: bool = False
    breaches: int = 0
    last: datetime | None = None

    @property
    def message(self) -> str:
        """The message that is kept with it."""
        return self.evidence.message

    @property
    def recipient(self) -> str:
        """The consumer's address that the message was to."""
        return self.evidence.recipient


def is_breach(objection: Objection, record: DecisionRecord, grace: timedelta) -> bool:
    """Whether a message is advertising of one who had been told to stop, and had time to.

    Whatever became of it here: it was sent. A domain that has changed hands since is another's.
    """
    if record.follows is not None or record.case is None or record.kind not in ADVERTISING:
        return False
    if record.at < objection.at + grace:
        return False
    mine, theirs = objection.vendor, record.vendor
    if theirs.id == mine.id:
        return True
    if mine.registered and theirs.registered:
        return False
    changed = theirs.last_changed
    if changed is not None and changed > objection.at:
        return False
    return any(is_below(record.case.sender.domain, domain) for domain in objection.domains)
