"""Rules put back as they were: the way back from whatever changes one."""

import re
from typing import Final

from aiohttp import web

from letterbox.records.consumers import Forgotten
from letterbox.web.failures import missing
from letterbox.web.visit import Page, Visit

_NUMBER: Final = re.compile(r"[0-9]{1,18}")
#: Where a way back may lead to; else where somebody begins.
_PAGES: Final = {
    "vendors": "/vendors",
    "addresses": "/addresses",
    "start": "/start",
    "expecting": "/expecting",
    "suggestions": "/suggestions",
    "notices": "/notices",
    "delivery": "/delivery",
}


async def revision_of(visit: Visit) -> int:
    """The revision of the consumer's rules now; 0 where there are none."""
    stored = await visit.parts.consumers.stored(visit.consumer)
    return stored.revision if stored else 0


async def facts_of_change(visit: Visit, before: int) -> dict[str, str]:
    """What a status says to put a change back, which was made to the rules of a revision."""
    return {"revision": str(before), "now": str(await revision_of(visit))}


async def put_back(visit: Visit) -> web.Response:
    """Make the rules what they were, unless they have changed again in between."""
    revision, now = visit.field("revision"), visit.field("now")
    if not (_NUMBER.fullmatch(revision) and _NUMBER.fullmatch(now)):
        raise missing()
    try:
        await visit.parts.consumers.restore(
            visit.consumer, int(revision), expect=int(now), now=visit.now
        )
    except Forgotten:
        raise missing() from None
    page = _PAGES.get(visit.field("page"))
    return visit.see(page or visit.inside.home("consumer"), "put-back")


PAGES = (Page("POST", "/rules/put-back", "consumer", put_back),)
