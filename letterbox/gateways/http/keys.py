"""``/v1/vendor/keys``: a vendor's API keys, each shown once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from letterbox.gateways.http.answers import answer, nothing
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Form, Items
from letterbox.gateways.http.problems import Problem
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.vendor import Scope
from letterbox.records.credentials import PREFIX, Listed
from letterbox.registration import MOST_KEYS, TooManyKeys

_PREFIX: Final = re.compile(r"lbk_[0-9A-Za-z]{8}")
_ALL: Final[tuple[Scope, ...]] = ("send", "feedback", "manage")

Days = Annotated[int, Meta(ge=1, le=3650)]
Hours = Annotated[int, Meta(ge=0, le=24 * 30)]


class NewKey(Form, frozen=True):
    """A key to be made. No ``scopes``: all. ``days``: it ends by itself after so many."""

    label: Annotated[str, Meta(max_length=100)] = ""
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)] | None = None
    days: Days | None = None


class Rotation(Form, frozen=True):
    """A key to be replaced, which serves on for ``overlap_hours`` beside the new one."""

    overlap_hours: Hours = 24


class KeyItem(msgspec.Struct, frozen=True):
    """A key by its public prefix. ``used`` is when it was last used, to the hour.

    ``key`` is the secret itself, in the answer that makes it and never again.
    """

    prefix: str
    label: str
    scopes: tuple[Scope, ...]
    issued: datetime
    expires: datetime | UnsetType = UNSET
    used: datetime | UnsetType = UNSET
    key: str | UnsetType = UNSET


def _item(listed: Listed, key: str | UnsetType = UNSET) -> KeyItem:
    row = listed.credential
    return KeyItem(
        prefix=row.prefix,
        label=row.label,
        scopes=row.scopes or _ALL,
        issued=row.issued,
        expires=row.expires or UNSET,
        used=listed.used or UNSET,
        key=key,
    )


async def list_keys(call: Call) -> web.Response:
    """The keys that are good now."""
    items = tuple(map(_item, await call.parts.keys.of(call.owner)))
    return answer(Items(items=items, after=None))


async def issue_key(call: Call) -> web.Response:
    """Make a key; it is shown this once."""
    form = await call.form_if_any(NewKey) or NewKey()
    with _room():
        key = await call.parts.keys.issue(
            call.owner,
            label=form.label,
            scopes=tuple(dict.fromkeys(form.scopes or ())),
            lasts=timedelta(days=form.days) if form.days else None,
        )
    return await _shown(call, key)


async def rotate_key(call: Call) -> web.Response:
    """Make a key like another, which serves on for a while."""
    form = await call.form_if_any(Rotation) or Rotation()
    overlap = timedelta(hours=form.overlap_hours)
    with _room():
        key = await call.parts.keys.rotate(call.owner, _prefix(call), overlap)
    if key is None:
        raise Problem("not-found")
    return await _shown(call, key)


async def revoke_key(call: Call) -> web.Response:
    """Revoke a key, at once."""
    row = await call.parts.keys.find(call.owner, _prefix(call))
    if row is None:
        raise Problem("not-found")
    await call.bare()
    await call.parts.keys.revoke(call.owner, row.prefix)
    return nothing()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except TooManyKeys:
        raise Problem("conflict", f"at most {MOST_KEYS} keys at once; revoke one first") from None


def _prefix(call: Call) -> str:
    """The key that the path names."""
    prefix = call.request.match_info["prefix"]
    if not _PREFIX.fullmatch(prefix):
        raise Problem("not-found")
    return prefix


async def _shown(call: Call, key: str) -> web.Response:
    row = await call.parts.credentials.find(key[:PREFIX])
    if row is None:
        raise Problem("not-found")
    return answer(_item(Listed(row, None), key), status=201)


_WRITE = ("Idempotency-Key",)

ROUTES = (
    Route(
        "GET",
        "/v1/vendor/keys",
        "vendor",
        list_keys,
        "The vendor's keys, without their secrets",
        gives={JSON: Items[KeyItem]},
        problems=(403,),
        scope="manage",
    ),
    Route(
        "POST",
        "/v1/vendor/keys",
        "vendor",
        issue_key,
        "Make a key; its secret is shown this once",
        takes={JSON: NewKey},
        gives={JSON: KeyItem},
        fields=_WRITE,
        problems=(403, 408, 409, 413, 415, 422),
        status=201,
        scope="manage",
        once="secret",
    ),
    Route(
        "POST",
        "/v1/vendor/keys/{prefix}/rotate",
        "vendor",
        rotate_key,
        "Make a key like another, which serves on for overlap_hours",
        takes={JSON: Rotation},
        gives={JSON: KeyItem},
        fields=_WRITE,
        problems=(403, 404, 408, 409, 413, 415, 422),
        status=201,
        scope="manage",
        once="secret",
    ),
    Route(
        "DELETE",
        "/v1/vendor/keys/{prefix}",
        "vendor",
        revoke_key,
        "Revoke a key",
        gives={},
        fields=_WRITE,
        problems=(403, 404, 422),
        status=204,
        scope="manage",
    ),
)
