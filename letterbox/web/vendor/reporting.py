"""``/vendor/reporting``: how refusals that are not final are answered over SMTP."""

from http import HTTPStatus

from aiohttp import web

from letterbox.model.vendor import Chosen
from letterbox.web.failures import missing
from letterbox.web.vendor.wrong import Wrong
from letterbox.web.visit import Page, Visit

_PATH = "/vendor/reporting"
#: Who has chosen, where that is no key's prefix.
_BY = "session"


async def show(visit: Visit) -> web.Response:
    """How it is, and what each choice means."""
    return await _page(visit)


async def _page(
    visit: Visit, *, wrong: tuple[Wrong, ...] = (), code: int = HTTPStatus.OK
) -> web.Response:
    vendor = await visit.parts.vendors.get(visit.vendor)
    if vendor is None:
        raise missing()
    chosen = vendor.chosen
    return await visit.page(
        "vendor/reporting.html",
        code=code,
        reply="report" if wrong else vendor.effective_reply,
        agreed=chosen if chosen and chosen.reply == "report" else None,
        by_session=_BY,
        wrong=wrong,
    )


async def choose(visit: Visit) -> web.Response:
    """Choose; an agreement is written down."""
    if visit.field("reply") == "report" and not visit.field("agreed"):
        text = visit.say("Tick that you read your feedback: nothing else will tell you then.")
        wrong = (Wrong("agreed", text),)
        return await _page(visit, wrong=wrong, code=HTTPStatus.UNPROCESSABLE_ENTITY)
    reply = visit.field("reply")
    if reply == "report":
        chosen, said = Chosen("report", visit.now, by=_BY), "reply-report"
    elif reply == "refuse":
        chosen, said = Chosen("refuse", visit.now, by=_BY), "reply-refuse"
    else:
        text = visit.say("Choose one of the two.")
        wrong = (Wrong("reply-refuse", text),)
        return await _page(visit, wrong=wrong, code=HTTPStatus.UNPROCESSABLE_ENTITY)
    if await visit.parts.vendors.choose(visit.vendor, chosen) is None:
        raise missing()
    return visit.see(_PATH, said)


PAGES = (
    Page("GET", _PATH, "vendor", show),
    Page("POST", _PATH, "vendor", choose),
)
