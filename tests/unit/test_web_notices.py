"""The page of digests and notices, as a browser without scripts meets it."""

import json
import re

import pytest

from tests.support.house import mail
from tests.support.site import open_pages, text_of
from tests.support.webhost import WebHost
from tests.unit.test_http_notices import HOOK, PEOPLE

DIGEST = {"on": "yes", "at": "18:00, 09:00", "day": "mon", "list": "waiting"}
NOTIFY = {
    "on": "yes",
    "about": "waiting",
    "shows": "company",
    "from": "22:00",
    "until": "07:00",
    "every": "15",
}


async def wishes(site):
    return (await site.house.app.consumers.stored("anna")).preferences


async def status(visitor) -> str:
    return text_of(await visitor.get("/notices"))


async def test_all_of_it_is_set_and_put_back():
    async with open_pages(PEOPLE) as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        assert "It lies in your inbox here" in await status(anna)
        assert (await anna.post("/notices/digest", DIGEST)).status == 303
        assert "When a digest comes is saved." in await status(anna)
        digest = (await wishes(site)).digest
        assert (digest.at, digest.days, digest.lists) == (
            ("18:00", "09:00"),
            ("mon",),
            ("waiting",),
        )
        assert (await anna.post("/notices/notify", NOTIFY)).status == 303
        notify = (await wishes(site)).notify
        assert (notify.about, notify.shows, notify.every_minutes) == (("waiting",), "company", 15)
        assert [(each.from_, each.until) for each in notify.quiet] == [("22:00", "07:00")]
        shown = (await anna.get("/notices")).body.decode()
        assert 'value="22:00"' in shown
        (back,) = re.findall(r'action="(/rules/put-back)"', shown)
        fields = dict(
            re.findall(r'name="(\w+)" value="([^"]*)"', shown.split(back)[1].split("</form>")[0])
        )
        assert (await anna.post(back, fields)).headers["Location"] == "/notices"
        assert (await wishes(site)).notify is None
        assert (await anna.post("/notices/digest", {"at": "18:00"})).status == 303
        assert (await wishes(site)).digest is None


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("digest", {"at": ""}),
        ("digest", {"at": "25:00"}),
        ("digest", {"at": "24:00"}),
        ("digest", {"at": "09:00 09:00"}),
        ("notify", {"every": "0"}),
        ("notify", {"every": "²"}),
        ("notify", {"from": "22:00", "until": "22:00"}),
        ("notify", {"from": "", "until": "07:00"}),
        ("notify", {"about": "everything"}),
        ("notify", {"shows": "all"}),
    ],
)
async def test_what_cannot_be_so_is_said_and_nothing_is_changed(path, fields):
    async with open_pages(PEOPLE) as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        given = (DIGEST if path == "digest" else NOTIFY) | fields
        reply = await anna.post(f"/notices/{path}", given)
        assert reply.status == 422
        assert b'role="alert"' in reply.body
        before = await wishes(site)
        assert (before.digest, before.notify) == (None, None)


async def test_what_was_changed_elsewhere_meanwhile_is_not_overwritten():
    async with open_pages(PEOPLE) as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        await anna.post("/notices/digest", DIGEST)
        reply = await anna.post("/notices/notify", NOTIFY | {"revision": "1"})
        assert reply.status == 412
        assert (await wishes(site)).notify is None


async def test_one_is_sent_now():
    async with open_pages(PEOPLE) as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        await anna.post("/notices/digest/now")
        assert "nothing new to tell" in await status(anna)
        await site.house.send(mail("Lunch?", text="Hi.\r\n"), "anna@letterbox.example")
        await anna.post("/notices/digest/now")
        assert "A digest is on its way." in await status(anna)
        await site.house.work()
        assert len(await site.house.inbox("anna")) == 2


async def test_channels_are_added_tried_turned_on_and_removed():
    async with open_pages(PEOPLE) as site:
        host = WebHost()
        site.house.app.notifier._courier = host
        anna, ben = site.visitor(), site.visitor()
        await anna.sign_in("anna")
        await ben.sign_in("ben")
        assert "No channel yet" in await status(anna)
        await anna.post("/notices/channels", {"kind": "ntfy", "url": "https://ntfy.example/t"})
        made = await anna.post("/notices/channels", {"kind": "webhook", "url": HOOK})
        assert made.body.count(b"whsec_") == 1
        shown = (await anna.get("/notices")).body.decode()
        assert "whsec_" not in shown
        # The oldest first.
        topic, _ = re.findall(r"/notices/channels/([0-9a-f]{32})/test", shown)
        await anna.post(f"/notices/channels/{topic}/test")
        assert "The test arrived." in await status(anna)
        assert host.posted[-1].body == b"This is a test: notices arrive here."
        host.answers = [404]
        await anna.post(f"/notices/channels/{topic}/test")
        said = await status(anna)
        assert "The test did not arrive: the server answered 404" in said
        assert "switched off" in said
        await ben.get("/notices")
        for act in ("test", "remove", "on"):
            assert (await ben.post(f"/notices/channels/{topic}/{act}")).status == 404
        await anna.get("/notices")
        await anna.post(f"/notices/channels/{topic}/on")
        assert "used again" in await status(anna)
        await anna.post(f"/notices/channels/{topic}/remove")
        assert "ntfy.example" not in await status(anna)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": "webhook", "url": "https://localhost/"}, 422),
        ({"kind": "push", "subscription": "nonsense"}, 400),
        ({"kind": "push", "subscription": json.dumps({"endpoint": "x", "keys": {}})}, 400),
        ({"kind": "pigeon", "url": HOOK}, 400),
    ],
)
async def test_what_cannot_be_a_channel(fields, code):
    async with open_pages(PEOPLE) as site:
        anna = site.visitor()
        await anna.sign_in("anna")
        assert (await anna.post("/notices/channels", fields)).status == code
        assert await site.house.app.channels.listed("anna") == ()


async def test_the_script_for_closed_pages_is_at_one_place():
    async with open_pages(PEOPLE) as site:
        reply = await site.visitor().get("/notices-worker.js")
        assert reply.status == 200
        assert reply.headers["Content-Type"].startswith("text/javascript")
        assert reply.headers["Cache-Control"] == "no-cache"
