"""``PUT /v1/vendor/reply``: a vendor agrees to have refusals reported instead of bounced."""

import msgspec
import pytest

from letterbox.model.preferences import People
from tests.support.api import PEOPLE, open_api
from tests.support.house import mail

AGREED = {"reply": "report", "agreed": True}


async def choose(api, form=AGREED, **options):
    return await api.call("PUT", "/v1/vendor/reply", who="greenleaf", json=form, **options)


async def line(api, number, recipient="anna@letterbox.example"):
    received = await api.house.send(mail(number=number), recipient)
    return received.outcomes[0].told.line


async def test_an_agreement_is_recorded_with_its_time_and_the_key_that_said_so():
    async with open_api() as api:
        key = await api.credential("greenleaf")
        reply = await choose(api)
        assert reply.status == 200
        assert reply.json["reply"] == "report"
        assert reply.json["agreed"] == {"at": "2026-11-23T12:00:00Z", "key": key[:12]}
        assert (await api.call("GET", "/v1/vendor", who="greenleaf")).json == reply.json
        assert key not in reply.body.decode()


async def test_refusals_that_are_not_final_are_then_told_in_the_feed_alone():
    async with open_api() as api:
        assert (await line(api, 1)).startswith("550 ")
        await choose(api)
        said = await line(api, 2)
        assert said.startswith("250 2.0.0 not delivered, see feedback ")
        event = (await api.house.feed("greenleaf"))[-1]
        assert (event.type, event.verdict) == ("message.refused", "refuse")
        assert event.reference == said.split()[-1]
        # A final one is always said.
        assert (await line(api, 3, "nobody@letterbox.example")).startswith("550 ")
        back = await choose(api, {"reply": "refuse"})
        assert (back.status, back.json["reply"]) == (200, "refuse")
        assert "agreed" not in back.json
        assert (await line(api, 4)).startswith("550 ")


@pytest.mark.parametrize(
    ("form", "status", "path"),
    [
        ({"reply": "report"}, 422, "agreed"),
        ({"reply": "report", "agreed": False}, 422, "agreed"),
        ({"reply": "report", "agreed": "yes"}, 422, "agreed"),
        ({"agreed": True}, 422, "reply"),
        ({"reply": "never", "agreed": True}, 422, "reply"),
        ({"reply": "refuse", "because": "x"}, 422, "because"),
        ({"reply": "refuse", "agreed": True}, 200, None),
    ],
)
async def test_what_may_be_chosen(form, status, path):
    async with open_api() as api:
        reply = await choose(api, form)
        assert reply.status == status
        if path:
            assert [error["path"] for error in reply.json["errors"]] == [path]
        else:
            assert reply.json["reply"] == "refuse"


async def test_it_takes_a_key_that_may_manage():
    async with open_api() as api:
        now = api.house.clock.now()
        key = await api.house.app.credentials.issue("key", "greenleaf", now, scopes=("send",))
        fields = {"Authorization": f"Bearer {key}"}
        reply = await api.call("PUT", "/v1/vendor/reply", json=AGREED, headers=fields)
        assert reply.status == 403


async def apply(api, reply):
    vendor = msgspec.toml.decode(PEOPLE, type=People).vendor[0]
    await api.house.app.vendors.replace(msgspec.structs.replace(vendor, reply=reply))


@pytest.mark.parametrize(
    ("files", "counts"),
    [
        (["refuse"], "report"),  # it says what it said before: nothing new
        (["report"], "report"),
        (["report", "refuse"], "refuse"),
    ],
)
async def test_the_last_word_counts_the_vendors_or_the_operators(files, counts):
    async with open_api() as api:
        await choose(api)
        for reply in files:
            await apply(api, reply)
        assert (await api.call("GET", "/v1/vendor", who="greenleaf")).json["reply"] == counts


async def test_a_vendor_may_take_back_what_the_operator_has_declared():
    async with open_api() as api:
        await apply(api, "report")
        assert (await line(api, 1)).startswith("250 ")
        await choose(api, {"reply": "refuse"})
        assert (await line(api, 2)).startswith("550 ")
