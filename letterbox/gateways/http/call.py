"""One call: who makes it, and what it brings, read within limits."""

import asyncio
import re
from typing import Any, NamedTuple, TypeVar

import msgspec
from aiohttp import web

from letterbox.administration.shape import Misshapen, shape
from letterbox.gateways.http.parts import Parts
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.wishes import Mistake

Form = TypeVar("Form", bound=msgspec.Struct)

#: The body of a request that has been read already.
KEPT: web.RequestKey[bytes] = web.RequestKey("body", bytes)
MOST_ITEMS = 1000
_USUAL_ITEMS = 100
_KIB = 1024
#: The largest document that is not a message: preferences with 10,000 relationships.
MOST_DOCUMENT = 4 * _KIB * _KIB
#: In a larger document only the first mistake is named: naming them all must stay cheap.
_MOST_EXPLAINED = 500
_IDENTIFIER = re.compile(r"[0-9A-Za-z_-]{1,64}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_WHERE = re.compile(r"(?s)(.*?)(?: - at `\$\.?(.*)`)?")
_BYTE = re.compile(r"(.*) \(byte (\d+)\)")


class Call(NamedTuple):
    """A request on its way. ``owner`` is the vendor's or consumer's id, empty for anyone.

    ``session`` names the call in the log. ``draining`` is set when the house is closing.
    """

    request: web.Request
    parts: Parts
    owner: str
    session: str
    draining: asyncio.Event

    @property
    def item(self) -> str:
        """The ``{id}`` of the path. What cannot be an id is not there (404)."""
        name = self.request.match_info["id"]
        if not _IDENTIFIER.fullmatch(name):
            raise Problem("not-found")
        return name

    @property
    def limit(self) -> int:
        """How many items are asked for; more than the maximum counts as the maximum."""
        text = self.request.query.get("limit")
        if text is None:
            return _USUAL_ITEMS
        limit = _whole("limit", text, "a whole number from 1 to 1,000")
        if limit < 1:
            raise mistaken(_bad("limit", text, "a whole number from 1 to 1,000"))
        return min(limit, MOST_ITEMS)

    @property
    def after(self) -> str | None:
        """The cursor a list goes on from; an empty one is none."""
        text = self.request.query.get("after") or None
        if text is not None and not _IDENTIFIER.fullmatch(text):
            raise mistaken(_bad("after", text, "the after of an answer before"))
        return text

    def number(self, name: str, most: int) -> int:
        """A whole number of the query, 0 where there is none, at most ``most``."""
        text = self.request.query.get(name) or "0"
        return min(_whole(name, text, f"a whole number from 0 to {most:,}"), most)

    @property
    def idempotency_key(self) -> str | None:
        """The key that makes a repeated call have one effect."""
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
            allowed = "1 to 255 printable ASCII characters without spaces"
            raise mistaken(_bad("Idempotency-Key", key, allowed))
        return key

    async def body(self, *media_types: str, most: int = MOST_DOCUMENT) -> bytes:
        """The whole body, of one of the media types, within size and time."""
        request = self.request
        if request.content_type not in media_types:
            raise Problem(
                "unsupported-media-type",
                f"{' or '.join(media_types)} is taken here, this is {request.content_type}",
                headers={"Accept": ", ".join(media_types)},
            )
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Problem(
                "unsupported-media-type",
                "compressed bodies are not taken",
                headers={"Accept-Encoding": "identity"},
            )
        if KEPT in request:
            return request[KEPT]
        return await read_body(request, most, self.parts.configuration.http.body_timeout)

    async def form(self, kind: type[Form]) -> Form:
        """A JSON body as its type; every mistake is named."""
        return read_form(await self.body("application/json"), kind)


async def read_body(request: web.Request, most: int, seconds: float) -> bytes:
    """At most ``most`` octets within ``seconds``, else a problem."""
    too_large = Problem("too-large", f"at most {most:,} octets are taken here", close=True)
    if (request.content_length or 0) > most:
        raise too_large
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.content.iter_any():
                size += len(piece)
                if size > most:
                    raise too_large
                pieces.append(piece)
    except TimeoutError:
        raise Problem("timeout", f"it must arrive within {seconds:g} s", close=True) from None
    except web.RequestPayloadError:
        raise Problem("bad-request", "the body is not framed as HTTP has it", close=True) from None
    return b"".join(pieces)


def read_form(body: bytes, kind: type[Form]) -> Form:
    """JSON as a type. Raises a 400 with the place, or a 422 with every mistake."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise mistaken(*_mistakes(body, kind, error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("malformed-json", _place(body, error)) from None


def _mistakes(body: bytes, kind: type[Form], error: msgspec.ValidationError) -> tuple[Mistake, ...]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as trouble:
        raise Problem("malformed-json", _place(body, trouble)) from None
    if isinstance(document, dict) and _count(document) <= _MOST_EXPLAINED:
        try:
            shape(document, kind)
        except Misshapen as found:
            return tuple(_of_a_body(mistake) for mistake in found.mistakes)
    return (_only(error),)


def _count(document: Any) -> int:
    """How many fields there are, at any depth."""
    count = 0
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            count += len(value)
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return count


def _of_a_body(mistake: Mistake) -> Mistake:
    if mistake.path != "the file":
        return mistake
    return msgspec.structs.replace(mistake, path="the body")


def _only(error: msgspec.ValidationError) -> Mistake:
    """The first mistake, as decoding found it."""
    match = _WHERE.fullmatch(str(error))
    text, path = (match[1], match[2]) if match else (str(error), None)
    return Mistake(path=path or "the body", mistake=text, allowed="see /openapi.json")


def _place(body: bytes, error: Exception) -> str:
    """Where a body ceases to be JSON: line and column, from 1."""
    at = len(body)
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        # Decoding reports a place within one text; the body's own is found anew.
        text = "this is not UTF-8"
        try:
            body.decode()
        except UnicodeDecodeError as wrong:
            at = wrong.start
    elif isinstance(error, RecursionError):
        return "it is nested too deeply"
    elif match := _BYTE.fullmatch(text):
        text, at = match[1], int(match[2])
    line = body.count(b"\n", 0, at) + 1
    column = at - (body.rfind(b"\n", 0, at) + 1) + 1
    return f"{text}, at line {line}, column {column}"


def _whole(name: str, text: str, allowed: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise mistaken(_bad(name, text, allowed))
    return int(text)


def _bad(name: str, text: str, allowed: str) -> Mistake:
    return Mistake(path=name, mistake=f"{text[:60]!r} stands there", allowed=allowed)
