"""The room: every visit takes the same way in and out."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import partial
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from letterbox.model.language import LANGUAGES, accepted, named
from letterbox.model.preferences import Language
from letterbox.records.consumers import Conflict, Refused
from letterbox.records.guesses import Guesses
from letterbox.records.sessions import SignedIn
from letterbox.web import (
    acting,
    activity,
    addresses,
    bulk,
    company,
    delivery,
    expecting,
    inbox,
    interests,
    leaving,
    locking,
    navigation,
    notices,
    objections,
    passkeys,
    passwords,
    refused,
    replay,
    rules,
    settings,
    signin,
    start,
    status,
    suggestions,
    times,
    tracking,
    vendor,
    vendors,
    waiting,
    windows,
)
from letterbox.web.counts import Counting, Counts
from letterbox.web.failures import Failure, missing, words_of
from letterbox.web.parts import Parts
from letterbox.web.rendering import Rendering
from letterbox.web.statics import Statics
from letterbox.web.texts import Texts, load
from letterbox.web.traffic import Watching
from letterbox.web.visit import ELSEWHERE, Inside, Page, Visit, session_cookie, signed_in

#: Every page that there is. A page of one's own is added here, and to the navigation.
PAGES: tuple[Page, ...] = (
    # Before the links of signing in, whose paths could be the same.
    *passkeys.PAGES,
    *passwords.PAGES,
    *signin.PAGES,
    *inbox.PAGES,
    *tracking.PAGES,
    *objections.PAGES,
    *waiting.PAGES,
    *refused.PAGES,
    *rules.PAGES,
    *vendor.PAGES,
    *vendors.PAGES,
    *bulk.PAGES,
    *company.PAGES,
    *locking.PAGES,
    *addresses.PAGES,
    *activity.PAGES,
    *delivery.PAGES,
    *settings.PAGES,
    *leaving.PAGES,
    *notices.PAGES,
    *acting.PAGES,
    *interests.PAGES,
    *times.PAGES,
    *windows.PAGES,
    *replay.PAGES,
    *start.PAGES,
    *expecting.PAGES,
    *suggestions.PAGES,
)
_FETCHED = frozenset({"cors", "no-cors"})
#: Failures that lock out a name: links have none, and are not guessed.
_NO_NAMES = 1 << 30


#: What every page is given, where nothing is known of who comes.
_EVERYWHERE: dict[str, object] = {
    "who": None,
    "places": (),
    "groups": (),
    "counts": Counts(),
    "watching": None,
    "path": "",
    "csrf": "",
    "visit": None,
    "done": None,
    "status": None,
    "said": "",
    "filled": status.filled,
    "languages": LANGUAGES,
}


class Room:
    """The pages, as the gateway mounts them."""

    def __init__(self, parts: Parts, texts: Mapping[Language, Texts] | None = None) -> None:
        self._parts = parts
        self._texts = texts or load()
        self._statics = Statics()
        self._rendering = Rendering(self._texts, self._statics)
        self._counting = Counting(parts.store)
        self._there = frozenset(page.path for page in PAGES if page.method == "GET")
        section = parts.configuration.web
        per_place, period = section.failures_per_address, section.failure_period

        def guesses(per_name: int) -> Guesses:
            return Guesses(parts.clock, per_place=per_place, per_name=per_name, period=period)

        home = partial(navigation.home, there=self._there)
        self._inside = Inside(
            parts,
            self._render,
            self._rendering.text,
            home,
            guesses=guesses(_NO_NAMES),
            tries=guesses(per_place),
            watching=Watching(parts.store),
            streams=Counter(),
        )
        self.routes: tuple[Route | Statics, ...] = (
            *(Route(page, self) for page in PAGES),
            self._statics,
        )

    async def serve(
        self, page: Page, request: web.Request, *, client: str, draining: asyncio.Event
    ) -> web.StreamResponse:
        """Answer a visit. What is no failure of the visit's is raised on to the gateway."""
        parts = self._parts
        who = await signed_in(parts.sessions, request, parts.public_url())
        visit = await self._visit(request, who, client=client, draining=draining)
        try:
            if page.who != "anyone":
                if who is None:
                    return _to_sign_in(visit)
                if who.owner.side != page.who:
                    raise missing()
            if page.method == "POST" and not page.bears:
                await visit.take_form(uploads=page.uploads, streams=page.streams)
            return await page.run(visit)
        except Failure as failure:
            return await self._explained(visit, failure)
        except Conflict:
            return await self._explained(visit, Failure(HTTPStatus.PRECONDITION_FAILED))
        except Refused as refusal:
            mistakes = [f"{each.path}: {each.mistake}" for each in refusal.mistakes]
            mistaken = Failure(HTTPStatus.UNPROCESSABLE_ENTITY, mistakes=mistakes)
            return await self._explained(visit, mistaken)

    def failed(
        self, request: web.Request, status: int, headers: Mapping[str, str], reference: str
    ) -> web.Response | None:
        """The page for what the gateway could not have answered; None for programs.

        It looks nobody up: what is wrong may be the store.
        """
        if "text/html" not in request.headers.get("Accept", "") or request.path.startswith("/v1/"):
            return None
        said = {
            "words": words_of(status),
            "failure": Failure(HTTPStatus(status)),
            "reference": reference,
        }
        response = self._rendering.page(
            "failure.html", self._spoken(request), _EVERYWHERE | said, status=status
        )
        response.headers.update(headers)
        return response

    # ---- in ----

    async def _visit(
        self,
        request: web.Request,
        who: SignedIn | None,
        *,
        client: str,
        draining: asyncio.Event,
    ) -> Visit:
        language, zone = await self._person(request, who)
        return Visit(
            request,
            inside=self._inside,
            who=who,
            texts=self._texts[language],
            zone=zone,
            client=client,
            draining=draining,
        )

    async def _person(self, request: web.Request, who: SignedIn | None) -> tuple[Language, tzinfo]:
        """The language and the zone of who comes: a consumer's own, else what the browser says."""
        if who is None or who.owner.side != "consumer":
            return self._spoken(request), ELSEWHERE
        wishes = await self._parts.consumers.wishes(who.owner.id)
        zone = wishes.times.local(self._parts.clock.now()).tzinfo or ELSEWHERE
        return named(wishes.language) or "en", zone

    @staticmethod
    def _spoken(request: web.Request) -> Language:
        return named(request.query.get("lang")) or accepted(
            request.headers.get("Accept-Language", "")
        )

    # ---- out ----

    async def _render(
        self, visit: Visit, template: str, code: int, said: Mapping[str, object]
    ) -> web.Response:
        """A whole page: what every page shows, and what this one does."""
        done = status.read(visit.request.cookies.get(status.COOKIE))
        counts, watching = Counts(), None
        side = visit.who.owner.side if visit.who else None
        shown = tuple(navigation.places(side, self._there)) if side else ()
        if visit.who is not None and visit.who.owner.side == "consumer":
            watching = await self._watching(visit.who.owner.id)
            counts = await self._counting.of(visit.who.owner.id, visit.now, watching)
        everywhere: dict[str, object] = _EVERYWHERE | {
            "who": visit.who,
            "places": shown,
            "groups": navigation.groups(shown),
            "counts": counts,
            "watching": watching,
            "path": visit.request.path,
            "csrf": visit.csrf,
            "visit": visit,
            "done": done,
            "status": status.STATUS[done.code] if done else None,
            "said": _said(visit, done),
        }
        response = self._rendering.page(
            template, visit.language, everywhere | dict(said), status=code
        )
        if done is not None:
            visit.set_cookie(response, status.COOKIE, "", 0)
        return response

    async def _watching(self, consumer: str) -> datetime | None:
        """Since when a consumer only watches; None where mail is filtered."""
        if not (await self._parts.consumers.wishes(consumer)).observes:
            return None
        stored = await self._parts.consumers.stored(consumer)
        return stored.observing if stored else None

    async def _explained(self, visit: Visit, failure: Failure) -> web.Response:
        response = await self._render(
            visit,
            "failure.html",
            failure.status,
            {"words": words_of(failure.status), "failure": failure, "reference": ""},
        )
        response.headers.update(failure.headers)
        return response


class Route(NamedTuple):
    """A page as the gateway mounts it."""

    page: Page
    room: Room

    @property
    def method(self) -> str:
        """GET or POST."""
        return self.page.method

    @property
    def path(self) -> str:
        """The pattern of its path."""
        return self.page.path

    async def serve(
        self, request: web.Request, *, client: str, draining: asyncio.Event
    ) -> web.StreamResponse:
        """Answer a request."""
        return await self.room.serve(self.page, request, client=client, draining=draining)


def _to_sign_in(visit: Visit) -> web.Response:
    """The way to sign in; a module that asks in the background is told so, plainly."""
    if visit.request.headers.get("Sec-Fetch-Mode") in _FETCHED:
        return web.Response(status=HTTPStatus.UNAUTHORIZED)
    response = visit.see("/signin")
    visit.set_cookie(response, session_cookie(visit.request, visit.parts.public_url()), "", 0)
    return response


def _said(visit: Visit, done: status.Said | None) -> str:
    """What was just done, in a sentence; empty where the cookie lacks what it speaks of."""
    try:
        return visit.texts.fill(status.STATUS[done.code].text, done.facts) if done else ""
    except KeyError:
        return ""
