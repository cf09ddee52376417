"""The vendor's pages at the HTTP edge: every route, mistakes, another's id, nobody signed in."""

import io
import re
from contextlib import asynccontextmanager
from typing import get_args

import aiohttp
import pytest

from letterbox.intake import Submission
from letterbox.model.configuration import Configuration, WebhooksSection, WebSection
from letterbox.model.told import EventType
from letterbox.web import Room
from letterbox.web.room import PAGES
from letterbox.web.texts import Texts, load
from letterbox.web.vendor.told import TYPES
from tests.support.house import mail
from tests.support.receiver import receiving
from tests.support.site import Visitor, open_pages
from tests.unit.test_reconnect import PEOPLE
from tests.unit.test_web_texts import Pseudo, loose

HOSTILE = "\"><script>alert(1)</script>'{{7*7}}"
OWN = [page for page in PAGES if page.who == "vendor"]
NOTHING = {"cursor": "1", "id": "0" * 32, "domain": "new.example", "prefix": "lbk_aaaaaaaa"}
PATHS = [page.path for page in OWN if page.method == "GET" and "{" not in page.path]
PATHS.remove("/vendor/feedback/events")
POSTS = [page.path.format(**NOTHING) for page in OWN if page.method == "POST"]


class Got:
    """A page, read whole."""

    def __init__(self, reply) -> None:
        self.status, self.headers = reply.status, reply.headers
        self.text = reply.body.decode()
        self.place = self.headers.get("Location", "")


class Person:
    """A visitor that may send files, and fields several times."""

    def __init__(self, visitor: Visitor) -> None:
        self.house = visitor.house
        self._visitor = visitor

    async def sign_in(self, owner: str, side="vendor") -> None:
        await self._visitor.sign_in(owner, side)
        await self.get("/vendor" if side == "vendor" else "/inbox")

    async def get(self, path: str, language="en") -> Got:
        return Got(await self._visitor.get(path, headers={"Accept-Language": language}))

    async def post(self, path: str, *, csrf: str | None = None, **fields) -> Got:
        form = aiohttp.FormData(default_to_multipart=path.endswith("/preflight"))
        form.add_field("csrf", self._visitor.csrf if csrf is None else csrf)
        for name, value in fields.items():
            for each in value if isinstance(value, list) else [value]:
                said = {"filename": "mail.eml"} if isinstance(each, bytes) else {}
                content = io.BytesIO(each) if isinstance(each, bytes) else each
                form.add_field(name, content, **said)
        return Got(await self._visitor._call("POST", path, data=form))


@asynccontextmanager
async def visiting(people=PEOPLE, owner: str | None = "greenleaf", *, private=False, pages=None):
    configuration = Configuration(
        public_url="https://letterbox.example",
        webhooks=WebhooksSection(allow_private_addresses=private),
    )
    async with open_pages(people, configuration=configuration, pages=pages) as site:
        person = Person(site.visitor())
        if owner:
            await person.sign_in(owner)
        yield person


async def refuse(person: Person, number=1, subject="Spring sale", to="anna@letterbox.example"):
    await person.house.send(mail(subject, number=number), to)
    await person.house.work()


@pytest.mark.parametrize("language", ["en", "nl"])
async def test_every_page_is_there_for_a_vendor_with_nothing(language):
    async with visiting() as person:
        for path in PATHS:
            page = await person.get(path, language)
            assert page.status == 200, path
            assert f'<html lang="{language}">' in page.text
            assert page.text.count("<h1") == 1
            assert page.headers["Cache-Control"] == "no-store"
            assert " style=" not in page.text
            assert len(page.text) < 150_000


async def test_nobody_else_comes_in():
    async with visiting(owner=None) as person:
        for path in PATHS:
            page = await person.get(path)
            assert (page.status, page.place) == (303, "/signin")
        for path in POSTS:
            page = await person.post(path)
            assert (page.status, page.place) == (303, "/signin")
        await person.sign_in("anna", "consumer")
        for path in PATHS:
            assert (await person.get(path)).status == 404
        for path in POSTS:
            assert (await person.post(path)).status == 404


async def test_a_form_of_anothers_page_does_nothing():
    async with visiting() as person:
        for path in POSTS:
            page = await person.post(path, csrf="no")
            assert page.status == 403, path


async def test_the_overview_says_what_became_of_it_and_what_helps():
    async with visiting() as person:
        for number in range(3):
            await refuse(person, number)
        page = await person.get("/vendor")
        assert "3 answers in 30 days: 0 delivered, 0 held, 3 refused, 0 not told." in page.text
        assert "vendor-blocked" in page.text
        assert "at most 1 per month" in page.text
        door = re.search(r'href="(/vendor/feedback\?verdict[^"]*)"', page.text)[1]
        rows = await person.get(door.replace("&amp;", "&"))
        assert rows.text.count('<tr role="row" id="e-') == 3
        dutch = await person.get("/vendor?days=92", "nl")
        assert "hoogstens 1 per maand" in dutch.text


async def test_feedback_is_filtered_and_paged():
    async with visiting() as person:
        for number in range(60):
            await refuse(person, number)
        first = await person.get("/vendor/feedback?type=message.refused&reason=vendor-blocked")
        assert first.text.count('<tr role="row" id="e-') == 50
        older = re.search(r'rel="next" href="([^"]*)"', first.text)[1].replace("&amp;", "&")
        rest = await person.get(older)
        assert rest.text.count('<tr role="row" id="e-') == 10
        assert 'rel="next"' not in rest.text
        none = await person.get("/vendor/feedback?ref=" + "no-such")
        assert "Nothing here fits" in none.text
        hostile = await person.get(
            "/vendor/feedback?ref=%22%3E%3Cscript%3E&days=9%22%3E&verdict=%3Cb"
        )
        assert hostile.status == 200
        assert "<script>" not in hostile.text


async def test_a_vendor_that_is_locked_out_accepts_and_asks():
    async with visiting() as person:
        await refuse(person)
        page = await person.get("/vendor/feedback/1")
        assert "at most 1 per month" in page.text
        assert "vendor-blocked" in page.text
        assert "550 " in page.text
        assert re.search(r'href="/r/[0-9a-f]{32}', page.text)
        dutch = await person.get("/vendor/feedback/1", "nl")
        assert "hoogstens 1 per maand" in dutch.text
        path = "/vendor/feedback/1/reconnect"
        long = await person.post(path, note="x" * 281)
        assert long.status == 422
        assert "x" * 281 in long.text
        assert "<title>Error: " in long.text
        asked = await person.post(path, note=HOSTILE)
        assert (asked.status, asked.place) == (303, "/vendor/feedback/1")
        said = await person.get("/vendor/feedback/1")
        assert "They are asked." in said.text
        again = await person.post(path, note=HOSTILE)
        assert again.status == 409
        assert "You may ask again from" in again.text
        assert "<script>alert" not in again.text
        found, _ = await person.house.app.requests.page("anna", after=None, limit=10)
        assert len(found) == 1


async def test_no_more_is_told_than_the_level_lets():
    people = PEOPLE.replace('because = "too-often"', 'because = "too-often"\n  tells = "class"')
    async with visiting(people) as person:
        await refuse(person)
        for path in ("/vendor", "/vendor/feedback", "/vendor/feedback/1"):
            for language in ("en", "nl"):
                page = await person.get(path, language)
                assert "per month" not in page.text
                assert "per maand" not in page.text
                assert "reasons/vendor-blocked" not in page.text


@pytest.mark.parametrize("cursor", ["0", "2", "99999", "x", "1e3", "-1"])
async def test_there_is_no_other_event(cursor):
    async with visiting() as person:
        await refuse(person)
        assert (await person.get(f"/vendor/feedback/{cursor}")).status == 404
        assert (await person.post(f"/vendor/feedback/{cursor}/reconnect")).status == 404
        await person.sign_in("voltshop")
        assert (await person.get("/vendor/feedback/1")).status == 404
        assert (await person.post("/vendor/feedback/1/reconnect")).status == 404


async def test_a_domain_is_claimed_checked_proven_and_given_up():
    async with visiting() as person:
        bad = await person.post("/vendor/domains", domain=HOSTILE)
        assert bad.status == 422
        assert "<script>alert" not in bad.text
        assert 'aria-invalid="true"' in bad.text
        assert (await person.post("/vendor/domains", domain="greenleaf.example")).status == 409
        claimed = await person.post("/vendor/domains", domain="Leaf.example")
        assert claimed.place == "/vendor/domains#d-leaf.example"
        page = await person.get("/vendor/domains")
        value = re.search(r"letterbox-verification=\w+", page.text)[0]
        name = "_letterbox-challenge.leaf.example"
        person.house.zone.records[name] = {"TXT": ["<i>other</i>"]}
        checked = await person.post("/vendor/domains/leaf.example/check")
        assert checked.status == 200
        assert "&lt;i&gt;other&lt;/i&gt;" in checked.text
        assert value in checked.text
        person.house.zone.records[name] = {"TXT": [value]}
        proven = await person.post("/vendor/domains/leaf.example/check")
        assert proven.status == 303
        assert "leaf.example is proven" in (await person.get("/vendor/domains")).text
        await person.sign_in("voltshop")
        for what in ("check", "give-up"):
            assert (await person.post(f"/vendor/domains/leaf.example/{what}")).status == 404
        await person.sign_in("greenleaf")
        gone = await person.post("/vendor/domains/leaf.example/give-up")
        assert gone.place == "/vendor/domains"
        assert (await person.post("/vendor/domains/leaf.example/give-up")).status == 404


async def test_a_key_is_made_rotated_and_revoked_and_shown_once():
    async with visiting() as person:
        bad = await person.post("/vendor/keys", label="a\nb" + HOSTILE, days="0")
        assert bad.status == 422
        assert bad.text.count('-wrong"') >= 3
        assert "<script>alert" not in bad.text
        made = await person.post(
            "/vendor/keys", label=HOSTILE, scope=["send", "feedback"], days="9"
        )
        key = re.search(r"lbk_\w{8}_\w+", made.text)[0]
        prefix = key[:12]
        page = await person.get("/vendor/keys")
        assert key not in page.text
        assert f"KEY='{prefix}" in page.text.replace("&#39;", "'")
        assert "<script>alert" not in page.text
        row = await person.house.app.credentials.find(prefix)
        assert row.scopes == ("send", "feedback")
        assert (await person.post(f"/vendor/keys/{prefix}/rotate", hours="9999")).status == 422
        rotated = await person.post(f"/vendor/keys/{prefix}/rotate", hours="1")
        assert re.search(r"lbk_\w{8}_\w+", rotated.text)[0] != key
        await person.sign_in("voltshop")
        assert prefix not in (await person.get("/vendor/keys")).text
        assert (await person.post(f"/vendor/keys/{prefix}/rotate")).status == 404
        assert (await person.post(f"/vendor/keys/{prefix}/revoke")).status == 404
        await person.sign_in("greenleaf")
        revoked = await person.post(f"/vendor/keys/{prefix}/revoke")
        assert revoked.place == "/vendor/keys"
        assert await person.house.app.credentials.find(prefix) is None


async def test_a_webhook_is_added_tested_changed_and_removed():
    async with receiving() as receiver, visiting(private=True) as person:
        bad = await person.post("/vendor/webhooks", url=HOSTILE, event=["message.refused"])
        assert bad.status == 422
        assert "<script>alert" not in bad.text
        assert 'value="message.refused" checked' in bad.text
        made = await person.post("/vendor/webhooks", url=receiver.url, event=["message.refused"])
        secret = re.search(r"whsec_[^<]+", made.text)[0]
        name = re.search(r"/vendor/webhooks/([0-9a-f]{32})/test", made.text)[1]
        path = f"/vendor/webhooks/{name}"
        assert secret not in (await person.get(path)).text
        assert receiver.url in (await person.get("/vendor/webhooks")).text
        assert (await person.post(f"{path}/test")).place == path
        assert "The test arrived" in (await person.get(path)).text
        await refuse(person)
        log = await person.get(path)
        assert "message.refused" in log.text
        changed = await person.post(path, url=receiver.url, event=["message.held"])
        assert changed.place == path
        rotated = await person.post(f"{path}/rotate")
        assert re.search(r"whsec_[^<]+", rotated.text)[0] != secret
        assert (await person.post(f"{path}/enable")).status == 303
        await person.sign_in("voltshop")
        assert (await person.get(path)).status == 404
        for what in ("", "/test", "/enable", "/rotate", "/remove"):
            page = await person.post(path + what, url=receiver.url)
            assert page.status == 404, what
        await person.sign_in("greenleaf")
        assert (await person.post(f"{path}/remove")).place == "/vendor/webhooks"
        assert (await person.get(path)).status == 404


@pytest.mark.parametrize("uploads", [False, True])
async def test_a_mail_is_looked_at_and_nothing_is_kept(uploads):
    async with visiting() as person:
        content = mail("Spring sale")
        said = {"file": content} if uploads else {"mail": content.decode()}
        page = await person.post(
            "/vendor/preflight",
            to="anna@letterbox.example, ben@letterbox.example",
            **said,
        )
        assert page.status == 200, page.text
        assert "No DKIM signature." in page.text
        assert "it would be refused" in page.text
        assert "this recipient tells nothing ahead" in page.text
        left = person.house.app.configuration.probes.preflights_per_day - 2
        assert f"{left} recipients left today" in page.text
        assert f"{left} recipients left today" in (await person.get("/vendor/preflight")).text
        assert "will be delivered" not in page.text
        assert await person.house.feed("greenleaf") == []


async def test_what_is_wrong_with_a_mail_is_said_beside_its_field():
    async with visiting() as person:
        page = await person.post("/vendor/preflight", mail="", to=HOSTILE, ip="x", mail_from="y")
        assert page.status == 422
        for field in ("mail", "to", "ip", "mail_from"):
            assert f'id="{field}-wrong"' in page.text
        assert "<script>alert" not in page.text
        hostile = await person.post("/vendor/preflight", mail=HOSTILE)
        assert hostile.status == 200
        assert "<script>alert" not in hostile.text


async def test_report_mode_needs_that_it_is_agreed_to():
    async with visiting() as person:
        page = await person.post("/vendor/reporting", reply="report")
        assert page.status == 422
        assert 'id="agreed-wrong"' in page.text
        assert (await person.post("/vendor/reporting", reply="x")).status == 422
        agreed = await person.post("/vendor/reporting", reply="report", agreed="yes")
        assert agreed.place == "/vendor/reporting"
        page = await person.get("/vendor/reporting")
        assert "You agreed to report mode:" in page.text
        vendor = await person.house.app.vendors.get("greenleaf")
        assert (vendor.effective_reply, vendor.chosen.by) == ("report", "session")
        back = await person.post("/vendor/reporting", reply="refuse")
        assert back.status == 303


async def test_the_stream_tells_of_what_comes():
    async with visiting() as person:
        session = person._visitor.session
        async with session.get("/vendor/feedback/events?after=0") as response:
            assert response.headers["Content-Type"].startswith("text/event-stream")
            await refuse(person)
            said = b""
            while b"data: 1\n" not in said:
                said += await response.content.readany()


async def test_so_many_pages_are_told_of_what_comes_and_no_more():
    few = Configuration(web=WebSection(streams_per_owner=2))
    async with open_pages(PEOPLE, configuration=few) as site:
        visitor = site.visitor()
        await visitor.sign_in("greenleaf", "vendor")
        other = site.visitor()
        await other.sign_in("anna")
        path = "/vendor/feedback/events?after=0"

        def opened(who=visitor, at=path):
            return who.session.get(at)

        async with opened() as first, opened() as second:
            assert (first.status, second.status) == (200, 200)
            async with opened() as third:
                assert third.status == 429
                assert third.headers["Retry-After"] == "60"
            async with opened(other, "/inbox/events") as another:
                assert another.status == 200
            assert (await visitor.get("/vendor/feedback")).status == 200
            second.close()
            status = 429
            while status == 429:
                site.house.clock.advance(seconds=1)  # whoever asks so often is told so, too
                async with opened() as again:
                    status = again.status
            assert status == 200


async def test_nothing_on_a_page_is_written_past_the_catalogue():
    def pages(app):
        return Room(app.pages()._parts, load() | {"nl": Texts("nl", Pseudo())})

    async with visiting(pages=pages) as person:
        await refuse(person)
        await person.post("/vendor/domains", domain="leaf.example")
        await person.post("/vendor/keys", scope=["send"])
        for path in (*PATHS, "/vendor/feedback/1"):
            html = (await person.get(path, "nl")).text
            html = re.sub(r"(?s)<(code|pre)\b.*?</\1>|<option value=\"[a-z].*?</option>", " ", html)
            html = re.sub(r'(?s)<(\w+) lang="en".*?</\1>|<title>.*?</title>', " ", html)
            known = re.compile(r"(?:anna@\S+|\w*leaf\.example|TXT|lbk_\w+|\d+ \w{3}\.?|[^\w])*")
            assert [each for each in loose(html) if not known.fullmatch(each)] == [], path


async def test_what_others_wrote_is_shown_as_text():
    people = PEOPLE.replace('name = "Greenleaf Garden"', 'name = "<script>alert(1)</script>"')
    async with visiting(people) as person:
        vendor = await person.house.app.vendors.get("greenleaf")
        submission = Submission(vendor=vendor, your_reference=HOSTILE)
        await person.house.send(
            mail("Sale"), "anna@letterbox.example", edge="http", submission=submission
        )
        await refuse(person, 2)
        for path in ("/vendor", "/vendor/feedback", "/vendor/feedback/1", "/vendor/feedback/2"):
            page = await person.get(path)
            assert page.status == 200
            assert "<script>alert" not in page.text
        found = await person.get("/vendor/feedback?ref=ALERT(1)")
        assert found.text.count('<tr role="row" id="e-') == 1
        assert "&lt;script&gt;" in found.text


PART = b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n'
ENCODED = PART.replace(b"--b\r\n", b"--b\r\nContent-Encoding: br\r\n") + b"x\r\n--b--\r\n"
BROKEN = {
    "no boundary": ("multipart/form-data", b""),
    "nothing": ("multipart/form-data; boundary=b", b""),
    "no parts": ("multipart/form-data; boundary=b", b"hello"),
    "cut off": ("multipart/form-data; boundary=b", PART + b"x"),
    "no header": ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
    "bad header": ("multipart/form-data; boundary=b", b"--b\r\n\x00\xff\r\n\r\nx\r\n--b--\r\n"),
    "nested": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--",
    ),
    "no text": ("multipart/form-data; boundary=b", PART + b"\xff\r\n--b--\r\n"),
    "long boundary": ("multipart/form-data; boundary=" + "b" * 500, b"x"),
    "encoded": ("multipart/form-data; boundary=b", ENCODED),
    "another form": ("application/x-www-form-urlencoded", b"csrf=x"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_form_in_parts_that_is_none_is_no_fault_of_ours(name):
    kind, body = BROKEN[name]
    async with visiting() as person:
        headers = {"Content-Type": kind}
        reply = await person._visitor._call("POST", "/vendor/preflight", data=body, headers=headers)
        assert reply.status in {400, 403}


async def test_a_mail_that_is_too_large_is_turned_away():
    async with visiting() as person:
        most = person.house.app.configuration.http.max_body
        page = await person.post("/vendor/preflight", file=b"x" * (most + 300_000))
        assert page.status == 413


def test_every_type_of_event_has_a_name():
    assert set(TYPES) == set(get_args(EventType))
