"""One visit: who comes, what they bring, and what they may be shown."""

import asyncio
import hmac
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, tzinfo
from http import HTTPStatus
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiDict

from letterbox.model.preferences import Language
from letterbox.records.guesses import Guesses
from letterbox.records.sessions import Owner, Sessions, Side, SignedIn
from letterbox.web import coming, status
from letterbox.web.failures import Failure, missing
from letterbox.web.parts import Parts
from letterbox.web.texts import Texts
from letterbox.web.traffic import Watching

#: The field of a form that shows that it is ours.
CSRF: Final = "csrf"
#: Rows of a list on one page.
ROWS: Final = 50
_FORM: Final = "application/x-www-form-urlencoded"
_FORM_IN_PARTS: Final = "multipart/form-data"
_LARGEST_FORM: Final = 256 * 1024
_MOST_FIELDS: Final = 2000
_IDENTIFIER = re.compile(r"[0-9a-f]{32}")
_LONGEST_QUERY: Final = 200
#: What this machine calls itself.
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Inside(NamedTuple):
    """What a visit sees of the room.

    ``render`` makes a whole page, ``text`` what is one by itself; ``home`` is where somebody
    begins; ``guesses`` counts who fails to sign in, ``tries`` who fails with a password;
    ``watching`` what each company sends; ``streams`` whose open pages are told of news.
    """

    parts: Parts
    render: Callable[["Visit", str, int, Mapping[str, object]], Awaitable[web.Response]]
    text: Callable[[str, Language, Mapping[str, object]], str]
    home: Callable[[Side], str]
    guesses: Guesses
    tries: Guesses
    watching: Watching
    streams: Counter[Owner]


class Visit:
    """A request on its way. ``who`` is None where nobody is signed in."""

    def __init__(
        self,
        request: web.Request,
        *,
        inside: Inside,
        who: SignedIn | None,
        texts: Texts,
        zone: tzinfo,
        client: str,
        draining: asyncio.Event,
    ) -> None:
        self.request = request
        self.parts = inside.parts
        self.who = who
        self.texts = texts
        self.zone = zone
        self.client = client
        self.draining = draining
        self.now = inside.parts.clock.now()
        self.inside = inside
        self._form: MultiDict[str] | None = None
        #: The file that came with the form; empty where none did.
        self.upload = b""
        #: A file that comes with the form and is read as it comes; its size, if it says one.
        self.coming: AsyncIterator[bytes] | None = None
        self.coming_size = 0

    # ---- who ----

    @property
    def owner(self) -> Owner:
        """Whose pages these are. Every object is looked up as theirs."""
        if self.who is None:
            raise missing()
        return self.who.owner

    @property
    def consumer(self) -> str:
        """The id of the consumer whose pages these are."""
        owner = self.owner
        if owner.side != "consumer":
            raise missing()
        return owner.id

    @property
    def vendor(self) -> str:
        """The id of the vendor whose pages these are."""
        owner = self.owner
        if owner.side != "vendor":
            raise missing()
        return owner.id

    @property
    def language(self) -> Language:
        """The language of the page."""
        return self.texts.language

    @property
    def csrf(self) -> str:
        """What a form of theirs has to carry; empty where nobody is signed in."""
        return self.who.token(CSRF) if self.who else ""

    # ---- what they ask ----

    @property
    def item(self) -> str:
        """The ``{id}`` of the path. What cannot be an id is not there."""
        name = self.request.match_info["id"]
        if not _IDENTIFIER.fullmatch(name):
            raise missing()
        return name

    def asked(self, name: str) -> str:
        """A parameter of the query, empty where there is none."""
        return self.request.query.get(name, "").strip()[:_LONGEST_QUERY]

    @property
    def after(self) -> str | None:
        """The row that a page of a list goes on from."""
        after = self.asked("after")
        return after if _IDENTIFIER.fullmatch(after) else None

    @property
    def has_left(self) -> bool:
        """Whether the visitor is there no longer."""
        transport = self.request.transport
        return transport is None or transport.is_closing()

    def field(self, name: str) -> str:
        """A field of the form, empty where there is none."""
        return "" if self._form is None else self._form.get(name, "").strip()

    def raw(self, name: str) -> str:
        """A field of the form exactly as it came."""
        return "" if self._form is None else self._form.get(name, "")

    def fields(self, name: str) -> list[str]:
        """All of a field of the form that stands there several times."""
        return [] if self._form is None else list(self._form.getall(name, ()))

    async def take_form(self, *, uploads: bool = False, streams: bool = False) -> None:
        """Read the form, and see that it is one of ours. Raises :class:`Failure`.

        ``uploads``: a file may come with it, as large as a mail may be. ``streams``: it is read up
        to a file, which ``coming`` then yields.
        """
        _check_origin(self.request)
        section = self.parts.configuration.http
        if streams:
            self._form, self.coming = await coming.read_to_file(self.request, section.body_timeout)
            self.coming_size = self.request.content_length or 0
        elif uploads:
            most = section.max_body + _LARGEST_FORM
            self._form, self.upload = await _read_parts(self.request, section.body_timeout, most)
        else:
            self._form = await _read_form(self.request, section.body_timeout)
        if self.who is not None and not hmac.compare_digest(
            self.field(CSRF).encode(), self.csrf.encode()
        ):
            raise Failure(HTTPStatus.FORBIDDEN)

    # ---- what they get ----

    async def page(
        self, template: str, *, code: int = HTTPStatus.OK, **said: object
    ) -> web.Response:
        """A page of a template; ``said`` is what it shows beside what every page does."""
        return await self.inside.render(self, template, code, said)

    def see(self, path: str, done: str = "", **facts: str) -> web.Response:
        """Go on to a page, which says what was ``done`` (of :data:`status.STATUS`)."""
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})
        if done:
            self.set_cookie(response, status.COOKIE, status.write(done, **facts), status.LASTS)
        return response

    def say(self, text: str, **facts: object) -> str:
        """A text in the visitor's language."""
        return self.texts.say(text, **facts)

    def moment(self, at: datetime) -> str:
        """A moment by the visitor's clock."""
        return self.texts.moment(at, self.zone, self.now)

    def local(self, at: datetime) -> datetime:
        """An instant in the visitor's zone."""
        return at.astimezone(self.zone)

    def set_cookie(self, response: web.Response, name: str, value: str, seconds: int) -> None:
        """Set a cookie for ourselves alone; of 0 seconds: take it away."""
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/",
            httponly=True,
            secure=is_secure(self.request, self.parts.public_url()),
            samesite="Lax",
        )

    def set_session(self, response: web.Response, who: SignedIn | None) -> None:
        """Have the browser be somebody; nobody for None."""
        name = session_cookie(self.request, self.parts.public_url())
        seconds = int(self.parts.sessions.lasts.total_seconds()) if who else 0
        self.set_cookie(response, name, who.cookie if who else "", seconds)


async def signed_in(sessions: Sessions, request: web.Request, public_url: str) -> SignedIn | None:
    """Who comes."""
    cookie = request.cookies.get(session_cookie(request, public_url))
    return await sessions.shown(cookie) if cookie else None


def session_cookie(request: web.Request, public_url: str) -> str:
    """The name of the cookie that says who somebody is.

    A name that begins so is taken over TLS alone, and from no other host (RFC 6265bis, 4.1.3).
    """
    return "__Host-letterbox" if is_secure(request, public_url) else "letterbox"


def is_secure(request: web.Request, public_url: str) -> bool:
    """Whether the visitor comes over TLS: all do where our address says so, but from here."""
    return public_url.startswith("https:") and host_of(request) not in LOOPBACK


def host_of(request: web.Request) -> str:
    """The host that a visitor asks for, without its port; empty where that names none."""
    try:
        return urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return ""


def _check_origin(request: web.Request) -> None:
    """See that a form was sent by a page of ours, as far as the browser says."""
    origin = request.headers.get("Origin")
    site: str | None = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in {"same-origin", "none"}:
        raise Failure(HTTPStatus.FORBIDDEN)
    hidden = origin == "null" and site == "same-origin"
    if origin is not None and not hidden and _authority(origin) != request.host:
        raise Failure(HTTPStatus.FORBIDDEN)


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


async def _read_form(request: web.Request, seconds: float) -> MultiDict[str]:
    if request.content_type != _FORM and request.can_read_body:
        raise Failure(HTTPStatus.BAD_REQUEST)
    content = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.content.iter_any():
                content += piece
                if len(content) > _LARGEST_FORM:
                    raise Failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        read = parse_qs(
            content.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except (TimeoutError, ValueError, web.RequestPayloadError):
        raise Failure(HTTPStatus.BAD_REQUEST) from None
    return MultiDict([(name, value) for name, values in read.items() for value in values])


async def _read_parts(
    request: web.Request, seconds: float, most: int
) -> tuple[MultiDict[str], bytes]:
    """A form in parts (RFC 7578), and the file in it. All of it is held in memory."""
    if request.content_type != _FORM_IN_PARTS:
        raise Failure(HTTPStatus.BAD_REQUEST)
    form: MultiDict[str] = MultiDict()
    upload, size = b"", 0
    try:
        async with asyncio.timeout(seconds):
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader) or len(form) >= _MOST_FIELDS:
                    raise Failure(HTTPStatus.BAD_REQUEST)
                content = bytearray()
                while chunk := await part.read_chunk():
                    content += chunk
                    size += len(chunk)
                    if size > most:
                        raise Failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                if part.filename is None:
                    form.add(part.name or "", content.decode())
                else:
                    upload = bytes(content)
    except (TimeoutError, ValueError, web.RequestPayloadError, HttpProcessingError):
        raise Failure(HTTPStatus.BAD_REQUEST) from None
    return form, upload


#: The zone of those who have said none.
ELSEWHERE: Final[tzinfo] = UTC


class Page(NamedTuple):
    """One route of the room.

    ``who`` may come: somebody else is shown the way to sign in, or finds nothing there. What is
    posted is a form of ours: that is seen to before ``run``. ``uploads``: with a file.
    """

    method: Literal["GET", "POST"]
    path: str
    who: Side | Literal["anyone"]
    run: Callable[[Visit], Awaitable[web.StreamResponse]]
    #: Whether a file may come with its form, which is sent in parts then.
    uploads: bool = False
    #: Whether that file is read as it comes.
    streams: bool = False
    #: Whether its path bears what is signed: that is all that is asked for, of programs too, and
    #: whatever else is posted is not read.
    bears: bool = False
