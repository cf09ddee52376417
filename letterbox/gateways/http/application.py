"""The web application: every request takes the same way in and out."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from letterbox.gateways.http.answers import guard
from letterbox.gateways.http.batch import BATCHES
from letterbox.gateways.http.call import Call, check_query
from letterbox.gateways.http.callers import Callers
from letterbox.gateways.http.feedback import READERS
from letterbox.gateways.http.operations import is_local
from letterbox.gateways.http.parts import Parts
from letterbox.gateways.http.problems import PROBLEM, Problem, Reasoned, render
from letterbox.gateways.http.repeated import Repeated
from letterbox.gateways.http.route import Route
from letterbox.ports.store import StoreUnavailable
from letterbox.records.credentials import Purpose
from letterbox.records.names import new_id

_BEARER = re.compile(r"(?i:bearer) +([\x21-\x7e]+) *")
_PURPOSES: dict[str, Purpose] = {"vendor": "key", "consumer": "token"}
_RETRY_AFTER = "60"
log = structlog.get_logger("letterbox.http")

Way = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page(Protocol):
    """A route of pages, which somebody else serves: they know who is signed in."""

    @property
    def method(self) -> str:
        """GET or POST."""
        ...

    @property
    def path(self) -> str:
        """The pattern of its path."""
        ...

    async def serve(
        self, request: web.Request, *, client: str, draining: asyncio.Event
    ) -> web.StreamResponse:
        """Answer a request from an IP address; end soon when the house is closing."""
        ...


class Pages(Protocol):
    """Pages for people who sign in, mounted beside the API."""

    @property
    def routes(self) -> Iterable[Page]:
        """All of them."""
        ...

    def failed(
        self, request: web.Request, status: int, headers: Mapping[str, str], reference: str
    ) -> web.Response | None:
        """The page that says why there is none; None where a program has asked.

        ``reference`` finds a fault of ours in the log; empty where it is none.
        """
        ...


def application(
    parts: Parts,
    routes: Iterable[Route],
    draining: asyncio.Event,
    *,
    trusted: bool,
    pages: Pages | None = None,
) -> web.Application:
    """An application that serves ``routes``, and ``pages`` beside them.

    ``trusted``: every peer may ask what operators ask; else those on this machine alone.
    """
    callers = Callers(parts.configuration.http, parts.clock)
    app = web.Application(middlewares=[_outermost(parts, callers, pages)])
    app[BATCHES] = Counter()
    app[READERS] = Counter()
    repeated = Repeated()
    for route in routes:
        way = _Way(route, parts, repeated, callers, draining, trusted=trusted)
        app.router.add_route(route.method, route.path, way.serve, expect_handler=_expect)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, way.serve, expect_handler=_expect)
    for page in pages.routes if pages else ():
        serve = partial(_page, page, callers, draining)
        app.router.add_route(page.method, page.path, serve, expect_handler=_expect)
        if page.method == "GET":
            app.router.add_route("HEAD", page.path, serve, expect_handler=_expect)
    app.on_response_prepare.append(_secure)
    return app


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    guard(response)


async def _page(
    page: Page, callers: Callers, draining: asyncio.Event, request: web.Request
) -> web.StreamResponse:
    callers.count(request[CLIENT])
    return await page.serve(request, client=request[CLIENT], draining=draining)


async def _expect(request: web.Request) -> None:
    """Ask for the body (RFC 9110, section 10.1.1); an expectation we do not know is passed over."""
    if request.headers["Expect"].lower() == "100-continue" and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


class _Way:
    """The way to one route: who asks is found out, then the call is made."""

    def __init__(
        self,
        route: Route,
        parts: Parts,
        repeated: Repeated,
        callers: Callers,
        draining: asyncio.Event,
        *,
        trusted: bool,
    ) -> None:
        self._route = route
        self._parts = parts
        self._repeated = repeated
        self._callers = callers
        self._draining = draining
        self._trusted = trusted

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request. Raises a Problem where it cannot be."""
        route = self._route
        if route.who == "operator" and not (self._trusted or is_local(request)):
            raise Problem("not-found")
        if route.who != "operator":
            self._callers.count(request[CLIENT])
        call = Call(
            request=request,
            parts=self._parts,
            owner=await self._owner(request),
            session=request[SESSION],
            client=request[CLIENT],
            draining=self._draining,
            again=partial(self._owner, request, counts=False),
        )
        if route.path.startswith("/v1/"):
            check_query(request, route.query)
        if route.method != "GET" and route.once != "message":
            return await self._repeated.run(call, route)
        return await route.run(call)

    async def _owner(self, request: web.Request, *, counts: bool = True) -> str:
        """Whose key or token it is (RFC 6750); empty where none is needed.

        ``counts``: as one call of it.
        """
        purpose = _PURPOSES.get(self._route.who)
        if purpose is None:
            return ""
        fields = request.headers.getall("Authorization", ())
        match = _BEARER.fullmatch(fields[0]) if len(fields) == 1 else None
        if match is None:
            challenge = 'Bearer realm="letterbox"'
            raise Problem("unauthorized", headers={"WWW-Authenticate": challenge}, close=True)
        row = await self._parts.credentials.shown(purpose, match[1], self._parts.clock.now())
        if row is None:
            if counts:
                self._callers.count_wrong(request[CLIENT])
            challenge = 'Bearer realm="letterbox", error="invalid_token"'
            raise Problem("unauthorized", headers={"WWW-Authenticate": challenge}, close=True)
        if counts:
            self._callers.count_key(row.prefix)
        if not row.serves(self._route.scope):
            # RFC 6750, section 3.1.
            challenge = 'Bearer realm="letterbox", error="insufficient_scope"'
            detail = f"this key lacks the scope {self._route.scope}; it has {', '.join(row.scopes)}"
            raise Problem("forbidden", detail, headers={"WWW-Authenticate": challenge})
        return row.owner


#: The name of a request in the log.
SESSION: web.RequestKey[str] = web.RequestKey("session", str)
#: The caller's IP address.
CLIENT: web.RequestKey[str] = web.RequestKey("client", str)


def _outermost(parts: Parts, callers: Callers, pages: Pages | None) -> Middleware:
    """Turns whatever is raised into a problem, and logs each request in one line."""

    @web.middleware
    async def outermost(request: web.Request, handler: Way) -> web.StreamResponse:
        began = parts.clock.monotonic()
        session = request[SESSION] = new_id(parts.clock.now())
        client = request[CLIENT] = callers.address(request)
        response = await _answered(request, handler, callers, parts.public_url(), session)
        if pages is not None and response.content_type == PROBLEM:
            reference = session if response.status >= _OUR_FAULT else ""
            told = {name: response.headers[name] for name in _TOLD if name in response.headers}
            response = pages.failed(request, response.status, told, reference) or response
        resource = request.match_info.route.resource
        log.info(
            "http",
            session=session,
            client=client,
            method=request.method if request.method in _METHODS else "other",
            # The pattern, not the path: references and ids are nobody's business in a log.
            route=resource.canonical if resource else "",
            status=response.status,
            octets=request.content_length or 0,
            milliseconds=round((parts.clock.monotonic() - began) * 1000, 2),
        )
        return response

    return outermost


async def _answered(
    request: web.Request, way: Way, callers: Callers, public_url: str, session: str
) -> web.StreamResponse:
    try:
        if request.match_info.http_exception is not None:
            callers.count(request[CLIENT])  # where no route leads; routes count for themselves
        return await way(request)
    except (Problem, Reasoned) as problem:
        return render(problem, public_url)
    except web.HTTPException as refused:
        return _routed(request, refused, public_url)
    except StoreUnavailable as trouble:
        log.error("store-unavailable", session=session, error=str(trouble))  # noqa: TRY400 - the store has told its own trouble
        headers = {"Retry-After": _RETRY_AFTER}
        unavailable = Problem("unavailable", "the store does not answer", headers=headers)
        return render(unavailable, public_url, session)
    except (ConnectionError, asyncio.CancelledError):
        raise  # nobody is there to be answered
    except Exception:
        log.exception("http-failed", session=session)
        return render(Problem("our-fault", close=True), public_url, session)


def _routed(
    request: web.Request, refused: web.HTTPException, public_url: str
) -> web.StreamResponse:
    """What the router refused."""
    if isinstance(refused, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted({*refused.allowed_methods, "OPTIONS"}))
        if request.method == "OPTIONS":
            return web.Response(status=web.HTTPNoContent.status_code, headers={"Allow": allowed})
        problem = Problem("method-not-allowed", headers={"Allow": allowed})
        return render(problem, public_url)
    if isinstance(refused, web.HTTPNotFound):
        return render(Problem("not-found"), public_url)
    return render(Problem("bad-request"), public_url)


_OUR_FAULT = web.HTTPInternalServerError.status_code
#: What of a problem's header its page says as well.
_TOLD = ("Allow", "Retry-After")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
