"""``/a/{token}``: a link of a digest says what it would do, and its button does it.

A mail scanner that follows links changes nothing. The link signs nobody in; that it is signed is
all that is asked for, so that a mail program's own button works as well (RFC 8058).
"""

from http import HTTPStatus
from typing import Final, NamedTuple

from aiohttp import web

from letterbox.delivery.acting import About
from letterbox.records.actions import Act, Action
from letterbox.web.signin import not_guessing, place
from letterbox.web.texts import N_
from letterbox.web.visit import Page, Visit

#: Nobody finds these pages, keeps them, or hears from which one somebody came.
_HEADERS: Final = {"X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}


class Words(NamedTuple):
    """What a link would do, the button that does it, and that it is done."""

    asks: str
    button: str
    done: str


WORDS: Final[dict[Act, Words]] = {
    "archive": Words(N_("Archive this message?"), N_("Archive it"), N_("It is archived.")),
    "yes": Words(N_("Let this message in?"), N_("Let it in"), N_("You said yes to it.")),
    "no": Words(N_("Refuse this message?"), N_("Refuse it"), N_("It is refused.")),
    "let-in": Words(
        N_("Let this message in after all?"),
        N_("Let it in"),
        N_("It lies in your inbox. Your rules are as they were."),
    ),
    "lock-out": Words(
        N_("Lock this company out?"), N_("Lock it out"), N_("The company is locked out.")
    ),
    "off": Words(
        N_("Send no more digests?"),
        N_("No more digests"),
        N_("No digest comes any more. You can turn them on again where you are signed in."),
    ),
}


async def show(visit: Visit) -> web.Response:
    """What would this link do? Looking changes nothing."""
    found = await _found(visit)
    if found is None:
        return await _over(visit)
    action, about = found
    page = await visit.page("act.html", words=WORDS[action.act], about=about, acted=False)
    return _kept_to_itself(page)


async def perform(visit: Visit) -> web.Response:
    """Do it, once."""
    found = await _found(visit)
    if found is None:
        return await _over(visit)
    action, about = found
    outcome = await visit.parts.acting.perform(action)
    if outcome != "done":
        code = HTTPStatus.GONE if outcome == "gone" else HTTPStatus.NOT_FOUND
        return _kept_to_itself(await visit.page("act_over.html", code=code))
    await visit.parts.actions.use(action)
    see = "/notices" if action.act == "off" else "/inbox"
    page = await visit.page("act.html", words=WORDS[action.act], about=about, acted=True, see=see)
    return _kept_to_itself(page)


async def _found(visit: Visit) -> tuple[Action, About] | None:
    not_guessing(visit)
    action = await visit.parts.actions.read(visit.request.match_info["token"])
    if action is None:
        # An old link is no guess: many a mail program opens all there are.
        visit.inside.guesses.failed(place(visit), "")
        return None
    if not await visit.parts.actions.serves(action):
        return None
    about = await visit.parts.acting.about(action)
    return (action, about) if about is not None else None


async def _over(visit: Visit) -> web.Response:
    """One answer for every link that does nothing."""
    return _kept_to_itself(await visit.page("act_over.html", code=HTTPStatus.NOT_FOUND))


def _kept_to_itself(response: web.Response) -> web.Response:
    response.headers.update(_HEADERS)
    return response


PAGES = (
    Page("GET", "/a/{token}", "anyone", show),
    Page("POST", "/a/{token}", "anyone", perform, bears=True),
)
