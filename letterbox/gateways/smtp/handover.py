"""A message that was read, handed to the intake; and what is answered to it."""

import structlog

from letterbox.gateways.smtp import replies
from letterbox.gateways.smtp.dialog import Transaction
from letterbox.gateways.smtp.house import House
from letterbox.gateways.smtp.replies import Reply
from letterbox.intake import Received, Submission
from letterbox.intake.submitters import Shown
from letterbox.model.envelope import Client, Envelope

#: RFC 5321, section 3.8: whoever is told so knows that the connection is closed.
_CLOSING = 421

log = structlog.get_logger("letterbox.smtp")


async def hand_over(
    house: House,
    transaction: Transaction,
    content: bytes,
    *,
    session: str,
    client: Client,
    shown: Shown | None,
) -> Reply:
    """Have a message decided; its replies. ``shown`` is the key it was sent with."""
    envelope = Envelope(
        session=session,
        edge=house.edge,
        client=client,
        reverse_path=transaction.reverse_path,
        recipients=tuple(transaction.recipients.values()),
        envelope_id=transaction.terms.envelope_id,
        requests=transaction.requests,
        one_reply=transaction.one_reply,
        utf8=transaction.terms.utf8,
        returns=transaction.terms.returns,
    )
    try:
        submission: Submission | None = None
        if house.keys is not None and shown is not None:
            # Looked up for each message: what is revoked is revoked at once.
            vendor = await house.keys.vendor(shown)
            if vendor is None:
                return replies.KEY_GONE
            submission = Submission(vendor=vendor)
        received = await house.intake.receive(envelope, content, submission)
    except Exception:
        # Ours, never the mail's: it stays with the sender, who tries again.
        log.exception("gateway-failed", session=session)
        return for_all(house, transaction, replies.OUR_FAULT)
    return _rendered(house, transaction, received)


def _rendered(house: House, transaction: Transaction, received: Received) -> Reply:
    """The replies, in the order of RCPT (RFC 2033, section 4.2)."""
    told = {outcome.recipient: outcome.told for outcome in received.outcomes}
    answers = [told[recipient] for recipient in transaction.taken]
    before = b""
    if not house.terms.lmtp:
        if transaction.terms.each and len(answers) > 1:
            before, answers = replies.EACH.octets, [*replies.for_each(answers)]
        else:
            # Who has shown a key has a feed for what the one reply cannot say.
            reported = received.reported if transaction.one_reply else None
            answers = [replies.for_all(answers, reported=reported)]
    lines = "".join(f"{each.line}\r\n" for each in answers)
    return Reply(
        octets=before + lines.encode("ascii", "replace"),
        closes=any(each.reply == _CLOSING for each in answers),
    )


def for_all(house: House, transaction: Transaction, reply: Reply) -> Reply:
    """One reply for a message that was not decided: over LMTP to each recipient that was taken."""
    times = len(transaction.taken) if house.terms.lmtp else 1
    return Reply(octets=reply.octets * times, closes=reply.closes)
