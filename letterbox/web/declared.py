"""What a visitor has declared, and the revision in which a form was made."""

from http import HTTPStatus

from letterbox.records.consumers import Stored
from letterbox.web.failures import Failure, missing
from letterbox.web.visit import Visit

_MOST_DIGITS = 15


async def declared(visit: Visit) -> Stored:
    """What the consumer has declared."""
    stored = await visit.parts.consumers.stored(visit.consumer)
    if stored is None:
        raise missing()
    return stored


def revision_sent(visit: Visit) -> int:
    """The revision that a form was made in, of the whole or of a piece."""
    return number_sent(visit, "revision")


def number_sent(visit: Visit, name: str) -> int:
    """A whole number that a form has to say."""
    said = visit.field(name)
    if not (said.isascii() and said.isdecimal() and len(said) <= _MOST_DIGITS):
        raise Failure(HTTPStatus.BAD_REQUEST)
    return int(said)
