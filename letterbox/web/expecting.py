"""``/expecting``: mail that is expected for a time, and a new address in one click."""

from datetime import timedelta
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote

from aiohttp import web

from letterbox.model.preferences import BoundAddress, Expecting, Preferences, VendorRule
from letterbox.records.consumers import Refused
from letterbox.starting import NotThere
from letterbox.web.companies import stored_of, unfit
from letterbox.web.failures import Failure, missing
from letterbox.web.rules import facts_of_change, revision_of
from letterbox.web.texts import N_
from letterbox.web.visit import Page, Visit
from letterbox.wishes.expecting import key_of

_PATH: Final = "/expecting"
#: How long, by hours; the first is the one that is set.
_LASTS: Final = {
    "24": N_("24 hours"),
    "1": N_("1 hour"),
    "72": N_("3 days"),
    "168": N_("7 days"),
    "720": N_("30 days"),
}
_LONGEST_NAME: Final = 300


class Row(NamedTuple):
    """What is expected. ``address`` is the one that it is about, or that was given to them."""

    entry: Expecting
    name: str
    address: str
    over: bool

    @property
    def path(self) -> str:
        """Where something is done about it."""
        return f"{_PATH}/{quote(key_of(self.entry), safe='')}"


async def show(visit: Visit) -> web.Response:
    """What is expected, and how to expect more."""
    return await _page(visit)


async def open_(visit: Visit) -> web.Response:
    """Expect mail of a company, at a new address, or both."""
    vendor = visit.field("vendor")[:_LONGEST_NAME]
    lasts = visit.field("lasts") or next(iter(_LASTS))
    address = visit.field("address") == "yes"
    if lasts not in _LASTS or not (vendor or address):
        if lasts in _LASTS:
            return await _page(
                visit, {"vendor": visit.say("Write a domain, such as shop.example.")}
            )
        raise Failure(HTTPStatus.BAD_REQUEST)
    before = await revision_of(visit)
    try:
        opened = await visit.parts.expectations.open(
            visit.consumer,
            vendor=vendor or None,
            lasts=timedelta(hours=int(lasts)),
            address=address,
        )
    except Refused as refused:
        return await _page(visit, {"vendor": unfit(visit, vendor, refused.mistakes)})
    except NotThere:
        said = visit.say("You have no address here. Ask who runs this for one.")
        return await _page(visit, {"vendor": said})
    facts = await facts_of_change(visit, before)
    until = visit.moment(opened.expecting.until)
    if opened.expecting.address:
        said = opened.expecting.address
        return visit.see(_PATH, "expecting-address", address=said, until=until, **facts)
    name = await _name(visit, opened.expecting)
    return visit.see(_PATH, "expecting", vendor=name, until=until, **facts)


async def keep(visit: Visit) -> web.Response:
    """Have them on the list from now on."""
    before = await revision_of(visit)
    entry = await _one(visit)
    try:
        await visit.parts.expectations.keep(visit.consumer, key_of(entry))
    except NotThere:
        raise missing() from None
    facts = await facts_of_change(visit, before)
    return visit.see(_PATH, "expecting-kept", vendor=await _name(visit, entry), **facts)


async def close(visit: Visit) -> web.Response:
    """Expect it no longer."""
    before = await revision_of(visit)
    entry = await _one(visit)
    try:
        await visit.parts.expectations.close(visit.consumer, key_of(entry))
    except NotThere:
        raise missing() from None
    facts = await facts_of_change(visit, before)
    return visit.see(_PATH, "expecting-closed", vendor=await _name(visit, entry), **facts)


# ---- read ----


async def _page(visit: Visit, mistakes: dict[str, str] | None = None) -> web.Response:
    preferences = (await stored_of(visit)).preferences
    rows = [await _row(visit, preferences, each) for each in preferences.expecting]
    rows.sort(key=lambda row: row.entry.until, reverse=True)
    return await visit.page(
        "expecting.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if mistakes else HTTPStatus.OK,
        now=[row for row in rows if not row.over],
        ended=[row for row in rows if row.over],
        lasts={hours: visit.say(text) for hours, text in _LASTS.items()},
        typed=visit.field,
        mistakes=mistakes or {},
    )


async def _row(visit: Visit, preferences: Preferences, entry: Expecting) -> Row:
    given = entry.address or next(
        (
            each.address
            for each in reversed(preferences.addresses)
            if isinstance(each, BoundAddress) and each.vendor == entry.vendor
        ),
        "",
    )
    return Row(entry, await _name(visit, entry), given, entry.until <= visit.now)


async def _name(visit: Visit, entry: Expecting) -> str:
    if entry.vendor is None:
        return entry.address or ""
    vendors = visit.parts.vendors
    if not await vendors.known(entry.vendor):
        return entry.vendor
    return (await vendors.across(VendorRule(vendor=entry.vendor))).name


async def _one(visit: Visit) -> Expecting:
    key = visit.request.match_info["id"]
    for each in await visit.parts.expectations.of(visit.consumer):
        if key_of(each) == key:
            return each
    raise missing()


PAGES = (
    Page("GET", _PATH, "consumer", show),
    Page("POST", _PATH, "consumer", open_),
    Page("POST", f"{_PATH}/{{id}}/keep", "consumer", keep),
    Page("POST", f"{_PATH}/{{id}}/close", "consumer", close),
)
