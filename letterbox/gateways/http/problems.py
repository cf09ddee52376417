"""What is said when a call cannot be answered (RFC 9457), all of it in one place."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, Literal, NamedTuple

import msgspec
from aiohttp import web

from letterbox.wishes import Mistake

Name = Literal[
    "bad-request",
    "malformed-json",
    "unauthorized",
    "forbidden",
    "not-found",
    "method-not-allowed",
    "timeout",
    "changed",
    "conflict",
    "gone",
    "too-large",
    "unsupported-media-type",
    "invalid",
    "key-reused",
    "precondition-required",
    "too-many",
    "our-fault",
    "unavailable",
]


class Kind(NamedTuple):
    """A sort of problem: its status, its title, and what to do about it."""

    status: HTTPStatus
    title: str
    advice: str


KINDS: Mapping[Name, Kind] = {
    "bad-request": Kind(
        HTTPStatus.BAD_REQUEST,
        "This is not HTTP as we read it",
        "Send a well-formed HTTP/1.1 request.",
    ),
    "malformed-json": Kind(
        HTTPStatus.BAD_REQUEST,
        "The body is not JSON as we read it",
        "Correct the place that the detail names (RFC 8259).",
    ),
    "unauthorized": Kind(
        HTTPStatus.UNAUTHORIZED,
        "A valid key or token is needed",
        "Send Authorization: Bearer with a vendor's key, or a consumer's token under /v1/me.",
    ),
    "forbidden": Kind(
        HTTPStatus.FORBIDDEN,
        "This may not be done so",
        "See in the detail what is lacking.",
    ),
    "not-found": Kind(
        HTTPStatus.NOT_FOUND,
        "There is nothing here",
        "Check the address. What is somebody else's looks exactly like what never was.",
    ),
    "method-not-allowed": Kind(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "This cannot be done here",
        "Use one of the methods in the Allow field.",
    ),
    "timeout": Kind(
        HTTPStatus.REQUEST_TIMEOUT,
        "The body took too long",
        "Send it again, and faster.",
    ),
    "changed": Kind(
        HTTPStatus.PRECONDITION_FAILED,
        "It has changed in between",
        "Get the document anew, make the change there, and put it with the new ETag.",
    ),
    "conflict": Kind(
        HTTPStatus.CONFLICT,
        "It cannot be done to what it is now",
        "See in the detail what became of it.",
    ),
    "gone": Kind(
        HTTPStatus.GONE,
        "It is not kept any more",
        "Only the rule can be changed; the message cannot be brought back.",
    ),
    "too-large": Kind(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The body is too large",
        "Send less at once; the detail names the limit.",
    ),
    "unsupported-media-type": Kind(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "This kind of body is not taken here",
        "Send one of the kinds that the detail names, without Content-Encoding.",
    ),
    "invalid": Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Something in it cannot be",
        "Correct what the errors name: path, mistake, and what is allowed.",
    ),
    "key-reused": Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "This Idempotency-Key was used for another request",
        "Use a new key for a new request; repeat a request unchanged.",
    ),
    "precondition-required": Kind(
        HTTPStatus.PRECONDITION_REQUIRED,
        "If-Match is needed",
        "Send the ETag of the document that the change was made in.",
    ),
    "too-many": Kind(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many at once",
        "Try again after the seconds in Retry-After, and more slowly.",
    ),
    "our-fault": Kind(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The fault is ours",
        "Try again later. Nothing that was acknowledged is lost.",
    ),
    "unavailable": Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Not now",
        "Try again after the seconds in Retry-After. Nothing that was acknowledged is lost.",
    ),
}


#: The media type of a problem (RFC 9457).
PROBLEM: Final = "application/problem+json"


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem (RFC 9457, section 3.1). ``errors`` names every mistake that was found.

    ``instance`` stands beside faults of ours: name it when reporting one.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[Mistake, ...] = ()
    instance: str | None = None
    #: Seconds after which to try again, where it is one line's of many; else a field of the header.
    retry_after: int | None = None


class Problem(Exception):
    """Raised wherever a call cannot be answered; rendered once, by :func:`render`."""

    def __init__(
        self,
        name: Name,
        detail: str = "",
        *,
        errors: Sequence[Mistake] = (),
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.name = name
        self.detail = detail or KINDS[name].advice
        self.errors = tuple(errors)
        self.headers = headers or {}
        self.close = close


class Reasoned(Exception):
    """A registered reason answers the whole request. ``status`` is the registry's."""

    def __init__(self, code: str, title: str, detail: str, status: int, retry_after: int) -> None:
        super().__init__(detail)
        self.document = (code, title, detail, status)
        self.retry_after = retry_after
        self.headers = {"Retry-After": str(retry_after)} if retry_after else {}


def mistaken(*errors: Mistake) -> Problem:
    """The problem of a request with mistakes in it."""
    first = errors[0]
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    return Problem("invalid", f"{first.path}: {first.mistake}{more}", errors=errors)


def render(
    problem: Problem | Reasoned, public_url: str, instance: str | None = None
) -> web.Response:
    """A problem as a response."""
    document = document_of(problem, public_url, instance)
    response = web.Response(
        status=document.status,
        body=msgspec.json.encode(document),
        headers=dict(problem.headers),
        content_type=PROBLEM,
    )
    if isinstance(problem, Problem) and problem.close:
        response.force_close()
    return response


def document_of(
    problem: Problem | Reasoned, public_url: str, instance: str | None = None
) -> ProblemDocument:
    """A problem as a document."""
    if isinstance(problem, Reasoned):
        code, title, detail, status = problem.document
        return ProblemDocument(
            type=f"{public_url}/reasons/{code}", title=title, status=status, detail=detail
        )
    kind = KINDS[problem.name]
    return ProblemDocument(
        type=f"{public_url}/docs#{problem.name}",
        title=kind.title,
        status=int(kind.status),
        detail=problem.detail,
        errors=problem.errors,
        instance=instance,
    )
