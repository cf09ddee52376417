"""Why there is no page: said in one place, in the words of the one who reads it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from letterbox.web.texts import N_


class Words(NamedTuple):
    """What a page of failure says: its heading, and what to do."""

    title: str
    text: str


#: By status. What is not here is said as its nearest: 400 or 500.
WORDS: Mapping[int, Words] = {
    HTTPStatus.BAD_REQUEST: Words(
        N_("This cannot be read"), N_("Go back, and send the form again.")
    ),
    HTTPStatus.FORBIDDEN: Words(
        N_("This page was open too long"),
        N_("Nothing was changed. Go back, load the page again, and do it once more."),
    ),
    HTTPStatus.NOT_FOUND: Words(
        N_("There is nothing here"),
        N_("It may have been removed, or the address is not whole."),
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: Words(
        N_("This cannot be done here"), N_("Go back, and use the buttons of the page.")
    ),
    HTTPStatus.CONFLICT: Words(
        N_("This has been done already"), N_("Nothing was changed by it now.")
    ),
    HTTPStatus.GONE: Words(
        N_("The message itself is not kept any more"),
        N_("Its text is gone; what was decided about it stays in the log."),
    ),
    HTTPStatus.PRECONDITION_FAILED: Words(
        N_("It has changed in between"),
        N_("Your change was not made. Look at what it is now, and change that."),
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Words(
        N_("This is too much at once"), N_("Send less, and the rest after it.")
    ),
    HTTPStatus.UNPROCESSABLE_ENTITY: Words(
        N_("Something in it cannot be"), N_("Go back, and correct what is named here.")
    ),
    HTTPStatus.TOO_MANY_REQUESTS: Words(
        N_("Too many at once"), N_("Wait a little, and try again.")
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: Words(
        N_("The fault is ours"),
        N_(
            "Nothing that was taken is lost. Try again later. If it goes on, tell us the reference."
        ),
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: Words(
        N_("Not now"), N_("Nothing is lost. Try again in a minute.")
    ),
}


class Failure(Exception):
    """Raised wherever a visit cannot be answered as it was meant.

    ``mistakes`` name what is wrong, in the visitor's language; ``versions`` are what somebody
    wanted and what stands there now, each as rows of a name and its value.
    """

    def __init__(
        self,
        status: HTTPStatus,
        *,
        mistakes: Sequence[str] = (),
        versions: Sequence[tuple[str, str, str]] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(status.phrase)
        self.status = status
        self.mistakes = tuple(mistakes)
        self.versions = tuple(versions)
        self.headers = {"Retry-After": str(retry_after)} if retry_after else {}


def missing() -> Failure:
    """Nothing there, or another's: nobody can tell which."""
    return Failure(HTTPStatus.NOT_FOUND)


def words_of(status: int) -> Words:
    """What is said about a status."""
    ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    nearest = HTTPStatus.INTERNAL_SERVER_ERROR if ours else HTTPStatus.BAD_REQUEST
    return WORDS.get(status, WORDS[nearest])
