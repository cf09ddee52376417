"""``/v1/me/interests``, ``windows``, ``vendors``, ``addresses``: what is declared, one by one."""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from letterbox.gateways.http.answers import answer, nothing
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.conditions import etag, guard, unchanged
from letterbox.gateways.http.forms import Items, Nothing
from letterbox.gateways.http.preferences import declared, refusals
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, PAGED, Route
from letterbox.model.preferences import BoundAddress, Interest, VendorRule, Window
from letterbox.records.pieces import Key, Piece, Sort, Value, key_in_path, name_of_piece
from letterbox.wishes import Mistake

_Form = TypeVar("_Form", bound=msgspec.Struct)
_NAME: Final = re.compile(r"[\s\S]{1,400}")


class PieceItem(msgspec.Struct, Generic[_Form], frozen=True):
    """One piece in a list. ``id`` and ``etag`` are for the calls about it alone.

    ``unconfirmed`` stands at a relationship that rests until it is confirmed: since when the
    vendor's domain is in other hands.
    """

    id: str
    etag: str
    value: _Form
    unconfirmed: datetime | UnsetType = UNSET


class _Collection(NamedTuple):
    """One list of the preferences as a collection of pieces."""

    path: str
    sort: Sort
    form: Any
    listed: Any
    noun: str

    async def list_(self, call: Call) -> web.Response:
        """The pieces in their order."""
        stored = await declared(call)
        own = [piece for piece in stored.pieces.values() if piece.sort == self.sort]
        own.sort(key=lambda piece: (piece.place, piece.id))
        after = call.after(_NAME)
        begin = 0
        if after is not None:
            begin = next((nth for nth, piece in enumerate(own, 1) if piece.id == after), len(own))
        page = own[begin : begin + call.limit]
        more = begin + len(page) < len(own)
        items = tuple([
            PieceItem(
                id=piece.id,
                etag=etag(piece.revision),
                value=_shown(piece),
                unconfirmed=await _unconfirmed(call, piece),
            )
            for piece in page
        ])  # fmt: skip
        return answer(Items(items=items, after=page[-1].id if more else None))

    async def get(self, call: Call) -> web.Response:
        """One piece, with its ETag."""
        stored = await declared(call)
        piece = stored.pieces.get(self._key(call))
        if piece is None:
            raise Problem("not-found")
        return unchanged(call, piece.revision) or _answered(piece)

    async def put(self, call: Call) -> web.Response:
        """Replace one piece, or declare it."""
        key, revision = await self._guarded(call)
        value = await call.form(self.form)
        name = name_of_piece(value) or (key[1] if key[1].startswith("~") else "")
        if name != key[1]:
            raise mistaken(_other_name(value, key[1]))
        with refusals():
            piece = await call.parts.consumers.revise_piece(
                call.owner, key, _stored(value), expect=revision, now=call.parts.clock.now()
            )
        if piece is None:
            raise Problem("not-found")
        return _answered(piece)

    async def post(self, call: Call) -> web.Response:
        """Declare one piece more."""
        value = await call.form(self.form)
        name = name_of_piece(value)
        if name and (self.sort, name) in (await declared(call)).pieces:
            place = f"/v1/me/{self.path}/{quote(name, safe='')}"
            raise Problem("conflict", f"{name!r} is there already; PUT {place} changes it.")
        with refusals():
            piece = await call.parts.consumers.revise_piece(
                call.owner,
                (self.sort, name) if name else self.sort,
                _stored(value),
                expect=0,
                now=call.parts.clock.now(),
            )
        if piece is None:
            raise Problem("not-found")
        response = _answered(piece)
        response.set_status(web.HTTPCreated.status_code)
        response.headers["Location"] = f"/v1/me/{self.path}/{quote(piece.id, safe='')}"
        return response

    async def delete(self, call: Call) -> web.Response:
        """Take one piece away."""
        key, revision = await self._guarded(call)
        if not revision:
            raise Problem("not-found")
        with refusals():
            await call.parts.consumers.revise_piece(
                call.owner, key, None, expect=revision, now=call.parts.clock.now()
            )
        return nothing()

    async def confirm(self, call: Call) -> web.Response:
        """Say of a relationship that it is to go on as it is."""
        await call.bare()
        key = self._key(call)
        piece = (await declared(call)).pieces.get(key)
        if piece is None:
            raise Problem("not-found")
        if await _unconfirmed(call, piece) is UNSET:
            return _answered(piece)
        with refusals():
            again = await call.parts.consumers.revise_piece(
                call.owner,
                key,
                piece.value,
                expect=piece.revision,
                now=call.parts.clock.now(),
                by="confirm",
                confirms=True,
            )
        if again is None:
            raise Problem("not-found")
        return _answered(again)

    async def _guarded(self, call: Call) -> tuple[Key, int]:
        """What a change is about, and the revision it is made in; 0 where it is not there yet."""
        key = self._key(call)
        piece = (await declared(call)).pieces.get(key)
        if piece is None and "If-None-Match" not in call.request.headers:
            raise Problem("not-found")
        revision = piece.revision if piece else 0
        guard(call, revision)
        return key, revision

    def _key(self, call: Call) -> Key:
        return self.sort, key_in_path(self.sort, call.request.match_info["id"])


async def _unconfirmed(call: Call, piece: Piece) -> datetime | UnsetType:
    """Since when a relationship rests, because a domain has changed hands; else nothing."""
    if not isinstance(piece.value, VendorRule):
        return UNSET
    changed = await call.parts.vendors.changed(piece.value)
    return changed if changed is not None and piece.at < changed else UNSET


def _answered(piece: Piece) -> web.Response:
    return answer(_shown(piece), headers={"ETag": etag(piece.revision)})


def _shown(piece: Piece) -> Any:
    """A piece in its one form: an address is written long."""
    value = piece.value
    return BoundAddress(address=value) if isinstance(value, str) else value


def _stored(value: Value) -> Value:
    """A piece as the whole document has it: an address that is nobody's alone is written short."""
    if isinstance(value, BoundAddress) and value.vendor is None:
        return value.address
    return value


def _other_name(value: Value, name: str) -> Mistake:
    match value:
        case Interest() | Window():
            path = "id"
        case VendorRule():
            path = next(
                f for f in ("vendor", "domain", "address") if getattr(value, f) or f == "address"
            )
        case _:
            path = "address"
    given = getattr(value, path)
    allowed = "no id" if name.startswith("~") else f"{name[:200]}, which the path names"
    return Mistake(path=path, mistake=f"{given!r} is another than the path names", allowed=allowed)


def _named(
    run: Callable[[Call], Awaitable[web.StreamResponse]], name: str
) -> Callable[[Call], Awaitable[web.StreamResponse]]:
    """The handler under a name of its own, by which the description knows it."""

    async def named(call: Call) -> web.StreamResponse:
        return await run(call)

    named.__name__ = name
    return named


def _routes(of: _Collection) -> tuple[Route, ...]:
    path, one = f"/v1/me/{of.path}", f"/v1/me/{of.path}/{{id}}"
    noun, many = of.noun, of.path
    writing = (404, 408, 412, 413, 415, 422, 428)
    return (
        Route(
            "GET", path, "consumer", _named(of.list_, f"list_{many}"),
            f"The {many} declared, in order", gives={JSON: of.listed},
            query=PAGED, cursor=_NAME.pattern, problems=(404, 422),
        ),
        Route(
            "POST", path, "consumer", _named(of.post, f"post_{noun}"),
            f"Declare one {noun} more", takes={JSON: of.form}, gives={JSON: of.form}, status=201,
            fields=("Idempotency-Key",), problems=(404, 408, 409, 412, 413, 415, 422),
        ),
        Route(
            "GET", one, "consumer", _named(of.get, f"get_{noun}"),
            f"One {noun}, with its ETag", gives={JSON: of.form},
            fields=("If-None-Match",), problems=(404,),
        ),
        Route(
            "PUT", one, "consumer", _named(of.put, f"put_{noun}"),
            f"Replace one {noun}; If-Match guards it, If-None-Match: * declares it",
            takes={JSON: of.form}, gives={JSON: of.form},
            fields=("If-Match", "If-None-Match", "Idempotency-Key"), problems=writing,
        ),
        Route(
            "DELETE", one, "consumer", _named(of.delete, f"delete_{noun}"),
            f"Take one {noun} away; If-Match guards it", gives={}, status=204,
            fields=("If-Match", "Idempotency-Key"), problems=(404, 412, 422, 428),
        ),
    )  # fmt: skip


_VENDORS = _Collection("vendors", "vendor", VendorRule, Items[PieceItem[VendorRule]], "vendor")

ROUTES: Final = (
    *(
        route
        for collection in (
            _Collection("interests", "interest", Interest, Items[PieceItem[Interest]], "interest"),
            _Collection("windows", "window", Window, Items[PieceItem[Window]], "window"),
            _VENDORS,
            _Collection(
                "addresses", "address", BoundAddress, Items[PieceItem[BoundAddress]], "address"
            ),
        )
        for route in _routes(collection)
    ),
    Route(
        "POST", "/v1/me/vendors/{id}/confirm", "consumer",
        _named(_VENDORS.confirm, "confirm_vendor"),
        "Let a relationship go on that rests because a domain has changed hands",
        takes={JSON: Nothing}, gives={JSON: VendorRule},
        fields=("Idempotency-Key",), problems=(404, 408, 412, 413, 415, 422),
    ),
)  # fmt: skip
