"""``/v1/me``: what a consumer reads and says, over a real socket."""

import asyncio

import msgspec
import pytest

from letterbox.model.configuration import Configuration
from letterbox.model.preferences import Preferences
from letterbox.ports.store import Commit, Put
from letterbox.records import places
from tests.support.api import PRUNERS, open_api
from tests.support.house import mail
from tests.support.plain import NO_ZONES

DEAR = {"categories": ["home-garden/garden-tools"], "price": {"amount": "170", "currency": "EUR"}}
INBOX_ITEM = {
    "id",
    "at",
    "vendor",
    "sender",
    "recipient",
    "subject",
    "kind",
    "interests",
    "size",
    "read",
}

# ---- preferences ------------------------------------------------------------------------------


async def test_preferences_come_with_an_etag_and_go_back_with_it():
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        document = got.json | {"language": "en"}
        put = await api.call(
            "PUT",
            "/v1/me/preferences",
            who="anna",
            json=document,
            headers={"If-Match": got.headers["ETag"]},
        )
        assert put.status == 200
        assert put.headers["ETag"] != got.headers["ETag"]
        again = await api.call("GET", "/v1/me/preferences", who="anna")
        assert again.headers["ETag"] == put.headers["ETag"]
        assert "language" not in again.json  # a default is not written out
        assert again.json["interest"] == got.json["interest"]


async def test_a_change_takes_effect_at_once():
    async with open_api() as api:
        assert (await api.send(offer=DEAR)).json["results"][0]["verdict"] == "refuse"
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        document = got.json
        document["interest"][0]["max_price"]["amount"] = "170"
        await api.call(
            "PUT",
            "/v1/me/preferences",
            who="anna",
            json=document,
            headers={"If-Match": got.headers["ETag"]},
        )
        assert (await api.send(offer=DEAR)).json["results"][0]["verdict"] == "deliver"


async def test_an_unchanged_document_is_not_sent_again():
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        headers = {"If-None-Match": got.headers["ETag"]}
        again = await api.call("GET", "/v1/me/preferences", who="anna", headers=headers)
        assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        (None, 428),
        ('"99"', 412),
        ('W/"1"', 412),
        ("1", 412),
        ('"99", "98"', 412),
        ('"99", "1"', 200),
        ("*", 200),
    ],
)
async def test_if_match_guards_the_document(if_match, status):
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        assert got.headers["ETag"] == '"1"'
        headers = {"If-Match": if_match} if if_match else {}
        put = await api.call(
            "PUT", "/v1/me/preferences", who="anna", json=got.json, headers=headers
        )
        assert put.status == status
        assert status != 412 or put.headers["ETag"] == '"1"'


MISTAKES = [
    ({"timezone": "Europe/Amsterdm"}, "timezone"),
    ({"language": "fr"}, "language"),
    ({"newcomer": "ask"}, "newcomer"),
    (
        {"interest": [{"id": "a", "max_price": {"amount": "-1", "currency": "EUR"}}]},
        "interest[0].max_price.amount",
    ),
    ({"interest": [{"id": "tools", "from": "someday"}]}, "interest[0].from"),
    ({"interest": [{"id": "tools", "categories": ["tools/none"]}]}, "interest[0].categories[0]"),
    ({"window": [{"from": "09:00", "until": "09:00"}]}, "window[0].until"),
    ({"window": [{"from": "9", "until": "10:00"}]}, "window[0].from"),
    ({"vendor": [{"standing": "allowed"}]}, "vendor[0]"),
    ({"vendor": [{"domain": "gmail.com"}]}, "vendor[0].domain"),
]


@pytest.mark.parametrize(("changes", "path"), MISTAKES)
async def test_mistaken_preferences_change_nothing_and_name_the_place(changes, path):
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        put = await api.call(
            "PUT",
            "/v1/me/preferences",
            who="anna",
            json=got.json | changes,
            headers={"If-Match": "*"},
        )
        assert put.status == 422, put.body
        assert path in [error["path"] for error in put.json["errors"]]
        again = await api.call("GET", "/v1/me/preferences", who="anna")
        assert (again.body, again.headers["ETag"]) == (got.body, got.headers["ETag"])


async def put(api, document, who="anna"):
    """Put preferences over whatever is there."""
    headers = {"If-Match": "*"}
    return await api.call("PUT", "/v1/me/preferences", who=who, json=document, headers=headers)


NOT_THEIRS = [
    "ben@letterbox.example",  # somebody's
    "security@letterbox.example",  # nobody's yet
    "greenleaf@letterbox.example",
    "postmaster@letterbox.example",
    "ben+shop@letterbox.example",
    "nobody+shop@letterbox.example",
    "anna@elsewhere.example",
    "anna+shop@elsewhere.example",
]


@pytest.mark.parametrize("address", NOT_THEIRS)
async def test_who_has_an_address_is_not_told_to_those_who_ask_for_it(address):
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        reply = await put(api, got.json | {"addresses": ["anna@letterbox.example", address]})
        assert (reply.status, reply.json["errors"]) == (
            422,
            [
                {
                    "path": "addresses[1]",
                    "mistake": f"{address} is not an address of yours",
                    "allowed": "only addresses below your own, such as"
                    " anna+shop@letterbox.example; the operator gives others",
                }
            ],
        )
        again = await api.call("GET", "/v1/me/preferences", who="anna")
        assert again.headers["ETag"] == got.headers["ETag"]


async def test_an_address_below_ones_own_may_be_added_and_given_to_one_vendor():
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        bound = {"address": "Anna+shop@letterbox.example", "vendor": "voltshop"}
        free = "anna+news@letterbox.example"
        document = got.json | {"addresses": ["anna@letterbox.example", bound, free]}
        assert (await put(api, document)).status == 200
        sent = await api.send(to=["anna+shop@letterbox.example", free, "anna@letterbox.example"])
        assert [result["verdict"] for result in sent.json["results"]] == [
            "refuse",
            "deliver",
            "deliver",
        ]
        # What she has she may keep or give up; what lies above others goes last.
        assert (await put(api, document | {"addresses": ["anna@letterbox.example"]})).status == 200
        lower = "ben+more@letterbox.example"
        assert (await put(api, document | {"addresses": [lower]})).status == 422


async def test_an_address_stays_while_others_lie_below_it():
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        lower = [f"anna+{name}@letterbox.example" for name in ("a", "b")]
        mine = got.json["addresses"]
        assert (await put(api, got.json | {"addresses": [*mine, *lower]})).status == 200
        reply = await put(api, got.json | {"addresses": lower})
        assert (reply.status, reply.json["errors"]) == (
            422,
            [
                {
                    "path": "addresses",
                    "mistake": "anna@letterbox.example cannot go while addresses below it stay:"
                    " anna+a@letterbox.example, anna+b@letterbox.example",
                    "allowed": "to give up anna+a@letterbox.example, anna+b@letterbox.example"
                    " first, or to keep anna@letterbox.example",
                }
            ],
        )


async def test_who_has_no_mailbox_above_an_address_may_keep_it():
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        orphan = got.json | {"addresses": ["anna+a@letterbox.example"]}
        value = msgspec.json.encode(orphan)
        commit = Commit(
            partition=places.consumer("anna"),
            operations=(Put(key=places.PREFERENCES, value=value),),
        )
        await api.house.app.store.commit(commit)
        assert (await put(api, orphan | {"language": "en"})).status == 200


async def test_the_same_document_again_changes_nothing():
    async with open_api() as api:
        await api.send(kind="newsletter")
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        held = await api.call("GET", "/v1/me/held", who="anna")
        reply = await put(api, got.json)
        assert (reply.status, reply.headers["ETag"], reply.body) == (
            200,
            got.headers["ETag"],
            got.body,
        )
        await api.house.work()
        decisions = (await api.call("GET", "/v1/me/decisions", who="anna")).json["items"]
        assert len(decisions) == 1
        assert (await api.call("GET", "/v1/me/held", who="anna")).body == held.body


async def test_a_mistyped_time_zone_is_guessed():
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        reply = await put(api, got.json | {"timezone": "Europe/Amsterdm"})
        assert "did you mean Europe/Amsterdam?" in reply.json["errors"][0]["allowed"]


HALF = {"from": "09:00", "until": "12:00"}
OR_DOMAIN = "the id of a vendor, or the domain of one that is not registered"
# (changes, path) where the name is put in for %
VENDORS = [
    ({"interest": [{"id": "a"}, {"id": "b", "vendors": ["greenleaf", "%"]}]},
     "interest[1].vendors[1]"),
    ({"window": [{**HALF, "vendors": ["%"]}]}, "window[0].vendors[0]"),
    ({"pauses": [{"from": "2026-12-01", "until": "2026-12-03", "vendors": ["%"]}]},
     "pauses[0].vendors[0]"),
    ({"exceptions": [{"on": "2026-12-01", "vendors": ["%"]}]}, "exceptions[0].vendors[0]"),
    ({"addresses": ["anna@letterbox.example",
                    {"address": "anna+s@letterbox.example", "vendor": "%"}]},
     "addresses[1].vendor"),
    ({"vendor": [{"vendor": "%"}]}, "vendor[0].vendor"),
]  # fmt: skip


def naming(changes, name):
    return msgspec.json.decode(msgspec.json.encode(changes).replace(b"%", name.encode()))


@pytest.mark.parametrize(("changes", "path"), VENDORS)
async def test_a_vendor_that_is_not_registered_is_named(changes, path):
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        reply = await put(api, got.json | naming(changes, "greenlef"))
        otherwise = 'the id of a vendor, or domain = "…" for one that is not registered'
        assert (reply.status, reply.json["errors"]) == (
            422,
            [
                {
                    "path": path,
                    "mistake": "there is no vendor 'greenlef'",
                    "allowed": otherwise if path == "vendor[0].vendor" else OR_DOMAIN,
                }
            ],
        )
        # An unregistered vendor's domain has a field of its own in a relationship.
        foreign = 422 if path == "vendor[0].vendor" else 200
        assert (await put(api, got.json | naming(changes, "shop.example"))).status == foreign
        for name in ("GreenLeaf", "voltshop"):
            assert (await put(api, got.json | naming(changes, name))).status == 200


@pytest.mark.parametrize(("changes", "path"), VENDORS)
async def test_a_vendor_that_was_named_before_may_stay(changes, path):
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        # The operator's word, and what was taken once.
        stood = msgspec.convert(got.json | naming(changes, "long-gone"), Preferences)
        consumers = api.house.app.consumers
        now = api.house.clock.now()
        await consumers.replace("anna", stood, expect=None, now=now)
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        assert (await put(api, got.json | {"ask_for_days": 3})).status == 200
        reply = await put(api, got.json | naming(changes, "longer-gone"))
        assert [error["path"] for error in reply.json["errors"]] == [path]
        rest = {field: [] for field in changes if field != "addresses"}
        away = got.json | rest | {"addresses": ["anna@letterbox.example"]}
        assert (await put(api, away)).status == 200
        assert (await put(api, got.json)).status == 422
        # What was stands again by the history, which holds nothing that was not taken then.
        back = await api.call(
            "POST",
            "/v1/me/preferences/history/2/restore",
            who="anna",
            headers={"If-Match": "*"},
        )
        assert (back.status, back.json) == (200, got.json)


async def test_very_many_unknown_vendors_are_not_all_looked_for():
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        names = [f"nobody-{nth}" for nth in range(900)]
        reply = await put(api, got.json | {"interest": [{"id": "a", "vendors": names}]})
        assert (reply.status, len(reply.json["errors"])) == (422, 100)


async def test_what_other_wishes_would_do_is_asked_with_vendors_there_are():
    async with open_api() as api:
        after = {"id": "garden-tools", "vendors": ["greenlef"]}
        change = {"piece": "interest", "id": "garden-tools", "after": after}
        reply = await api.call(
            "POST", "/v1/me/replay", who="anna", json={"days": 7, "changes": [change]}
        )
        assert (reply.status, reply.json["errors"][0]["path"]) == (422, "interest[0].vendors[0]")


@pytest.mark.parametrize("name", NO_ZONES)
async def test_what_lies_beside_the_time_zones_is_none(name):
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        reply = await put(api, got.json | {"timezone": name})
        assert (reply.status, [error["path"] for error in reply.json["errors"]]) == (
            422,
            ["timezone"],
        )
        assert reply.json["errors"][0]["mistake"] == f"there is no time zone {name!r}"


@pytest.mark.parametrize("name", ["Europe/Amsterdam", "UTC", "Etc/GMT+5", "US/Pacific"])
async def test_every_name_of_the_database_is_a_time_zone(name):
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        assert (await put(api, got.json | {"timezone": name})).status == 200


async def test_of_two_who_change_the_same_document_one_is_told():
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        headers = {"If-Match": got.headers["ETag"]}
        puts = await asyncio.gather(
            *(
                api.call(
                    "PUT",
                    "/v1/me/preferences",
                    who="anna",
                    json=got.json | {"ask_for_days": days},
                    headers=headers,
                )
                for days in (3, 5)
            )
        )
        assert sorted(put.status for put in puts) == [200, 412]


# ---- inbox ------------------------------------------------------------------------------------


async def test_an_inbox_item_has_these_fields():
    async with open_api() as api:
        await api.send()
        (item,) = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]
        assert item.keys() == INBOX_ITEM
        assert (item["vendor"], item["interests"], item["read"]) == (
            "greenleaf",
            ["garden-tools"],
            False,
        )
        one = await api.call("GET", f"/v1/me/inbox/{item['id']}", who="anna")
        assert one.json == item


async def test_a_list_is_read_page_by_page_newest_first():
    async with open_api() as api:
        for number in range(5):
            api.house.clock.advance(seconds=1)
            await api.send(subject=f"Offer {number}")
        subjects, after = [], ""
        while after is not None:
            page = (await api.call("GET", f"/v1/me/inbox?limit=2&after={after}", who="anna")).json
            subjects += [item["subject"] for item in page["items"]]
            after = page["after"]
        assert subjects == [f"Offer {number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1000", 200),
        ("limit=1000000", 200),
        ("limit=0", 422),
        ("limit=-1", 422),
        ("limit=ten", 422),
        ("limit=\u0661", 422),
        ("limit=" + "9" * 5000, 422),
        ("limit=", 422),
        ("after=", 200),
        ("after=" + "0" * 32, 200),
        ("after=zzzz", 422),
        ("after=" + "0" * 33, 422),
        ("after=%ED%A0%80", 422),
        ("before=x", 422),
        ("limit=1&limit=2", 422),
        ("limit=1&limit=1", 422),
        ("Limit=1", 422),
        ("after=../x", 422),
        ("after=%00", 422),
    ],
)
@pytest.mark.parametrize("path", ["inbox", "held", "decisions"])
async def test_what_a_list_may_be_asked(path, query, status):
    async with open_api() as api:
        assert (await api.call("GET", f"/v1/me/{path}?{query}", who="anna")).status == status


PARAMETERS = [
    ("GET", "/v1/me/preferences?revision=1", "anna", "revision"),
    ("PUT", "/v1/me/preferences?force=1", "anna", "force"),
    ("GET", "/v1/me/inbox/x?raw=1", "anna", "raw"),
    ("DELETE", "/v1/me/inbox/x?all=1", "anna", "all"),
    ("GET", "/v1/me/strangers?limit=1", "anna", "limit"),
    ("GET", "/v1/feedback?aftr=1", "greenleaf", "aftr"),
    ("POST", "/v1/messages?too=a@b.example", "greenleaf", "too"),
    ("POST", "/v1/messages?to=anna@letterbox.example", "greenleaf", "?to"),
]


@pytest.mark.parametrize(("method", "path", "who", "name"), PARAMETERS)
async def test_a_parameter_that_is_not_known_is_refused_by_name(method, path, who, name):
    async with open_api() as api:
        reply = await api.call(method, path, who=who, json=PRUNERS)
        assert (reply.status, reply.json["errors"][0]["path"]) == (422, name)


async def test_a_mistyped_parameter_is_guessed():
    async with open_api() as api:
        reply = await api.call("GET", "/v1/me/inbox?afte=x", who="anna")
        assert reply.json["errors"] == [
            {
                "path": "afte",
                "mistake": "there is no such parameter; did you mean after?",
                "allowed": "after, limit",
            }
        ]


async def test_marks_are_changed_one_by_one():
    async with open_api() as api:
        await api.send()
        (item,) = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]
        path = f"/v1/me/inbox/{item['id']}"
        read = await api.call("PATCH", path, who="anna", json={"read": True})
        assert read.json == item | {"read": True}
        archived = await api.call("PATCH", path, who="anna", json={"archived": True})
        assert archived.json == item | {"read": True, "archived": True}
        wrong = await api.call("PATCH", path, who="anna", json={"starred": True})
        assert (wrong.status, wrong.json["errors"][0]["path"]) == (422, "starred")


async def test_what_is_deleted_is_gone_and_its_decision_stays():
    async with open_api() as api:
        await api.send()
        (item,) = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]
        path = f"/v1/me/inbox/{item['id']}"
        assert (await api.call("DELETE", path, who="anna")).status == 204
        assert (await api.call("DELETE", path, who="anna")).status == 404
        assert (await api.call("GET", path, who="anna")).status == 404
        decisions = (await api.call("GET", "/v1/me/decisions", who="anna")).json["items"]
        assert [decision["verdict"] for decision in decisions] == ["deliver"]


async def test_raw_mail_is_never_shown_by_a_browser():
    async with open_api() as api:
        await api.send()
        (item,) = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]
        raw = await api.call("GET", f"/v1/me/inbox/{item['id']}/raw", who="anna")
        assert raw.headers["Content-Disposition"].startswith("attachment;")
        assert raw.headers["X-Content-Type-Options"] == "nosniff"
        assert raw.headers["Content-Security-Policy"].startswith("sandbox")


# ---- held -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "subjects"), [("release", ["Pruners for spring"]), ("refuse", [])]
)
async def test_a_held_message_is_answered_once(answer, subjects):
    async with open_api() as api:
        await api.send(kind="newsletter")
        (held,) = (await api.call("GET", "/v1/me/held", who="anna")).json["items"]
        assert held.keys() == INBOX_ITEM | {"until", "why"}
        assert (held["until"], held["why"]) == ("2026-11-28T08:00:00Z", "window-closed")
        path = f"/v1/me/held/{held['id']}/{answer}"
        assert (await api.call("POST", path, who="anna")).status == 200
        assert await api.house.inbox("anna") == subjects
        assert (await api.call("POST", path, who="anna")).status == 404
        assert (await api.call("GET", "/v1/me/held", who="anna")).json["items"] == []


async def test_what_cannot_be_asked_of_a_held_message_is_named():
    async with open_api() as api:
        await api.send(kind="newsletter")
        (held,) = (await api.call("GET", "/v1/me/held", who="anna")).json["items"]
        path = f"/v1/me/held/{held['id']}/release"
        reply = await api.call("POST", path, who="anna", json={"relation": {}})
        assert (reply.status, reply.json["errors"][0]["path"]) == (422, "relation")


async def test_a_write_with_a_key_gives_the_same_answer_again():
    async with open_api() as api:
        await api.send(kind="newsletter")
        (held,) = (await api.call("GET", "/v1/me/held", who="anna")).json["items"]
        key = {"Idempotency-Key": "k1"}
        path = f"/v1/me/held/{held['id']}"
        first = await api.call("POST", f"{path}/release", who="anna", headers=key)
        again = await api.call("POST", f"{path}/release", who="anna", headers=key)
        assert (again.status, again.body) == (first.status, first.body) == (200, first.body)
        assert again.headers["Content-Type"] == first.headers["Content-Type"]
        other = await api.call("POST", f"{path}/refuse", who="anna", headers=key)
        assert (other.status, other.json["type"].rpartition("#")[2]) == (422, "key-reused")
        # Another consumer's key of the same name is another key.
        stranger = await api.call("POST", f"{path}/release", who="ben", headers=key)
        assert stranger.status == 404


# ---- decisions --------------------------------------------------------------------------------


async def test_every_decision_is_there_with_its_findings_in_the_consumers_language():
    async with open_api() as api:
        await api.send()
        await api.send(offer=DEAR)
        await api.send(kind="newsletter")
        page = (await api.call("GET", "/v1/me/decisions", who="anna")).json
        assert sorted(item["verdict"] for item in page["items"]) == ["deliver", "hold", "refuse"]
        refused = (await api.call("GET", "/v1/me/decisions?verdict=refuse", who="anna")).json
        (item,) = refused["items"]
        assert item["reason"] == "price-above-limit"
        assert item["sentence"].startswith("170 EUR is meer dan je grens")
        assert item["until"] is None
        assert item["preferences_version"] == 1
        finding = next(f for f in item["findings"] if f["verdict"] == "refuse")
        assert finding.keys() == {"filter", "verdict", "reason", "facts"}
        assert finding["facts"]["price"] == "170 EUR"
        one = await api.call("GET", f"/v1/me/decisions/{item['id']}", who="anna")
        told = one.json
        assert told.pop("explanation")[0] == f"Geweigerd: {item['sentence']}"
        assert told == item
        held = (await api.call("GET", "/v1/me/decisions?verdict=hold", who="anna")).json
        assert held["items"][0]["until"] == "2026-11-28T08:00:00Z"


async def test_an_unknown_verdict_is_refused():
    async with open_api() as api:
        reply = await api.call("GET", "/v1/me/decisions?verdict=bounce", who="anna")
        assert (reply.status, reply.json["errors"][0]["path"]) == (422, "verdict")
        assert "deliver, hold, refuse, defer" in reply.json["errors"][0]["allowed"]


async def test_strangers_are_counted_by_day_and_reason():
    async with open_api() as api:
        for number in range(2):
            await api.house.send(
                mail(domain="unknown.example", number=number), "anna@letterbox.example"
            )
        api.house.clock.advance(days=1)
        await api.house.send(mail(domain="unknown.example", number=3), "anna@letterbox.example")
        items = (await api.call("GET", "/v1/me/strangers", who="anna")).json["items"]
        assert [(item["day"], item["count"]) for item in items] == [
            ("2026-11-24", 1),
            ("2026-11-23", 2),
        ]
        assert (await api.call("GET", "/v1/me/strangers", who="ben")).json["items"] == []


# ---- somebody else's --------------------------------------------------------------------------

CALLS = [
    ("GET", "/v1/me/inbox/{entry}"),
    ("GET", "/v1/me/inbox/{entry}/raw"),
    ("GET", "/v1/me/inbox/{entry}/raw?original=1"),
    ("PATCH", "/v1/me/inbox/{entry}"),
    ("DELETE", "/v1/me/inbox/{entry}"),
    ("POST", "/v1/me/held/{held}/release"),
    ("POST", "/v1/me/held/{held}/refuse"),
    ("GET", "/v1/me/decisions/{entry}"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_what_is_somebody_elses_looks_like_what_never_was(method, path):
    async with open_api() as api:
        await api.send()
        await api.send(kind="newsletter")
        (entry,) = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]
        (held,) = (await api.call("GET", "/v1/me/held", who="anna")).json["items"]
        body = {"json": {"read": True}} if method == "PATCH" else {}
        told = []
        for names in (
            {"entry": entry["id"], "held": held["id"]},
            {"entry": entry["id"][::-1], "held": held["id"][::-1]},
            {"entry": "x", "held": "x"},
            {"entry": "..%2Fpreferences", "held": "%00"},
        ):
            reply = await api.call(method, path.format(**names), who="ben", **body)
            told.append((reply.status, reply.body, sorted(set(reply.headers) - {"Date"})))
        assert told[0][0] == 404
        assert told.count(told[0]) == len(told)
        assert await api.house.inbox("anna") == ["Pruners for spring"]


async def test_a_token_of_nobody_finds_no_preferences():
    async with open_api() as api:
        assert (await api.call("GET", "/v1/me/preferences", who="carol")).status == 404


async def test_the_store_being_away_is_a_passing_fault():
    configuration = Configuration(public_url="https://letterbox.example")
    async with open_api(configuration=configuration) as api:
        await api.credential("anna")
        await api.credential("greenleaf")
        await api.house.app.store.close()
        for method, path, who in (
            ("GET", "/v1/me/inbox", "anna"),
            ("GET", "/v1/feedback", "greenleaf"),
            ("POST", "/v1/messages", "greenleaf"),
            ("GET", "/r/" + "x" * 22, None),
            ("GET", "/readyz", None),
        ):
            body = {"json": PRUNERS} if method == "POST" else {}
            reply = await api.call(method, path, who=who, **body)
            assert reply.status == 503, path
            assert int(reply.headers["Retry-After"]) > 0
        assert (await api.call("GET", "/healthz")).status == 200
