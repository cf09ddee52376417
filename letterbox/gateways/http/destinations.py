"""``/v1/me/destinations``: mailboxes of a consumer's elsewhere, each confirmed by its reader."""

from datetime import datetime, timedelta
from typing import Annotated, NoReturn

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from letterbox.gateways.http.answers import answer, nothing
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Form, Items, Nothing
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.destination import Destination, DestinationKind, LetterState
from letterbox.records.destinations import MOST, AskedEnough, TooMany, Unfit
from letterbox.wishes import Mistake

_LONGEST_ADDRESS = 320


class NewDestination(Form, frozen=True):
    """A mailbox of one's own, to be confirmed by the letter that is sent there."""

    address: Annotated[
        str,
        Meta(
            min_length=3,
            max_length=_LONGEST_ADDRESS,
            description="a mail address elsewhere, such as anna@provider.example",
        ),
    ]


class DestinationItem(msgspec.Struct, frozen=True):
    """A mailbox. Mail goes there only once it has a ``confirmed_at``.

    Until then ``letter`` says what became of the letter that asks, and ``detail`` what the
    mailbox's server said of it.
    """

    id: str
    kind: DestinationKind
    address: str
    added_at: datetime
    confirmed_at: datetime | None
    letter: LetterState | UnsetType = UNSET
    detail: str | UnsetType = UNSET


def _item(row: Destination) -> DestinationItem:
    waits = row.confirmed_at is None
    return DestinationItem(
        id=row.id,
        kind=row.kind,
        address=row.address,
        added_at=row.added_at,
        confirmed_at=row.confirmed_at,
        letter=row.letter if waits else UNSET,
        detail=row.detail if waits and row.detail else UNSET,
    )


async def list_destinations(call: Call) -> web.Response:
    """All of them, the oldest first."""
    rows = await call.parts.elsewhere.destinations.listed(call.owner)
    return answer(Items(items=tuple(map(_item, rows)), after=None))


async def add_destination(call: Call) -> web.Response:
    """Add one, and send it the letter that asks."""
    form = await call.form(NewDestination)
    try:
        row = await call.parts.elsewhere.destinations.add(call.owner, form.address)
    except Unfit as unfit:
        allowed = "an address elsewhere, such as anna@provider.example"
        raise mistaken(Mistake("address", f"{unfit}", allowed)) from None
    except TooMany:
        raise Problem("conflict", f"at most {MOST} mailboxes; delete one first") from None
    except AskedEnough:
        _asked_enough(call)
    return answer(_item(row), status=201)


async def get_destination(call: Call) -> web.Response:
    """One of them."""
    row = await call.parts.elsewhere.destinations.get(call.owner, call.item)
    if row is None:
        raise Problem("not-found")
    return answer(_item(row))


async def remove_destination(call: Call) -> web.Response:
    """Forget one: nothing goes there any more."""
    if not await call.parts.elsewhere.destinations.remove(call.owner, call.item):
        raise Problem("not-found")
    return nothing()


async def ask_again(call: Call) -> web.Response:
    """Send the letter once more; an earlier link confirms no longer."""
    await call.bare()
    destinations = call.parts.elsewhere.destinations
    try:
        row = await destinations.ask_again(call.owner, call.item)
    except AskedEnough:
        _asked_enough(call)
    if row is None:
        if await destinations.get(call.owner, call.item) is None:
            raise Problem("not-found")
        raise Problem("conflict", "it is confirmed already: there is nothing to ask")
    return answer(_item(row))


def _asked_enough(call: Call) -> NoReturn:
    now = call.parts.clock.now()
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    seconds = int((midnight - now).total_seconds()) + 1
    detail = "enough letters were sent today, by you or to that address; another day"
    raise Problem("too-many", detail, headers={"Retry-After": str(seconds)}) from None


_WRITE = ("Idempotency-Key",)
_ONE = "/v1/me/destinations/{id}"

ROUTES = (
    Route(
        "GET",
        "/v1/me/destinations",
        "consumer",
        list_destinations,
        "Mailboxes elsewhere that mail may be handed on to, and those that are to be confirmed",
        gives={JSON: Items[DestinationItem]},
    ),
    Route(
        "POST",
        "/v1/me/destinations",
        "consumer",
        add_destination,
        "Add a mailbox; the letter that is sent there asks whoever reads it to confirm",
        takes={JSON: NewDestination},
        gives={JSON: DestinationItem},
        fields=_WRITE,
        problems=(408, 409, 413, 415, 422, 429),
        status=201,
    ),
    Route(
        "GET",
        _ONE,
        "consumer",
        get_destination,
        "One mailbox",
        gives={JSON: DestinationItem},
        problems=(404,),
    ),
    Route(
        "DELETE",
        _ONE,
        "consumer",
        remove_destination,
        "Forget a mailbox: nothing is handed on to it any more",
        gives={},
        fields=_WRITE,
        problems=(404,),
        status=204,
    ),
    Route(
        "POST",
        f"{_ONE}/letter",
        "consumer",
        ask_again,
        "Send the letter once more that asks to confirm",
        takes={JSON: Nothing},
        gives={JSON: DestinationItem},
        fields=_WRITE,
        problems=(404, 408, 409, 413, 415, 422, 429),
    ),
)
