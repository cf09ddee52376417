"""``/addresses``: who was given which, and who uses it."""

from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote

from aiohttp import web

from letterbox.model.address import parse_address
from letterbox.model.preferences import BoundAddress
from letterbox.records.consumers import Refused, Stored
from letterbox.records.pieces import Piece, key_in_path, name_of_piece
from letterbox.web.companies import Company, all_of, stored_of
from letterbox.web.failures import Failure, missing
from letterbox.web.rules import facts_of_change, revision_of
from letterbox.web.traffic import Traffic, Use
from letterbox.web.visit import Page, Visit
from letterbox.wishes import name_of

_PATH: Final = "/addresses"


class Row(NamedTuple):
    """An address. ``given`` is the company it was given to; ``outsiders`` are others who use it."""

    piece: Piece
    address: str
    given: str
    outsiders: list[Use]
    users: list[Use]

    @property
    def path(self) -> str:
        """Where it is given up."""
        return f"{_PATH}/{quote(self.piece.id, safe='')}/remove"


async def show_list(visit: Visit) -> web.Response:
    """Every address."""
    return await _page(visit)


async def make(visit: Visit) -> web.Response:
    """One address more, below one of one's own; for one company alone, or for all."""
    stored = await stored_of(visit)
    word, base, given = visit.field("word").lower(), visit.field("base"), visit.field("given")
    mistakes: dict[str, str] = {}
    bases = _bases(stored)
    if base not in bases:
        raise Failure(HTTPStatus.BAD_REQUEST)
    local, _, domain = base.rpartition("@")
    address = f"{local}+{word}@{domain}"
    if not word or "@" in word or parse_address(address) is None:
        mistakes["word"] = visit.say("Write one word: letters, digits, - or a full stop.")
    elif ("address", name_of_piece(address)) in stored.pieces:
        mistakes["word"] = visit.say("You have this address already.")
    keys = {each.rule.vendor or each.rule.domain for each in await all_of(visit, stored)}
    if given and given not in keys:
        mistakes["given"] = visit.say("Choose a company of yours.")
    if mistakes:
        return await _page(visit, mistakes=mistakes)
    value = BoundAddress(address=address, vendor=given) if given else address
    before = await revision_of(visit)
    try:
        await visit.parts.consumers.revise_piece(
            visit.consumer,
            ("address", name_of_piece(value)),
            value,
            expect=0,
            now=visit.now,
        )
    except Refused:
        mistakes["word"] = visit.say("This address cannot be had. Choose another word.")
        return await _page(visit, mistakes=mistakes)
    facts = await facts_of_change(visit, before)
    return visit.see(_PATH, "address-made", address=address, **facts)


async def show_removal(visit: Visit) -> web.Response:
    """Who is cut off when an address is given up."""
    row, below = await _one(visit)
    return await visit.page("address_removal.html", row=row, below=below)


async def remove(visit: Visit) -> web.Response:
    """Give an address up."""
    row, below = await _one(visit)
    if below:
        raise Failure(HTTPStatus.CONFLICT)
    if visit.field("revision") != str(row.piece.revision):
        raise Failure(HTTPStatus.PRECONDITION_FAILED)
    before = await revision_of(visit)
    await visit.parts.consumers.revise_piece(
        visit.consumer, row.piece.key, None, expect=row.piece.revision, now=visit.now
    )
    facts = await facts_of_change(visit, before)
    return visit.see(_PATH, "address-removed", address=row.address, **facts)


# ---- read ----


async def _page(visit: Visit, *, mistakes: dict[str, str] | None = None) -> web.Response:
    stored = await stored_of(visit)
    companies = await all_of(visit, stored)
    choices = {
        each.rule.vendor or each.rule.domain or "": each.name
        for each in companies
        if not each.rule.address
    }
    return await visit.page(
        "addresses.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if mistakes else HTTPStatus.OK,
        rows=await _rows(visit, stored, companies),
        bases=_bases(stored),
        companies=dict(sorted(choices.items(), key=lambda each: each[1].lower())),
        mistakes=mistakes or {},
        typed=visit.field,
    )


async def _rows(visit: Visit, stored: Stored, companies: list[Company]) -> list[Row]:
    traffic = await visit.inside.watching.of(visit.consumer, visit.now)
    pieces = [piece for piece in stored.pieces.values() if piece.sort == "address"]
    rows = [
        _row(piece, companies, _used(stored, traffic, piece))
        for piece in sorted(pieces, key=lambda piece: (piece.place, piece.id))
    ]
    return sorted(rows, key=lambda row: not row.outsiders)


def _used(stored: Stored, traffic: Traffic, piece: Piece) -> list[Use]:
    """Who uses an address, or one below it that is none of its own; the latest first."""
    found: dict[str, Use] = {}
    for address, uses in traffic.uses.items():
        parsed = parse_address(address)
        mailbox = name_of_piece(str(parsed.mailbox)) if parsed else ""
        name = address if ("address", address) in stored.pieces else mailbox
        if name != piece.id:
            continue
        for use in uses:
            if use.vendor not in found or found[use.vendor].last < use.last:
                found[use.vendor] = use
    return sorted(found.values(), key=lambda use: use.last, reverse=True)


def _row(piece: Piece, companies: list[Company], used: list[Use]) -> Row:
    value = piece.value
    bound = value.vendor if isinstance(value, BoundAddress) else None
    address = value.address if isinstance(value, BoundAddress) else str(value)
    if not bound:
        return Row(piece, address, "", [], used)
    given = next(
        (each for each in companies if name_of(bound) in {each.piece.id, each.vendor.id}), None
    )
    owner = given.vendor.id if given else name_of(bound)
    outsiders = [use for use in used if use.vendor != owner]
    users = [use for use in used if use.vendor == owner]
    return Row(piece, address, given.name if given else bound, outsiders, users)


async def _one(visit: Visit) -> tuple[Row, list[str]]:
    """An address, and those below it that have to go first."""
    stored = await stored_of(visit)
    name = key_in_path("address", visit.request.match_info["id"])
    rows = await _rows(visit, stored, await all_of(visit, stored))
    row = next((row for row in rows if row.piece.id == name), None)
    if row is None:
        raise missing()
    local, _, domain = name.rpartition("@")
    below = [
        other.address
        for other in rows
        if other.piece.id.startswith(f"{local}+") and other.piece.id.endswith(f"@{domain}")
    ]
    return row, below


def _bases(stored: Stored) -> list[str]:
    """The addresses that others may be below."""
    names = [name for sort, name in stored.pieces if sort == "address"]
    return [name for name in names if "+" not in name.rpartition("@")[0]]


PAGES = (
    Page("GET", _PATH, "consumer", show_list),
    Page("POST", _PATH, "consumer", make),
    Page("GET", f"{_PATH}/{{id}}/remove", "consumer", show_removal),
    Page("POST", f"{_PATH}/{{id}}/remove", "consumer", remove),
)
