"""``/start``: the companies that a person's old mail names, and what is to become of them.

The mail is read as it is uploaded and kept nowhere; what was found is a table, in which each
company is allowed, limited, locked out or left, all of them as one change.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from letterbox.model.fold import fold
from letterbox.model.preferences import each_limit
from letterbox.model.proposal import Choice, Do, Proposal
from letterbox.reading.mbox import NotAnMbox
from letterbox.reading.sieve import NoSieve
from letterbox.records.imports import Elsewhere, Imported, Source, TooManySources
from letterbox.starting import Adopted
from letterbox.starting.upload import Busy, ReaderLost, TooLarge
from letterbox.web.companies import STANDINGS, limit, names_of
from letterbox.web.failures import Failure
from letterbox.web.kinds import KINDS
from letterbox.web.rules import facts_of_change, revision_of
from letterbox.web.texts import N_
from letterbox.web.visit import Page, Visit

_PATH: Final = "/start"
#: Rows of one page, and so of one form.
_ROWS: Final = 250
#: A mailbox that nobody has gone on with for so long is not being read.
_STOPPED: Final = timedelta(minutes=2)
_NAMED: Final = 3
#: The field of a row's choice begins so.
_DO: Final = "do:"
_DOS: Final = {
    "leave": N_("leave as it is"),
    "allow": N_("allow"),
    "limit": N_("limit"),
    "lock-out": N_("lock out"),
}
_SHOWN: Final = {
    "new": N_("new ones"),
    "all": N_("all companies"),
    "people": N_("people who write to you"),
}


#: Why a line of a script does not map (:mod:`letterbox.reading.sieve`), to be found by the words.
WHYS: Final = (
    N_("it is about all other mail; who is not on the list is a newcomer"),
    N_("it is about all mail, not about one sender"),
    N_("nothing but keeping and refusing maps"),
    N_("it both keeps and refuses"),
    N_("it tests something else than who wrote"),
    N_("it matches in a way that a relationship cannot"),
    N_("it tests another field than who wrote"),
    N_("it is no domain and no address"),
)


class Row(NamedTuple):
    """A suggestion in words."""

    proposal: Proposal
    kinds: str
    limit: str


class Progress(NamedTuple):
    """How far a mailbox is. ``share`` is of 100; ``reading``: it goes on just now."""

    source: Source
    share: int
    reading: bool


async def show(visit: Visit) -> web.Response:
    """What was found, and how to have more read."""
    return await _page(visit)


async def show_progress(visit: Visit) -> web.Response:
    """How far it is, as a piece of the page."""
    imported = await visit.parts.imports.of(visit.consumer)
    return await visit.page("start_progress.html", **_course(visit, imported))


async def read(visit: Visit) -> web.Response:
    """Read an mbox as it comes."""
    if visit.coming is None:
        return await _page(visit, mistakes={"mbox": visit.say("Choose a file.")})
    try:
        source = await visit.parts.uploads.read(visit.consumer, visit.coming, visit.coming_size)
    except NotAnMbox:
        said = visit.say(
            "This is no mbox, or it has changed since it was read last. Its first line begins "
            "with “From ”."
        )
        return await _page(visit, mistakes={"mbox": said})
    except TooLarge:
        most = _most(visit)
        said = visit.say("The file is larger than %(most)s MB. Split it.", most=most)
        return await _page(visit, mistakes={"mbox": said})
    except TooManySources:
        said = visit.say("So many files were read already. Forget what was found, to begin anew.")
        return await _page(visit, mistakes={"mbox": said})
    except Elsewhere:
        raise Failure(HTTPStatus.CONFLICT) from None
    except (Busy, ReaderLost):
        raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, retry_after=60) from None
    return visit.see(_PATH, "mail-read", count=str(source.read + source.unread))


async def choose(visit: Visit) -> web.Response:
    """Carry out what was chosen of each: one change."""
    choices = {}
    rest = visit.field("rest")
    for key in visit.fields("key"):
        do = visit.field(_DO + key)
        do = rest if do in {"leave", ""} and rest else do
        try:
            choices[key] = Choice(do=msgspec.convert(do, Do))
        except msgspec.ValidationError:
            raise Failure(HTTPStatus.BAD_REQUEST) from None
    imported = await visit.parts.imports.of(visit.consumer)
    found = imported.found if imported else {}
    proposals = await visit.parts.adoption.proposals(visit.consumer, found)
    before = await revision_of(visit)
    adopted = await visit.parts.adoption.adopt(
        visit.consumer, proposals, choices, expect=before, now=visit.now, by="import"
    )
    return await _done(visit, adopted, before)


async def _done(visit: Visit, adopted: Adopted, before: int) -> web.Response:
    """Say what became of choices, with the way back."""
    left = ", ".join(each.key for each in adopted.failed[:_NAMED])
    if len(adopted.failed) > _NAMED:
        left += f" (+{len(adopted.failed) - _NAMED})"
    count = str(len(adopted.changed))
    facts = await facts_of_change(visit, before)
    if not adopted.changed and not left:
        return visit.see(_PATH, "nothing-changed")
    if left:
        return visit.see(_PATH, "choices-made-some", count=count, left=left, **facts)
    return visit.see(_PATH, "choices-made", count=count, **facts)


async def read_script(visit: Visit) -> web.Response:
    """What a Sieve script maps to; with ``do``, carry it out."""
    script = visit.raw("script")
    before = await revision_of(visit)
    try:
        done = await visit.parts.sieve.adopt(
            visit.consumer, script, now=visit.now, dry_run=visit.field("do") != "yes"
        )
    except NoSieve as no:
        said = visit.say("This is no Sieve script: line %(line)s cannot be read.", line=no.line)
        return await _page(visit, mistakes={"script": said})
    if done.adopted is not None:
        return await _done(visit, done.adopted, before)
    return await visit.page("start_sieve.html", script=script, done=done, dos=names_of(_DOS, visit))


async def forget(visit: Visit) -> web.Response:
    """Forget what was found. The rules stay."""
    await visit.parts.imports.forget(visit.consumer)
    return visit.see(_PATH, "mail-forgotten")


# ---- read ----


async def _page(visit: Visit, *, mistakes: dict[str, str] | None = None) -> web.Response:
    imported = await visit.parts.imports.of(visit.consumer)
    found = imported.found if imported else {}
    proposals = await visit.parts.adoption.proposals(visit.consumer, found)
    shown = visit.asked("show") if visit.asked("show") in _SHOWN else "new"
    q = visit.asked("q")
    rows = [each for each in proposals if _is_asked(each, shown, q)]
    begin = _begin(visit, len(rows))
    asked = {name: value for name, value in (("show", shown), ("q", q)) if value}
    after = begin + _ROWS
    return await visit.page(
        "start.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if mistakes else HTTPStatus.OK,
        imported=imported,
        companies=sum(not each.is_person for each in proposals),
        people=sum(each.is_person for each in proposals),
        rows=_rows(visit, rows[begin:after]),
        found=len(rows),
        before=_address(asked, begin - _ROWS) if begin else "",
        next=_address(asked, after) if after < len(rows) else "",
        q=q,
        show=shown,
        shows=names_of(_SHOWN, visit),
        dos=names_of(_DOS, visit),
        standings=names_of(STANDINGS, visit),
        most=_most(visit),
        typed=visit.raw,
        mistakes=mistakes or {},
        **_course(visit, imported),
    )


def _course(visit: Visit, imported: Imported | None) -> dict[str, Any]:
    """How far the last mailbox is, and what was counted of all of them."""
    source = imported.newest if imported else None
    if imported is None or source is None:
        return {"progress": None, "read": 0, "unread": 0, "over": 0}
    share = 100 if source.ended else min(99, 100 * source.done // max(source.total, 1))
    reading = not source.ended and visit.now - source.at < _STOPPED
    return {
        "progress": Progress(source, share, reading),
        "read": imported.read,
        "unread": imported.unread,
        "over": imported.over,
    }


def _most(visit: Visit) -> str:
    return str(visit.parts.uploads.most // 1024**2)


def _is_asked(proposal: Proposal, shown: str, q: str) -> bool:
    if proposal.is_person != (shown == "people") or (shown == "new" and proposal.known):
        return False
    text = fold(f"{proposal.name} {proposal.key} {' '.join(proposal.authors)}")
    return all(word in text for word in fold(q).split())


def _rows(visit: Visit, proposals: Sequence[Proposal]) -> Iterable[Row]:
    for each in proposals:
        kinds = ", ".join(
            f"{visit.say(KINDS[kind])}: {number}" for kind, number in each.kinds.items()
        )
        limits = each_limit(each.rule.limit)
        yield Row(each, kinds, "; ".join(limit(visit, one) for one in limits))


def _begin(visit: Visit, rows: int) -> int:
    asked = visit.asked("from")
    begin = int(asked) if asked.isdecimal() and len(asked) < len("100000") else 0
    return begin - begin % _ROWS if begin < rows else 0


def _address(asked: dict[str, str], begin: int) -> str:
    return f"{_PATH}?{urlencode(asked | {'from': str(begin)})}"


PAGES = (
    Page("GET", _PATH, "consumer", show),
    Page("GET", f"{_PATH}/progress", "consumer", show_progress),
    Page("POST", f"{_PATH}/mbox", "consumer", read, streams=True),
    Page("POST", f"{_PATH}/choices", "consumer", choose),
    Page("POST", f"{_PATH}/sieve", "consumer", read_script),
    Page("POST", f"{_PATH}/forget", "consumer", forget),
)
