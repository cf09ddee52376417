"""One call: who makes it, and what it brings, read within limits."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import msgspec
from aiohttp import web

from letterbox.administration.shape import JSON, Misshapen, nearest, shape
from letterbox.gateways.http.forms import Nothing
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
#: In a larger document a name that stands twice is not looked for: it would take too long.
_MOST_LOOKED_THROUGH = 64 * _KIB
#: Ids and references of ours.
IDENTIFIER = re.compile(r"[0-9a-f]{32}")
#: How often it is looked whether the one who waits is still there, in seconds.
LOOK = 1.0
_REPEATED = frozenset({"to"})
_MOST_NAMED = 20
#: What an Idempotency-Key may be.
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
#: The largest number that is read as one.
MOST_NUMBER = 10**9 - 1
_NUMBER = re.compile(r"[0-9]{1,9}")
_WHERE = re.compile(r"(?s)(.*?)(?: - at `\$\.?(.*)`)?")
_BYTE = re.compile(r"(.*) \(byte (\d+)\)")


class Call(NamedTuple):
    """A request on its way. ``owner`` is the vendor's or consumer's id, empty for anyone.

    ``session`` names the call in the log, ``client`` is the caller's IP address. ``draining`` is
    set when the house is closing. ``again`` looks at the key once more, and raises a Problem where
    it is good no longer.
    """

    request: web.Request
    parts: Parts
    owner: str
    session: str
    client: str
    draining: asyncio.Event
    again: Callable[[], Awaitable[str]]

    @property
    def has_left(self) -> bool:
        """Whether the caller is there no longer. aiohttp tells nobody by itself."""
        transport = self.request.transport
        return transport is None or transport.is_closing()

    @property
    def item(self) -> str:
        """The ``{id}`` of the path. What cannot be an id is not there (404)."""
        name = self.request.match_info["id"]
        if not IDENTIFIER.fullmatch(name):
            raise Problem("not-found")
        return name

    @property
    def revision(self) -> int:
        """The ``{revision}`` of the path. What cannot be one is not there (404)."""
        text = self.request.match_info["revision"]
        if not _NUMBER.fullmatch(text):
            raise Problem("not-found")
        return int(text)

    @property
    def limit(self) -> int:
        """How many items are asked for; more than the maximum counts as the maximum."""
        text = self.request.query.get("limit")
        if text is None:
            return _USUAL_ITEMS
        allowed = f"a whole number from 1; more than {MOST_ITEMS:,} counts as {MOST_ITEMS:,}"
        limit = _whole("limit", text, allowed)
        if limit < 1:
            raise mistaken(bad("limit", text, allowed))
        return min(limit, MOST_ITEMS)

    def after(self, form: re.Pattern[str] = IDENTIFIER) -> str | None:
        """The cursor a list goes on from, which has such a form; an empty one is none."""
        text = self.request.query.get("after") or None
        if text is not None and not form.fullmatch(text):
            raise mistaken(bad("after", text, "the after of an answer before"))
        return text

    def number(self, name: str, most: int) -> int:
        """A whole number of the query, 0 where there is none, at most ``most``."""
        text = self.request.query.get(name) or "0"
        return min(_whole(name, text, f"a whole number from 0 to {most:,}"), most)

    @property
    def idempotency_key(self) -> str | None:
        """The key that makes a repeated call have one effect."""
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
            allowed = "1 to 255 printable ASCII characters without spaces"
            raise mistaken(bad("Idempotency-Key", key, allowed))
        return key

    async def body(self, *media_types: str, most: int = MOST_DOCUMENT) -> bytes:
        """The whole body, of one of the media types, within size and time."""
        self.expect(*media_types)
        if KEPT in self.request:
            return self.request[KEPT]
        return await read_body(self.request, most, self.parts.configuration.http.body_timeout)

    def expect(self, *media_types: str) -> None:
        """See that the body is of one of the media types, and plain."""
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

    async def bare(self) -> None:
        """See that a body, which need not be there, says nothing."""
        await self.form_if_any(Nothing)

    async def form_if_any(self, kind: type[Form]) -> Form | None:
        """A JSON body as its type; None where there is no body."""
        # One that was read already, for its Idempotency-Key, counts as well.
        if self.request.get(KEPT) or self.request.can_read_body:
            return await self.form(kind)
        return None

    async def form(self, kind: type[Form]) -> Form:
        """A JSON body as its type; every mistake is named."""
        return read_form(await self.body("application/json"), kind)


async def read_body(request: web.Request, most: int, seconds: float) -> bytes:
    """At most ``most`` octets within ``seconds``, else a problem."""
    if (request.content_length or 0) > most:
        raise _too_large(most)
    content = request.content
    try:
        if content.is_eof():
            # A small one has come with its header: no deadline, no waiting (5 us, not 24).
            body = content.read_nowait()
            if len(body) > most:
                raise _too_large(most)
            return body
        pieces: list[bytes] = []
        size = 0
        async with asyncio.timeout(seconds):
            async for piece in content.iter_any():
                size += len(piece)
                if size > most:
                    raise _too_large(most)
                pieces.append(piece)
    except TimeoutError:
        raise Problem("timeout", f"it must arrive within {seconds:g} s", close=True) from None
    except web.RequestPayloadError:
        raise Problem("bad-request", "the body is not framed as HTTP has it", close=True) from None
    return b"".join(pieces)


def _too_large(most: int) -> Problem:
    return Problem("too-large", f"at most {most:,} octets are taken here", close=True)


def read_form(body: bytes, kind: type[Form]) -> Form:
    """JSON as a type. Raises a 400 with the place, or a 422 with every mistake."""
    try:
        form = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        _unique_names(body)
        raise mistaken(*_mistakes(body, kind, error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("malformed-json", _place(body, error)) from None
    _unique_names(body)
    return form


def _unique_names(body: bytes) -> None:
    """Refuse a name that stands twice in an object: which one counts is a guess (RFC 8259, 4)."""
    if len(body) > _MOST_LOOKED_THROUGH:
        return

    # What is no JSON at all is found out by the decoder that counts, which says where.
    with suppress(ValueError, RecursionError, msgspec.DecodeError):
        # Of two that are the same a plain decoder keeps one: where as many names are left as there
        # are colons behind a string, none was lost. That is found in a fifth of the time.
        if len(_NAMED.findall(body)) != _count(msgspec.json.decode(body)):
            _LOOKER.decode(body.decode())


def _look(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Problem("malformed-json", f"{name[:60]!r} stands there twice in one object")
        seen.add(name)


_NAMED = re.compile(rb'"[ \t\r\n]*:')
_LOOKER = json.JSONDecoder(object_pairs_hook=_look)


def _mistakes(body: bytes, kind: type[Form], error: msgspec.ValidationError) -> tuple[Mistake, ...]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as trouble:
        raise Problem("malformed-json", _place(body, trouble)) from None
    if _count(document) <= _MOST_EXPLAINED:
        try:
            shape(document, kind, JSON)
        except Misshapen as found:
            return found.mistakes
    return (_only(error),)


def _count(document: Any) -> int:
    """How many fields there are, at any depth."""
    count = 0
    values = [document]
    for value in values:  # it grows by what each holds
        kind = type(value)
        if kind is dict:
            count += len(value)
            values += value.values()
        elif kind is list:
            values += value
    return count


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
        raise mistaken(bad(name, text, allowed))
    return int(text)


def bad(name: str, text: str, allowed: str) -> Mistake:
    """A parameter whose value cannot be."""
    return Mistake(path=name, mistake=f"{text[:60]!r} is not valid here", allowed=allowed)


def check_query(request: web.Request, known: Collection[str]) -> None:
    """Refuse parameters that are not known, or stand there twice where that says nothing."""
    mistakes = []
    for name in islice(dict.fromkeys(request.query), _MOST_NAMED):
        if name not in known:
            allowed = ", ".join(sorted(known)) or "no parameters"
            mistake = "there is no such parameter" + nearest(name, known)
            mistakes.append(Mistake(path=name[:60], mistake=mistake, allowed=allowed))
        elif name not in _REPEATED and len(request.query.getall(name)) > 1:
            mistakes.append(Mistake(path=name, mistake="it stands there twice", allowed="it once"))
    if mistakes:
        raise mistaken(*mistakes)
