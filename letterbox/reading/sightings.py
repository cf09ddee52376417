"""What an old mail shows of who wrote it: hearsay, since nothing of it is proven any more."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from letterbox.model.address import fold_domain, is_below
from letterbox.model.proposal import Sighting
from letterbox.model.sender import Proven
from letterbox.reading import header
from letterbox.reading.facts import Reader
from letterbox.reading.mail import Limits, Mail, Malformed, split, with_crlf

#: As much of a mail is looked at: on real mail the kind is the same as with all of it.
MOST_OCTETS: Final = 64 * 1024
#: And as much of its text.
LIMITS: Final = Limits(text_chars=16_000, html_bytes=MOST_OCTETS)
_MOST_SIGNERS: Final = 4
_SIGNER: Final = re.compile(r"(?:^|;)\s*d\s*=\s*([^;\s]{1,253})\s*(?:;|$)")
#: Nobody kept mail from before, and clocks are wrong by less.
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(days=1)


def sight(raw: bytes, reader: Reader, now: datetime) -> Sighting | None:
    """What a mail shows, by its first 64 KiB; None where it cannot be read or names no one author.

    ``reader`` has :data:`LIMITS`. An Authentication-Results field is somebody's word, and the
    signatures of old mail can no longer be verified: the author is who the header says.
    """
    try:
        mail = split(with_crlf(raw[:MOST_OCTETS]), LIMITS)
        author = header.author(mail)
        if isinstance(author, header.Ambiguous):
            return None
        # As for what a relay of ours found: its labels that claim a right count for nothing.
        said = Proven(domain=author.address.domain, how="results", author=author.address)
        kind = reader.read(mail, said).kind
    except Malformed:
        return None
    return Sighting(
        author=author.address,
        name=author.name,
        kind=kind,
        at=_sent(mail, now),
        signers=_signers(mail, author.address.domain),
    )


def _sent(mail: Mail, now: datetime) -> datetime | None:
    field = mail.first("date")
    if field is None:
        return None
    try:
        at = parsedate_to_datetime(header.unfold(field)[:100])
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return at if _EARLIEST <= at <= now + _AHEAD else None


def _signers(mail: Mail, domain: str) -> tuple[str, ...]:
    """The domains that say they signed it, where the author's is none of them."""
    found: dict[str, None] = {}
    for field in mail.all("dkim-signature"):
        said = _SIGNER.search(header.unfold(field))
        if said and (signer := fold_domain(said[1])):
            found[signer] = None
    if any(is_below(domain, each) or is_below(each, domain) for each in found):
        return ()
    return tuple(found)[:_MOST_SIGNERS]
