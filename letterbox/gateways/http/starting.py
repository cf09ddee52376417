"""``/v1/me/import`` and ``/v1/me/expecting``: who writes already, and mail that is awaited."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from aiohttp import web

from letterbox.gateways.http.answers import answer, nothing
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Form, Items, Nothing
from letterbox.gateways.http.preferences import refusals
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.preferences import Expecting, Word
from letterbox.model.proposal import Choice, Proposal
from letterbox.reading.mbox import NotAnMbox
from letterbox.reading.sieve import NoSieve
from letterbox.records.imports import Elsewhere, Imported, Source, TooManySources
from letterbox.starting import Adopted, NotThere, SieveRead
from letterbox.starting.expecting import LASTS, LONGEST
from letterbox.starting.upload import Busy, ReaderLost, TooLarge
from letterbox.wishes import Mistake
from letterbox.wishes.expecting import key_of

_MBOX: Final = "application/mbox"
_KEY: Final = re.compile(r"[\s\S]{1,400}")
_HOUR: Final = timedelta(hours=1)


class ImportItem(msgspec.Struct, frozen=True):
    """What was found of old mail. ``over``: mails of senders for whom there was no more room."""

    begun: datetime
    at: datetime
    read: int
    unread: int
    over: int
    companies: int
    people: int
    sources: tuple[Source, ...]


class ProposalItem(msgspec.Struct, frozen=True):
    """A company or a person who wrote; ``key`` names it among choices."""

    key: str
    proposal: Proposal


class Choices(Form, frozen=True):
    """What becomes of proposals, by their keys; all of it is one change."""

    choices: Annotated[dict[str, Choice], msgspec.Meta(max_length=5_000)]


class Script(Form, frozen=True):
    """A Sieve script. ``dry_run``: only say what it maps to, and what does not map."""

    script: Annotated[str, msgspec.Meta(max_length=1 << 20)]
    dry_run: bool = False


class Expect(Form, frozen=True):
    """Mail to be expected of a ``vendor`` (id or domain), at a new ``address``, or both."""

    vendor: Word | None = None
    address: bool = False
    hours: Annotated[int, msgspec.Meta(ge=1, le=LONGEST // _HOUR)] = LASTS // _HOUR


class ExpectingItem(msgspec.Struct, frozen=True):
    """What is expected. ``over``: its time is over, and nothing comes by it any more.

    ``made`` is the address that was made for it, in the answer to the call that made it.
    """

    key: str
    expecting: Expecting
    over: bool
    made: str | None = None


async def get_import(call: Call) -> web.Response:
    """What was found of old mail, and how far it was read."""
    imported, proposals = await _found(call)
    people = sum(each.is_person for each in proposals)
    item = ImportItem(
        begun=imported.begun,
        at=imported.at,
        read=imported.read,
        unread=imported.unread,
        over=imported.over,
        companies=len(proposals) - people,
        people=people,
        sources=tuple(imported.sources.values()),
    )
    return answer(item)


async def list_proposals(call: Call) -> web.Response:
    """The companies that were found, whoever wrote most first; with ``people=1`` persons, too."""
    _, proposals = await _found(call)
    people = call.number("people", 1) == 1
    shown = [each for each in proposals if people or not each.is_person]
    after = call.after(_KEY)
    begin = next((nth for nth, each in enumerate(shown, 1) if each.key == after), 0)
    page = shown[begin : begin + call.limit]
    more = begin + len(page) < len(shown)
    items = tuple(ProposalItem(key=each.key, proposal=each) for each in page)
    return answer(Items(items=items, after=page[-1].key if more else None))


async def choose(call: Call) -> web.Response:
    """Carry choices out: what cannot be is named, the rest is one change."""
    form = await call.form(Choices)
    _, proposals = await _found(call)
    with refusals():
        adopted = await call.parts.adoption.adopt(
            call.owner, proposals, form.choices, now=call.parts.clock.now(), by="import"
        )
    return answer(adopted)


async def read_mbox(call: Call) -> web.Response:
    """Read an mbox as it comes; the same file again goes on where it was cut off."""
    call.expect(_MBOX)
    try:
        source = await call.parts.uploads.read(
            call.owner, _pieces(call), call.request.content_length or 0
        )
    except NotAnMbox:
        allowed = "an mbox (RFC 4155), unchanged where it was read before"
        raise mistaken(Mistake(path="(all)", mistake="it is none", allowed=allowed)) from None
    except TooLarge:
        most = call.parts.uploads.most
        raise Problem("too-large", f"at most {most:,} octets are taken here", close=True) from None
    except (Elsewhere, TooManySources):
        detail = "it is read by another call just now, or too many files were read before"
        raise Problem("conflict", detail) from None
    except (Busy, ReaderLost):
        raise Problem("unavailable", "other files are read just now", close=True) from None
    return answer(source)


async def _pieces(call: Call) -> AsyncIterator[bytes]:
    """The body, of which each piece comes in time."""
    seconds = call.parts.configuration.http.body_timeout
    try:
        while True:
            async with asyncio.timeout(seconds):
                piece = await call.request.content.readany()
            if not piece:
                return
            yield piece
    except TimeoutError:
        detail = f"nothing has come for {seconds:g} s; the same file goes on from there"
        raise Problem("timeout", detail, close=True) from None
    except web.RequestPayloadError:
        raise Problem("bad-request", "the body is not framed as HTTP has it", close=True) from None


async def read_script(call: Call) -> web.Response:
    """Allow and lock out whom a Sieve script keeps and refuses."""
    form = await call.form(Script)
    try:
        with refusals():
            done = await call.parts.sieve.adopt(
                call.owner, form.script, now=call.parts.clock.now(), dry_run=form.dry_run
            )
    except NoSieve as no:
        allowed = "a script of RFC 5228"
        raise mistaken(Mistake(path="script", mistake=str(no), allowed=allowed)) from None
    return answer(done)


async def forget(call: Call) -> web.Response:
    """Forget what was found; the rules stay."""
    if not await call.parts.imports.forget(call.owner):
        raise Problem("not-found")
    return nothing()


async def _found(call: Call) -> tuple[Imported, list[Proposal]]:
    imported = await call.parts.imports.of(call.owner)
    if imported is None:
        raise Problem("not-found")
    return imported, await call.parts.adoption.proposals(call.owner, imported.found)


# ---- what is expected ----


async def list_expecting(call: Call) -> web.Response:
    """What is expected, and what was and waits for the consumer's word."""
    expecting = await call.parts.expectations.of(call.owner)
    return answer(Items(items=tuple(_item(call, each) for each in expecting), after=None))


async def expect(call: Call) -> web.Response:
    """Expect mail for a time."""
    form = await call.form(Expect)
    if form.vendor is None and not form.address:
        mistake = "it is of nobody, and at no address"
        raise mistaken(
            Mistake(path="vendor", mistake=mistake, allowed="a vendor, address, or both")
        )
    with refusals(), _there():
        opened = await call.parts.expectations.open(
            call.owner, vendor=form.vendor, lasts=form.hours * _HOUR, address=form.address
        )
    item = msgspec.structs.replace(_item(call, opened.expecting), made=opened.address)
    return answer(item, status=201)


async def keep(call: Call) -> web.Response:
    """Go on taking the vendor's mail: a relationship in place of the opening."""
    await call.bare()
    with refusals(), _there():
        await call.parts.expectations.keep(call.owner, _key(call))
    return nothing()


async def close(call: Call) -> web.Response:
    """Expect it no longer."""
    with refusals(), _there():
        await call.parts.expectations.close(call.owner, _key(call))
    return nothing()


def _item(call: Call, expecting: Expecting) -> ExpectingItem:
    over = expecting.until <= call.parts.clock.now()
    return ExpectingItem(key=key_of(expecting), expecting=expecting, over=over)


def _key(call: Call) -> str:
    key: str = call.request.match_info["id"]
    return key


@contextmanager
def _there() -> Iterator[None]:
    try:
        yield
    except NotThere:
        raise Problem("not-found") from None


_IMPORT: Final = "/v1/me/import"
_EXPECTING: Final = "/v1/me/expecting"
_ONCE: Final = ("Idempotency-Key",)

ROUTES: Final = (
    Route(
        "GET", _IMPORT, "consumer", get_import,
        "What was found of old mail, and how far it was read",
        gives={JSON: ImportItem}, problems=(404,),
    ),
    Route(
        "DELETE", _IMPORT, "consumer", forget, "Forget what was found of old mail",
        gives={}, status=204, fields=_ONCE, problems=(404,),
    ),
    Route(
        "POST", f"{_IMPORT}/mbox", "consumer", read_mbox,
        "Have an mbox read as it comes; it is kept nowhere",
        takes={_MBOX: None}, gives={JSON: Source}, problems=(408, 409, 413, 415, 422),
    ),
    Route(
        "GET", f"{_IMPORT}/proposals", "consumer", list_proposals,
        "Who wrote, how often and what kind, each with the relationship that is suggested",
        gives={JSON: Items[ProposalItem]}, query=("people", "after", "limit"),
        problems=(404, 422), cursor=_KEY.pattern,
    ),
    Route(
        "POST", f"{_IMPORT}/choices", "consumer", choose,
        "Allow, limit and lock out who was found, as one change",
        takes={JSON: Choices}, gives={JSON: Adopted}, fields=_ONCE,
        problems=(404, 408, 412, 413, 415, 422),
    ),
    Route(
        "POST", f"{_IMPORT}/sieve", "consumer", read_script,
        "Allow and lock out whom a Sieve script keeps and refuses, as one change",
        takes={JSON: Script}, gives={JSON: SieveRead}, fields=_ONCE,
        problems=(404, 408, 412, 413, 415, 422),
    ),
    Route(
        "GET", _EXPECTING, "consumer", list_expecting,
        "Mail that is expected, and what was and waits for a word",
        gives={JSON: Items[ExpectingItem]},
    ),
    Route(
        "POST", _EXPECTING, "consumer", expect,
        "Expect mail for a time: of a vendor, at a new address, or both",
        takes={JSON: Expect}, gives={JSON: ExpectingItem}, status=201, fields=_ONCE,
        problems=(404, 408, 412, 413, 415, 422),
    ),
    Route(
        "POST", f"{_EXPECTING}/{{id}}/keep", "consumer", keep,
        "Go on taking a vendor's mail that was expected",
        takes={JSON: Nothing}, gives={}, status=204, fields=_ONCE,
        problems=(404, 408, 412, 413, 415, 422),
    ),
    Route(
        "DELETE", f"{_EXPECTING}/{{id}}", "consumer", close, "Expect it no longer",
        gives={}, status=204, fields=_ONCE, problems=(404, 412, 422),
    ),
)  # fmt: skip
