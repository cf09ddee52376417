"""What is declared, one by one: its versions, its past, and the way back."""

import asyncio
from urllib.parse import quote

import msgspec
import pytest

from letterbox.model.preferences import Interest, Preferences
from letterbox.ports.store import Commit, Put
from letterbox.records import places
from tests.support.api import open_api
from tests.support.plain import NOW, address

TOOLS = {"id": "garden-tools", "categories": ["home-garden/garden-tools"]}
TRIPS = {"id": "trips", "categories": ["travel"]}
SAT = {"days": ["sat"], "from": "09:00", "until": "12:00", "kinds": ["newsletter"]}


async def get(api, path, who="anna"):
    return await api.call("GET", f"/v1/me/{path}", who=who)


async def put(api, path, value, tag="*", **headers):
    headers = headers or {"If-Match": tag}
    return await api.call("PUT", f"/v1/me/{path}", who="anna", json=value, headers=headers)


async def delete(api, path, tag="*"):
    return await api.call("DELETE", f"/v1/me/{path}", who="anna", headers={"If-Match": tag})


async def post(api, path, value):
    return await api.call("POST", f"/v1/me/{path}", who="anna", json=value)


NEW = [
    ("interests", TRIPS, "trips"),
    ("windows", {"id": "evening", "from": "18:00", "until": "20:00"}, "evening"),
    ("vendors", {"domain": "Bluebird.example", "standing": "blocked"}, "bluebird.example"),
    ("vendors", {"address": "Tom@gmail.com"}, "tom@gmail.com"),
    ("vendors", {"domain": "tale.example", "via": ["K1.platform.example"]}, "tale.example"),
    (
        "addresses",
        {"address": "anna+shop@letterbox.example", "vendor": "greenleaf"},
        "anna+shop@letterbox.example",
    ),
    ("addresses", {"address": "anna+news@letterbox.example"}, "anna+news@letterbox.example"),
]


@pytest.mark.parametrize(("path", "value", "name"), NEW)
async def test_a_piece_is_declared_read_changed_and_taken_away(path, value, name):
    async with open_api() as api:
        whole = await get(api, "preferences")
        made = await post(api, path, value)
        assert (made.status, made.json) == (201, value)
        one = f"{path}/{quote(name, safe='')}"
        assert made.headers["Location"] == f"/v1/me/{one}"
        listed = (await get(api, path)).json["items"]
        assert listed[-1] == {"id": name, "etag": made.headers["ETag"], "value": value}
        got = await get(api, one)
        assert (got.json, got.headers["ETag"]) == (value, made.headers["ETag"])
        assert (await post(api, path, value)).status == 409
        # The same again changes nothing.
        same = await put(api, one, value, made.headers["ETag"])
        assert (same.status, same.headers["ETag"]) == (200, made.headers["ETag"])
        assert (await delete(api, one, made.headers["ETag"])).status == 204
        assert (await get(api, one)).status == 404
        assert (await get(api, "preferences")).json == whole.json


async def test_a_change_of_one_piece_leaves_the_others_as_they_were():
    async with open_api() as api:
        vendors = (await get(api, "vendors")).json["items"]
        (before,) = (await get(api, "interests")).json["items"]
        whole = await get(api, "preferences")
        done = await put(api, "interests/garden-tools", TOOLS, before["etag"])
        assert done.status == 200
        assert done.headers["ETag"] != before["etag"]
        after = await get(api, "preferences")
        assert after.headers["ETag"] != whole.headers["ETag"]
        assert after.json["interest"] == [TOOLS]
        assert (await get(api, "vendors")).json["items"] == vendors
        # It counts at once.
        offer = {"categories": ["home-garden/garden-tools"],
                 "price": {"amount": "900", "currency": "EUR"}}  # fmt: skip
        assert (await api.send(offer=offer)).json["results"][0]["verdict"] == "deliver"


async def test_a_piece_that_comes_back_has_another_tag():
    async with open_api() as api:
        first = await post(api, "interests", TRIPS)
        await delete(api, "interests/trips")
        again = await post(api, "interests", TRIPS)
        assert again.headers["ETag"] != first.headers["ETag"]
        assert (await put(api, "interests/trips", TRIPS, first.headers["ETag"])).status == 412


async def test_a_window_without_an_id_has_a_name_that_stays():
    async with open_api() as api:
        (window,) = (await get(api, "windows")).json["items"]
        assert window["value"] == SAT
        one = f"windows/{window['id']}"
        changed = SAT | {"until": "13:00"}
        assert (await put(api, one, changed, window["etag"])).json == changed
        assert (await get(api, one)).json == changed
        assert (await get(api, "preferences")).json["window"] == [changed]
        named = await put(api, one, changed | {"id": "saturday"})
        assert (named.status, named.json["errors"][0]["path"]) == (422, "id")
        twice = await post(api, "windows", changed)
        assert twice.status == 201
        names = [item["id"] for item in (await get(api, "windows")).json["items"]]
        assert len(set(names)) == 2
        # The whole document, put as it was read, keeps them.
        whole = await get(api, "preferences")
        await put(api, "preferences", whole.json | {"language": "en"})
        assert [item["id"] for item in (await get(api, "windows")).json["items"]] == names


GUARDS = [
    ("PUT", "interests/garden-tools", {}, 428),
    ("PUT", "interests/garden-tools", {"If-Match": '"99"'}, 412),
    ("PUT", "interests/garden-tools", {"If-None-Match": "*"}, 412),
    ("PUT", "interests/trips", {"If-Match": "*"}, 404),
    ("PUT", "interests/trips", {}, 404),
    ("DELETE", "interests/garden-tools", {}, 428),
    ("DELETE", "interests/garden-tools", {"If-Match": '"99"'}, 412),
    ("DELETE", "vendors/nobody.example", {"If-Match": "*"}, 404),
    ("DELETE", "windows/~000000000000", {"If-Match": "*"}, 404),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), GUARDS)
async def test_a_change_is_made_in_what_stands(method, path, headers, status):
    async with open_api() as api:
        before = await get(api, "preferences")
        body = {"json": TOOLS | {"id": path.rpartition("/")[2]}} if method == "PUT" else {}
        reply = await api.call(method, f"/v1/me/{path}", who="anna", headers=headers, **body)
        assert reply.status == status
        after = await get(api, "preferences")
        assert (after.body, after.headers["ETag"]) == (before.body, before.headers["ETag"])


async def test_what_is_not_there_yet_may_be_put():
    async with open_api() as api:
        made = await put(api, "interests/trips", TRIPS, **{"If-None-Match": "*"})
        assert made.status == 200
        assert (await get(api, "interests/trips")).json == TRIPS


async def test_a_piece_that_is_known_is_not_sent_again():
    async with open_api() as api:
        got = await get(api, "vendors/GreenLeaf")
        headers = {"If-None-Match": got.headers["ETag"]}
        again = await api.call("GET", "/v1/me/vendors/greenleaf", who="anna", headers=headers)
        assert (again.status, again.body) == (304, b"")


WRONG = [
    ("interests", {"id": "trips", "categories": ["travel/moon"]}, "categories[0]"),
    ("interests", {"id": "trips", "from": "2026-03-01", "until": "2026-02-01"}, "until"),
    ("interests", {"categories": ["travel"]}, "id"),
    ("interests", {"id": "trips", "price": 3}, "price"),
    ("windows", {"from": "09:00", "until": "09:00"}, "until"),
    ("vendors", {"domain": "gmail.com"}, "domain"),
    ("vendors", {"vendor": "a", "domain": "b.example"}, "(all)"),
    ("vendors", {"vendor": "a", "limit": {"messages": 1, "per": "day", "kinds": ["service"]}},
     "limit.kinds"),
    ("addresses", {"address": "ben@letterbox.example"}, "address"),
    ("addresses", {"address": "nonsense"}, "address"),
    ("addresses", {"address": "anna+s@letterbox.example", "vendor": "greenlef"}, "vendor"),
    ("interests", {"id": "trips", "vendors": ["greenleaf", "greenlef"]}, "vendors[1]"),
    ("windows", {"from": "09:00", "until": "10:00", "vendors": ["greenlef"]}, "vendors[0]"),
    ("vendors", {"vendor": "greenlef"}, "vendor"),
    ("vendors", {"domain": "tale.example", "via": ["k.example", "hotmail.com"]}, "via[1]"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "where"), WRONG)
async def test_a_mistake_is_named_within_the_piece(path, value, where):
    async with open_api() as api:
        before = await get(api, "preferences")
        reply = await post(api, path, value)
        assert reply.status == 422
        assert where in [error["path"] for error in reply.json["errors"]]
        after = await get(api, "preferences")
        assert after.headers["ETag"] == before.headers["ETag"]


async def test_a_name_in_the_path_and_another_in_the_piece():
    async with open_api() as api:
        reply = await put(api, "interests/garden-tools", TRIPS)
        assert (reply.status, reply.json["errors"][0]["path"]) == (422, "id")
        reply = await put(api, "vendors/greenleaf", {"domain": "other.example"})
        assert (reply.status, reply.json["errors"][0]["path"]) == (422, "domain")


async def test_the_last_address_stays():
    async with open_api() as api:
        reply = await delete(api, "addresses/anna%40letterbox.example")
        assert reply.status == 422


async def test_an_address_that_others_lie_below_goes_after_them():
    async with open_api() as api:
        await api.house.app.consumers.replace(
            "anna", await with_addresses(api, "garden@letterbox.example"), expect=None, now=NOW
        )
        await post(api, "addresses", {"address": "anna+s@letterbox.example"})
        reply = await delete(api, "addresses/anna%40letterbox.example")
        assert reply.status == 422
        (error,) = reply.json["errors"]
        assert error["mistake"].endswith("below it stay: anna+s@letterbox.example")
        assert error["allowed"].startswith("to give up anna+s@letterbox.example first")
        assert (await delete(api, "addresses/anna%2Bs%40letterbox.example")).status == 204
        assert (await delete(api, "addresses/anna%40letterbox.example")).status == 204


async def test_nobody_sees_the_pieces_of_another():
    async with open_api() as api:
        await post(api, "interests", TRIPS)
        assert (await get(api, "interests/trips", who="ben")).status == 404
        assert (await get(api, "interests", who="ben")).json["items"] == []


async def test_a_long_list_comes_in_pages():
    async with open_api() as api:
        whole = (await get(api, "preferences")).json
        whole["vendor"] += [{"domain": f"shop-{nth}.example"} for nth in range(1200)]
        assert (await put(api, "preferences", whole)).status == 200
        names, after = [], ""
        while after is not None:
            page = (await get(api, f"vendors?limit=500&after={quote(after)}")).json
            names += [item["id"] for item in page["items"]]
            after = page["after"]
        assert names == ["greenleaf", *(f"shop-{nth}.example" for nth in range(1200))]
        assert (await get(api, "preferences")).json == whole


async def test_two_changes_at_once_of_different_pieces_both_stand():
    async with open_api() as api:
        replies = await asyncio.gather(
            put(api, "interests/garden-tools", TOOLS),
            put(api, "vendors/greenleaf", {"vendor": "greenleaf", "scope": "everything"}),
            post(api, "interests", TRIPS),
        )
        assert [reply.status for reply in replies] == [200, 200, 201]
        whole = (await get(api, "preferences")).json
        assert whole["interest"] == [TOOLS, TRIPS]
        assert whole["vendor"] == [{"vendor": "greenleaf", "scope": "everything"}]


async def test_of_two_changes_of_one_piece_one_is_told():
    async with open_api() as api:
        tag = (await get(api, "interests/garden-tools")).headers["ETag"]
        replies = await asyncio.gather(
            *(put(api, "interests/garden-tools", TOOLS | {"brands": [name]}, tag)
              for name in ("Felco", "Acme"))
        )  # fmt: skip
        assert sorted(reply.status for reply in replies) == [200, 412]


async def history(api):
    return (await get(api, "preferences/history")).json["items"]


async def restore(api, revision, tag="*"):
    return await api.call(
        "POST",
        f"/v1/me/preferences/history/{revision}/restore",
        who="anna",
        headers={"If-Match": tag},
    )


async def test_history_tells_who_changed_what():
    async with open_api() as api:
        await put(api, "interests/garden-tools", TOOLS)
        await post(api, "vendors", {"domain": "bluebird.example"})
        whole = (await get(api, "preferences")).json
        await put(api, "preferences", whole | {"language": "en", "interest": [TOOLS, TRIPS]})
        newest, second, first, begin = await history(api)
        assert [each["revision"] for each in (newest, second, first, begin)] == [4, 3, 2, 1]
        assert [each["by"] for each in (newest, begin)] == ["consumer", "operator"]
        assert newest["pieces"] == [
            {"piece": "core", "id": "language", "before": "nl", "after": "en"},
            {"piece": "interest", "id": "trips", "before": None, "after": TRIPS},
        ]
        assert second["pieces"] == [
            {
                "piece": "vendor",
                "id": "bluebird.example",
                "before": None,
                "after": {"domain": "bluebird.example"},
            }
        ]
        price = {"amount": "150.00", "currency": "EUR"}
        assert first["pieces"] == [
            {
                "piece": "interest",
                "id": "garden-tools",
                "before": TOOLS | {"max_price": price},
                "after": TOOLS,
            }
        ]


async def test_what_was_can_be_restored_and_that_undone():
    async with open_api() as api:
        states = {1: (await get(api, "preferences")).json}
        await put(api, "interests/garden-tools", TOOLS)
        states[2] = (await get(api, "preferences")).json
        await delete(api, "vendors/greenleaf")
        states[3] = (await get(api, "preferences")).json
        pauses = [{"from": "2026-12-01", "until": "2026-12-03"}]
        limit = {"messages": 2, "per": "day"}
        changes = {"language": "en", "pauses": pauses, "limit": limit}
        await put(api, "preferences", states[3] | changes)
        states[4] = (await get(api, "preferences")).json
        for revision, expected in states.items():
            done = await restore(api, revision)
            assert (done.status, done.json) == (200, expected)
            assert (await get(api, "preferences")).json == expected
        assert (await history(api))[0]["by"] == "restore"


async def with_addresses(api, *more):
    stored = await api.house.app.consumers.stored("anna")
    return msgspec.structs.replace(stored.preferences, addresses=("anna@letterbox.example", *more))


GARDEN = "garden@letterbox.example"


async def test_an_address_given_up_comes_back_with_what_was():
    async with open_api() as api:
        consumers = api.house.app.consumers
        both = await with_addresses(api, GARDEN, "garden+s@letterbox.example")
        await consumers.replace("anna", both, expect=None, now=NOW)
        await delete(api, "addresses/garden%2Bs%40letterbox.example")
        await delete(api, "addresses/garden%40letterbox.example")
        assert (await consumers.owner(address(GARDEN))).consumer == ""
        done = await restore(api, 2)
        assert (done.status, done.json["addresses"]) == (200, list(both.addresses))
        assert (await consumers.owner(address(GARDEN))).consumer == "anna"


async def test_an_address_that_another_has_taken_does_not_come_back():
    async with open_api() as api:
        consumers = api.house.app.consumers
        both = await with_addresses(api, GARDEN)
        await consumers.replace("anna", both, expect=None, now=NOW)
        await delete(api, "addresses/garden%40letterbox.example")
        ben = (await consumers.stored("ben")).preferences
        taken = msgspec.structs.replace(ben, addresses=(*ben.addresses, GARDEN))
        await consumers.replace("ben", taken, expect=None, now=NOW)
        refused = await restore(api, 2)
        assert refused.status == 422
        (error,) = refused.json["errors"]
        assert error["mistake"] == f"{GARDEN} is not an address of yours"
        assert (await consumers.owner(address(GARDEN))).consumer == "ben"


async def test_an_address_that_the_operator_took_away_does_not_come_back():
    async with open_api() as api:
        consumers = api.house.app.consumers
        both = await with_addresses(api, GARDEN)
        await consumers.replace("anna", both, expect=None, now=NOW)
        await consumers.replace("anna", await with_addresses(api), expect=None, now=NOW)
        refused = await restore(api, 2)
        (error,) = refused.json["errors"]
        assert error["mistake"] == f"{GARDEN} is not an address of yours"
        # Given again and then given up, it is the consumer's to take back.
        await consumers.replace("anna", both, expect=None, now=NOW)
        await delete(api, "addresses/garden%40letterbox.example")
        assert (await restore(api, 2)).status == 200


async def test_a_restore_is_guarded_and_has_its_bounds():
    async with open_api() as api:
        tag = (await get(api, "preferences")).headers["ETag"]
        await put(api, "interests/garden-tools", TOOLS)
        assert (await restore(api, 1, tag)).status == 412
        unguarded = await api.call("POST", "/v1/me/preferences/history/1/restore", who="anna")
        assert unguarded.status == 428
        for revision in ("0", "3", "99", "x"):
            assert (await restore(api, revision)).status == 404


async def test_fifty_changes_are_remembered_and_no_more():
    async with open_api() as api:
        for days in range(1, 61):
            whole = (await get(api, "preferences")).json
            await put(api, "preferences", whole | {"ask_for_days": days + 20})
        changes = await history(api)
        assert [each["revision"] for each in changes] == list(range(61, 11, -1))
        gone = await restore(api, 10)
        assert gone.status == 404
        assert "11 to 61" in gone.json["detail"]
        assert (await restore(api, 11)).json["ask_for_days"] == 30


async def test_a_document_of_old_is_read_and_moved_over_with_the_first_change():
    async with open_api() as api:
        old = await get(api, "preferences")
        partition = places.consumer("anna")
        value = msgspec.json.encode(msgspec.json.decode(old.body, type=Preferences))
        store = api.house.app.store
        await store.commit(
            Commit(partition=partition, operations=(Put(key=places.PREFERENCES, value=value),))
        )
        api.house.app.consumers.forget("anna")
        assert (await get(api, "preferences")).json == old.json
        (interest,) = (await get(api, "interests")).json["items"]
        await put(api, "interests/garden-tools", TOOLS, interest["etag"])
        document = await store.get(partition, places.PREFERENCES)
        assert not document.value.startswith(b"{")
        assert (await get(api, "preferences")).json == old.json | {"interest": [TOOLS]}


async def test_an_unknown_vendor_elsewhere_does_not_stand_in_the_way():
    async with open_api() as api:
        stored = await api.house.app.consumers.stored("anna")
        gone = Interest(id="gone", vendors=("long-gone",))
        broken = msgspec.structs.replace(
            stored.preferences, interest=(gone, *stored.preferences.interest)
        )
        await api.house.app.consumers.replace("anna", broken, expect=None, now=NOW)
        assert (await put(api, "interests/garden-tools", TOOLS)).status == 200
        kept = {"id": "gone", "vendors": ["long-gone"], "brands": ["Felco"]}
        assert (await put(api, "interests/gone", kept)).status == 200
        assert (await delete(api, "interests/gone")).status == 204
        assert (await post(api, "interests", kept)).status == 422


async def test_what_was_wrong_before_elsewhere_does_not_stand_in_the_way():
    async with open_api() as api:
        stored = await api.house.app.consumers.stored("anna")
        gone = Interest(id="gone", categories=("no-longer",))
        broken = msgspec.structs.replace(
            stored.preferences, interest=(*stored.preferences.interest, gone)
        )
        store = api.house.app.store
        await store.commit(
            Commit(
                partition=places.consumer("anna"),
                operations=(Put(key=places.PREFERENCES, value=msgspec.json.encode(broken)),),
            )
        )
        assert (await put(api, "interests/garden-tools", TOOLS)).status == 200
        assert (
            await put(api, "interests/gone", {"id": "gone", "categories": ["nowhere"]})
        ).status == 422
        assert (await delete(api, "interests/gone")).status == 204
