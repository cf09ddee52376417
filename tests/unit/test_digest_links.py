"""The links of a digest: each does one thing, once, for one who presses its button."""

import re
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from itsdangerous import URLSafeSerializer

from letterbox.records.actions import Signing
from tests.support.house import mail
from tests.support.site import Site, Visitor, open_pages, text_of

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[vendor]]
id = "voltshop"
name = "Voltshop"
domains = ["voltshop.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
language = "nl"
newcomers = "ask"
digest = { at = ["18:00"] }
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal"]
  [[consumer.vendor]]
  vendor = "voltshop"
  standing = "blocked"

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
newcomers = "ask"
digest = { at = ["18:00"] }
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal"]
"""
ANNA = "anna@letterbox.example"


class Links:
    """What anna has, and links to do something about it."""

    def __init__(self, site: Site) -> None:
        self.site, self.house = site, site.house
        self.visitor: Visitor = site.visitor()
        self.entries: dict[str, str] = {}

    async def fill(self) -> None:
        boxes = self.house.app.mailboxes
        await self.house.send(mail("Lunch?", text="See you.\r\n"), ANNA, "ben@letterbox.example")
        for number, domain in enumerate(("other.example", "voltshop.example")):
            content = mail("Hello", domain=domain, number=number)
            await self.house.send(content, ANNA, sender=f"a@{domain}")
        (came,) = (await boxes.inbox("anna", after=None, limit=9)).items
        (waits,) = (await boxes.held("anna", after=None, limit=9)).items
        (refused,) = (await boxes.decisions("anna", after=None, limit=9, verdict="refuse")).items
        self.entries = {
            "archive": came.id, "lock-out": came.id, "yes": waits.id, "no": waits.id,
            "let-in": refused.id, "off": "", "lock-out held": waits.id,
        }  # fmt: skip

    async def path(self, what: str, owner: str = "anna", **lasts: float) -> str:
        act = what.partition(" ")[0]
        signing = await self.house.app.actions.signing(owner)
        expires = self.house.clock.now() + timedelta(**(lasts or {"days": 14}))
        return f"/a/{signing.token(act, self.entries[what], expires)}"

    async def state(self) -> list[object]:
        """All there is of both, and what they wish."""
        app = self.house.app
        found: list[object] = []
        for name in ("anna", "ben"):
            stored = await app.consumers.stored(name)
            boxes = app.mailboxes
            found += [stored.preferences, stored.revision]
            found += [(await boxes.inbox(name, after=None, limit=99)).items]
            found += [(await boxes.held(name, after=None, limit=99)).items]
            found += [(await boxes.decisions(name, after=None, limit=99)).items]
        return found


@asynccontextmanager
async def links():
    async with open_pages(PEOPLE) as site:
        made = Links(site)
        await made.fill()
        yield made


async def inbox(made: Links) -> set[tuple[str, bool]]:
    page = await made.house.app.mailboxes.inbox("anna", after=None, limit=99)
    return {(entry.subject, entry.archived) for entry in page.items}


async def is_locked(made: Links, name: str) -> bool:
    stored = await made.house.app.consumers.stored("anna")
    return any(r.key == name and r.standing == "blocked" for r in stored.preferences.vendor)


async def archived(made):
    return ("Lunch?", True) in await inbox(made)


async def came_in(made):
    return ("Hello", False) in await inbox(made)


async def is_refused(made):
    page = await made.house.app.mailboxes.held("anna", after=None, limit=9)
    return not page.items and not await came_in(made)


async def greenleaf_is_out(made):
    return await is_locked(made, "greenleaf")


async def other_is_out(made):
    return await is_locked(made, "other.example") and await is_refused(made)


async def is_off(made):
    return (await made.house.app.consumers.stored("anna")).preferences.digest is None


#: What each link does.
DOES = {
    "archive": archived,
    "yes": came_in,
    "no": is_refused,
    "let-in": came_in,
    "lock-out": greenleaf_is_out,
    "lock-out held": other_is_out,
    "off": is_off,
}


@pytest.mark.parametrize("what", DOES)
async def test_it_does_it_when_its_button_is_pressed_once_and_not_before(what):
    async with links() as made:
        path, before = await made.path(what), await made.state()
        for method in ("GET", "HEAD", "GET"):
            reply = await made.visitor._call(method, f"{path}?lang=nl")
            assert reply.status == 200
            assert reply.headers["X-Robots-Tag"] == "noindex"
            assert reply.headers["Cache-Control"] == "no-store"
            assert reply.headers["Referrer-Policy"] == "no-referrer"
            assert "Set-Cookie" not in reply.headers
        assert await made.state() == before
        assert not await DOES[what](made)
        (form,) = re.findall(r'<form[^>]* action="([^"]+)"', reply.body.decode())
        done = await made.visitor.post(form)
        assert done.status == 200
        assert await DOES[what](made)
        # It signed nobody in, and says so of what is opened next.
        assert "Set-Cookie" not in done.headers
        assert (await made.visitor.get("/inbox")).status == 303
        after = await made.state()
        # The last character has room for bits that say nothing: it is the same link all the same.
        others = [path[:-1] + each for each in "AEIMQUYcgkosw048BFJNRVZdhlptx159"]
        for again in [await made.visitor.post(form), await made.visitor.get(form)]:
            assert again.status == 404
            assert "doet niets meer" in text_of(again)
        made.house.clock.advance(seconds=1)
        for other in others:
            made.house.clock.advance(seconds=1000)
            assert (await made.visitor.post(other)).status == 404
        assert await made.state() == after


async def test_once_means_also_when_it_was_undone_by_hand():
    async with links() as made:
        path = await made.path("archive")
        await made.visitor.post(path)
        await made.house.app.mailboxes.mark(
            "anna", made.entries["archive"], read=None, archived=False
        )
        assert (await made.visitor.post(path)).status == 404
        assert not await archived(made)


async def test_a_mail_programs_own_button_needs_no_page():
    async with links() as made:
        path = await made.path("off")
        one_click = {"List-Unsubscribe": "One-Click"}
        reply = await made.visitor.session.post(path, data=one_click, headers={"Accept": "*/*"})
        assert reply.status == 200
        assert await is_off(made)
        await made.house.work()
        # As a form in parts (RFC 8058, section 3.1), and from another site.
        other = await made.path("archive")
        parts = aiohttp.FormData(default_to_multipart=True)
        parts.add_field("List-Unsubscribe", "One-Click")
        reply = await made.visitor.session.post(other, data=parts)
        assert reply.status == 200


async def test_whoever_reads_a_mailbox_that_was_removed_does_nothing_by_its_links():
    async with links() as made:
        destinations = made.house.app.destinations
        mailbox = await destinations.add("anna", "anna@elsewhere.example")
        token = await destinations.link("anna", mailbox.id)
        assert await destinations.confirm(token) is not None
        paths = [await made.path(what) for what in DOES]
        bens = await made.path("off", owner="ben")
        assert (await made.visitor.get(paths[0])).status == 200
        before = await made.state()
        assert await destinations.remove("anna", mailbox.id)
        for path in paths:
            made.house.clock.advance(seconds=1000)
            assert (await made.visitor.post(path)).status == 404
        assert await made.state() == before
        # What comes from then on serves, and so does what others have.
        assert (await made.visitor.get(await made.path("archive"))).status == 200
        assert (await made.visitor.get(bens)).status == 200


def tampered(path: str, at: int) -> str:
    character = "A" if path[at] != "A" else "B"
    return path[:at] + character + path[at + 1 :]


async def bad_paths(made: Links) -> dict[str, str]:
    good = await made.path("archive")
    start = good.index("~") + 1
    token = good.removeprefix("/a/")
    foreign = Signing("anna", b"x" * 32)
    expires = made.house.clock.now() + timedelta(days=1)
    key = (await made.house.app.actions.signing("anna")).key
    sessions = URLSafeSerializer(key, salt="something else").dumps(["archive", "0" * 32, 9e9])
    return {
        "another's name": good.replace("anna~", "ben~"),
        "nobody's name": good.replace("anna~", "nobody~"),
        "another key": "/a/" + foreign.token("archive", made.entries["archive"], expires),
        "another purpose": f"/a/anna~{sessions}",
        "nothing": "/a/x",
        "too long": "/a/" + token + "A" * 2000,
        "half of it": good[:-20],
        "expired": await made.path("archive", seconds=-1),
        "no such act": "/a/" + foreign._replace(key=key).token("erase", "0" * 32, expires),
        "no such entry": "/a/" + foreign._replace(key=key).token("yes", "f" * 32, expires),
        "no id": "/a/" + foreign._replace(key=key).token("yes", "../../x", expires),
        **{f"byte {at}": tampered(good, at) for at in range(start, len(good) - 1, 9)},
    }


async def test_what_is_not_signed_for_it_does_nothing_and_says_as_much():
    async with links() as made:
        before, texts = await made.state(), set()
        for name, path in (await bad_paths(made)).items():
            visitor = made.site.visitor()
            made.house.clock.advance(seconds=1000)
            for reply in (await visitor.get(path), await visitor.post(path)):
                assert reply.status == 404, name
                assert reply.headers["Referrer-Policy"] == "no-referrer"
                texts.add(text_of(reply))
        assert await made.state() == before
        assert len(texts) == 1


async def test_what_is_signed_for_one_opens_nothing_of_anothers():
    async with links() as made:
        ben = (await made.house.app.mailboxes.inbox("ben", after=None, limit=9)).items[0]
        made.entries["archive"] = ben.id
        reply = await made.visitor.post(await made.path("archive", owner="anna"))
        assert reply.status == 404
        assert not (await made.house.app.mailboxes.entry("ben", ben.id)).archived
        reply = await made.visitor.post(await made.path("archive", owner="ben"))
        assert reply.status == 200


async def test_who_tries_many_is_locked_out_for_a_while():
    async with links() as made:
        statuses = [(await made.visitor.get(f"/a/anna~{'x' * 60}")).status for _ in range(30)]
        assert statuses[0] == 404
        assert statuses[-1] == 429
        assert (await made.visitor.get(await made.path("archive"))).status == 429


async def test_old_links_lock_nobody_out():
    async with links() as made:
        old = await made.path("archive", seconds=-1)
        assert {(await made.visitor.get(old)).status for _ in range(30)} == {404}
        assert (await made.visitor.get(await made.path("archive"))).status == 200


async def test_links_end_after_two_weeks_and_with_their_consumer():
    async with links() as made:
        path = await made.path("archive")
        made.house.clock.advance(days=13)
        assert (await made.visitor.get(path)).status == 200
        made.house.clock.advance(days=2)
        assert (await made.visitor.get(path)).status == 404
        path = await made.path("archive")
        await made.house.app.erasure.begin("anna")
        for _ in range(5):
            made.house.clock.advance(hours=1)
            await made.house.work()
        assert (await made.visitor.get(path)).status == 404
