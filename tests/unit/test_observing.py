"""A consumer who only watches: everything comes, the rules are told, suggestions are adopted."""

import re

import msgspec
import pytest

from letterbox.administration import Failed
from letterbox.administration.shown import LINES
from letterbox.demo.story import scenes
from letterbox.model.preferences import Interest, Preferences, VendorRule, Window
from letterbox.model.verdict import outcome_of
from tests.support.api import open_api
from tests.support.house import mail, open_house, signed
from tests.support.plain import wishes_of
from tests.support.site import open_pages, text_of
from tests.support.story import told_to_watchers

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
mode = "MODE"
"""
RULE = """
  [[consumer.vendor]]
  vendor = "greenleaf"
  accepts = ["service"]
"""
ANNA = "anna@letterbox.example"


def people(mode: str, *more: str) -> str:
    return PEOPLE.replace("MODE", mode) + "".join(more)


def suggested(observed, name: str, about: str = ""):
    """The suggestion of a sort, about a piece."""
    found = [
        each
        for each in observed.suggestions
        if each.edit.name == name and each.piece[1].startswith(about)
    ]
    assert found, [(each.edit.name, each.piece) for each in observed.suggestions]
    return found[0]


async def test_the_demonstrations_people_come_to_what_they_would_write_by_hand():
    async with told_to_watchers() as told:
        adopted = told.app.suggestions.adopt

        async def take(who: str, name: str, about: str = "", value=None) -> None:
            observed = await told.app.suggestions.of(who)
            found = suggested(observed, name, about)
            assert await adopted(who, found.id, value=value) is not None

        passed = [answer.verdict for answer in told.answers]
        shows = [scene.shows for scene in scenes(told.clock.now())]
        assert [shows[n] for n, verdict in enumerate(passed) if verdict != "deliver"] == [
            "an address that does not exist: what every stranger hears",
            "somebody who writes as Greenleaf and is not",
        ]
        await told.open(
            "ben",
            "Sonorelle headphones",
            "Sonorelle earbuds are in",
            "A new novel by a quiet master",
        )
        wanted = told.by_hand("ben")
        voltshop, pagewise = wanted.vendor
        headphones, books = wanted.interest
        free = msgspec.structs.replace(voltshop, limit=None)
        await take("ben", "company", "voltshop", free)
        await take("ben", "company", "pagewise", pagewise)
        await take("ben", "wanted", "audio", headphones)
        await take("ben", "limit")  # three would come, and two were opened
        await take("ben", "wanted", "books", books)
        await take("ben", "hours", value=wanted.window[0])
        await switch(told.app, "ben", "filter", told.clock.now())
        assert await told.now("ben") == wanted
        assert compiled(await told.now("ben")) == compiled(wanted)

        await told.open(
            "anna",
            "Autumn sale: pruners for the whole garden",
            "Bypass pruner, 129.95",
            "Your order 1043 is on its way",
        )
        wanted = told.by_hand("anna")
        _, voltshop = wanted.vendor
        garden, over = wanted.interest
        await take("anna", "company", "greenleaf")  # as it is
        await take("anna", "lock-out", "voltshop", voltshop)
        await take("anna", "wanted", "garden-tools", garden)
        await switch(told.app, "anna", "filter", told.clock.now())
        # No mail can show a wish whose time is over; that one is left out.
        assert over.until is not None
        assert over.until < told.clock.now().date()
        wanted = msgspec.structs.replace(wanted, interest=(garden,))
        assert await told.now("anna") == wanted
        assert compiled(await told.now("anna")) == compiled(wanted)


async def switch(app, consumer: str, mode: str, now) -> None:
    stored = await app.consumers.stored(consumer)
    after = msgspec.structs.replace(stored.preferences, mode=mode)
    await app.consumers.revise(consumer, after, expect=stored.revision, now=now)


def compiled(preferences: Preferences):
    """The wishes as decisions use them; calendars are compared by what they were made of."""
    wishes = wishes_of(preferences)
    return msgspec.structs.replace(wishes, times=preferences.window)


async def test_suggestions_say_what_they_would_do_and_the_better_of_two_comes_first():
    async with told_to_watchers() as told:
        await told.open("anna", "Your order 1043 is on its way")
        observed = await told.app.suggestions.of("anna")
        assert (observed.messages, observed.stopped) == (11, 11)
        found = {(each.edit.name, each.piece[1]): each for each in observed.suggestions}
        effect = found["company-all", "greenleaf"].effect
        assert (effect.about, effect.come, effect.refused) == (8, 1, 7)
        names = [each.edit.name for each in observed.suggestions if each.piece[1] == "voltshop"]
        assert names == ["lock-out", "company"]
        effect = found["lock-out", "voltshop"].effect
        assert (effect.about, effect.come, effect.refused) == (2, 0, 2)


async def test_nobody_is_suggested_who_looks_like_somebody_else():
    knows = """
  [[consumer.vendor]]
  vendor = "greenleaf"
"""
    async with open_house(people("observe", knows)) as house:
        for number in range(3):
            forged = {"From": "Greenleaf Garden <shop@other.example>"}
            for domain, more in (("other.example", forged), ("voltshop.example", {})):
                content = mail(f"Bargain {number}", domain=domain, number=number, **more)
                await house.send(content, ANNA, sender=f"shop@{domain}")
        observed = await house.app.suggestions.of("anna")
        about = {(each.edit.name, each.piece[1]) for each in observed.suggestions}
        assert ("company-all", "voltshop.example") in about
        assert not any(name.startswith("company") and "other" in who for name, who in about)


async def test_all_listed_are_one_change_and_one_way_back():
    async with told_to_watchers() as told:
        before = await told.app.consumers.stored("anna")
        observed = await told.app.suggestions.of("anna")
        names = {each.id for each in observed.suggestions}
        adopted = await told.app.suggestions.adopt_all("anna", names, expect=before.revision)
        assert (adopted.before, adopted.after) == (before.revision, before.revision + 1)
        after = await told.now("anna")
        assert {rule.key for rule in after.vendor} == {"greenleaf", "voltshop", "pagewise"}
        now = told.clock.now()
        await told.app.consumers.restore("anna", adopted.before, expect=adopted.after, now=now)
        assert await told.now("anna") == before.preferences


async def test_nobody_reads_here_so_nobody_is_locked_out_and_all_is_wanted():
    async with told_to_watchers() as told:
        observed = await told.app.suggestions.of("ben")
        assert {each.edit.name for each in observed.suggestions} == {"company-all"}


@pytest.mark.parametrize(
    ("name", "about", "value"),
    [
        ("company", "voltshop", VendorRule(vendor="greenleaf")),
        ("company", "voltshop", Interest(id="voltshop")),
        ("company", "voltshop", Window(from_="09:00", until="10:00")),
    ],
)
async def test_another_piece_is_not_what_was_suggested(name, about, value):
    async with told_to_watchers() as told:
        await told.open("ben", "Sonorelle headphones")
        found = suggested(await told.app.suggestions.of("ben"), name, about)
        with pytest.raises(ValueError, match="the suggestion is about"):
            await told.app.suggestions.adopt("ben", found.id, value=value)
        assert not (await told.now("ben")).vendor


async def test_what_waits_comes_once_its_reader_only_watches_and_nothing_goes_back():
    asks = people("filter").replace("[[consumer]]", "[[consumer]]\nnewcomers = 'ask'")
    async with open_house(asks) as house:
        await house.send(signed(mail("First")), ANNA)
        assert await house.inbox("anna") == []
        await switch(house.app, "anna", "observe", house.clock.now())
        await house.work()
        assert await house.inbox("anna") == ["First"]
        (entry,) = (await house.app.mailboxes.inbox("anna", after=None, limit=9)).items
        assert outcome_of(entry.would.verdict).reason == "awaiting-consumer"
        await switch(house.app, "anna", "filter", house.clock.now())
        await house.work()
        assert await house.inbox("anna") == ["First"]
        await house.send(signed(mail("Second", number=2)), ANNA)
        assert await house.inbox("anna") == ["First"]


async def test_what_the_rules_let_in_counts_and_what_they_would_refuse_does_not():
    limited = '\n  [[consumer.vendor]]\n  vendor = "greenleaf"\n  scope = "everything"\n'
    limited += '  accepts = ["offer"]\n  limit = { messages = 1, per = "week" }\n'
    async with open_house(people("observe", limited)) as house:
        for number, kind in enumerate(("newsletter", "offer", "offer", "offer")):
            said = mail(f"No {number}", number=number, Letterbox_Kind=kind)
            assert (await house.send(signed(said), ANNA)).outcomes[0].told.verdict == "deliver"
        entries = (await house.app.mailboxes.inbox("anna", after=None, limit=9)).items
        would = {e.subject: e.would and outcome_of(e.would.verdict).reason for e in entries}
        assert would == {
            "No 0": "kind-not-wanted",
            "No 1": None,
            "No 2": "too-often",
            "No 3": "too-often",
        }


async def test_the_log_the_inbox_and_the_export_say_what_would_have_been():
    async with open_api(people("observe", RULE)) as api:
        said = mail("Sale", Letterbox_Kind="offer")
        await api.house.send(signed(said), ANNA)
        would = {"verdict": "refuse", "reason": "kind-not-wanted"}
        (entry,) = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]
        assert entry["would"] == would
        (row,) = (await api.call("GET", "/v1/me/decisions", who="anna")).json["items"]
        assert (row["verdict"], row["reason"], row["would"]) == ("deliver", None, would)
        assert row["sentence"].startswith("You only watch; it would have been refused. ")
        export = (await api.call("GET", "/v1/me/export", who="anna")).json
        assert export["decisions"][0]["would"] == would
        replayed = (await api.call("POST", "/v1/me/replay", who="anna", json={})).json
        assert (replayed["observed"], replayed["then"], replayed["now"]) == (
            1, {"refuse": 1}, {"refuse": 1},
        )  # fmt: skip
        explained = await api.house.app.administration.perform(
            "explain decision", {"decision": row["id"]}
        )
        assert (explained["verdict"], explained["would"]) == ("deliver", would)
        assert explained["replay"]["same"]


async def test_suggestions_over_the_api():
    async with open_api(people("observe")) as api:
        await api.house.send(signed(mail("Sale", Letterbox_Kind="offer")), ANNA)
        (item,) = (await api.call("GET", "/v1/me/suggestions", who="anna")).json["items"]
        assert item["sentence"] == "Allow Greenleaf Garden: service mail, offers"
        path = f"/v1/me/suggestions/{item['id']}"
        for value in ({"vendor": "other"}, {"id": "an-interest"}):
            wrong = await api.call("POST", path, who="anna", json={"value": value})
            assert wrong.status == 422
        wanted = {"vendor": "greenleaf", "accepts": ["offer"], "scope": "everything"}
        done = await api.call("POST", path, who="anna", json={"value": wanted})
        assert done.status == 200
        assert done.json["changes"][0]["after"] == wanted
        assert (await api.call("POST", path, who="anna", json={})).status == 404
        assert (await api.call("GET", "/v1/me/suggestions", who="anna")).json["items"] == []


@pytest.mark.parametrize("edge", ["smtp", "lmtp", "http"])
@pytest.mark.parametrize("more", ["", "  share_delivered = true\n", '  tells = "nothing"\n'])
async def test_a_vendor_cannot_tell_watching_from_delivering(edge, more):
    """The very same words and events as where the rules let it in."""
    heard = []
    takes = RULE.replace('["service"]', '["service", "offer"]\n  scope = "everything"')
    for text in (people("filter", takes, more), people("observe", RULE, more)):
        async with open_house(text) as house:
            said = signed(mail("Sale", Letterbox_Kind="offer"))
            received = await house.send(said, ANNA, edge=edge)
            told = received.outcomes[0].told
            events = [
                msgspec.structs.replace(event, message="", reference="", id="")
                for event in await house.feed("greenleaf")
            ]
            assert bool(events) == ("share" in more)
            line = msgspec.json.encode(told).replace(told.reference.encode(), b"REFERENCE")
            now = house.clock.now()
            tallies = await house.app.tallies.of("greenleaf", now.date(), now.date(), now)
            heard.append((line, told.line.replace(told.reference, ""), events, tallies))
            assert await house.inbox("anna") == ["Sale"]
    assert heard[0] == heard[1]


async def test_the_operator_switches_and_lists():
    async with open_house(people("filter")) as house:
        perform = house.app.administration.perform
        done = await perform("observe", {"consumer": "anna", "switch": "on"})
        assert done == {"consumer": "anna", "mode": "observe"}
        await house.send(signed(mail("Sale", Letterbox_Kind="offer")), ANNA)
        found = await perform("suggestions", {"consumer": "anna"})
        assert [item["sentence"] for item in found["items"]] == [
            "Allow Greenleaf Garden: service mail, offers"
        ]
        (line,) = LINES["suggestions"](found)
        assert line.endswith("(of 1: come 1, wait 0, refused 0)")
        assert LINES["observe"](
            await perform("observe", {"consumer": "anna", "switch": "off"})
        ) == ["anna's rules decide what comes in"]
        with pytest.raises(Failed, match="there is no consumer 'ann'; did you mean anna"):
            await perform("observe", {"consumer": "ann", "switch": "on"})


OTHER = """
[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
mode = "observe"
"""


async def test_the_pages_take_what_was_chosen_and_say_what_cannot_be():
    async with open_pages(people("observe", OTHER)) as site:
        house = site.house
        garden = {"Letterbox_Kind": "offer", "Letterbox_Category": "home-garden/garden-tools"}
        await house.send(signed(mail("Pruners", **garden)), ANNA)
        anna, ben = site.visitor(), site.visitor()
        await anna.sign_in("anna")
        await ben.sign_in("ben")
        page = await anna.get("/suggestions")
        assert "You opened none of it here, so all of it counts as wanted." in text_of(page)
        (path,) = re.findall(r'action="(/suggestions/[0-9a-f]{32})"', page.body.decode())
        # Another's suggestion is there for nobody else.
        assert (await ben.post(path)).status == 404
        assert (await anna.post(path, {"takes": "<all>"})).status == 422
        assert not (await declared(house, "anna")).vendor
        assert (await anna.post(path, {"takes": "interests"})).status == 303
        (rule,) = (await declared(house, "anna")).vendor
        assert (rule.vendor, rule.accepts, rule.scope) == (
            "greenleaf", ("service", "offer"), "interests",
        )  # fmt: skip
        assert (await anna.post(path)).status == 404

        page = await anna.get("/suggestions")
        (path,) = re.findall(r'action="(/suggestions/[0-9a-f]{32})"', page.body.decode())
        wrong = await anna.post(path, {"price": "a lot"})
        assert wrong.status == 422
        assert "This cannot be: a lot" in text_of(wrong)
        # Two pages that were open at once: the one that is late changes nothing.
        late = await anna.get("/suggestions/~all")
        (revision,) = re.findall(r'name="revision" value="(\d+)"', late.body.decode())
        assert (await anna.post(path, {"price": "99,50"})).status == 303
        fields = {"revision": revision, "id": path.rpartition("/")[2]}
        assert (await anna.post("/suggestions/~all", fields)).status == 412
        (interest,) = (await declared(house, "anna")).interest
        assert str(interest.max_price) == "99.50 EUR"
        assert (await anna.post("/settings/mode", {"mode": "sleep"})).status == 400
        assert (await anna.post("/settings/mode", {"mode": "filter"})).status == 303
        assert "Only watching" not in text_of(await anna.get("/inbox"))


async def declared(house, consumer: str) -> Preferences:
    stored = await house.app.consumers.stored(consumer)
    return stored.preferences


async def test_the_note_counts_from_the_moment_of_watching():
    async with open_pages(people("filter")) as site:
        house, anna = site.house, site.visitor()
        await house.send(signed(mail("Before")), ANNA)
        await anna.sign_in("anna")
        house.clock.advance(hours=1)
        await anna.post("/settings/mode", {"mode": "observe"})
        assert "0 of 0 would have been" in text_of(await anna.get("/inbox"))
        await house.send(signed(mail("After", number=2)), ANNA)
        assert "1 of 1 would have been" in text_of(await anna.get("/inbox"))
        watched = text_of(await anna.get("/refused?watched=yes"))
        assert "After" in watched
        assert "Before" not in watched
        assert "Before" in text_of(await anna.get("/refused"))
        # To say the same again is no new beginning.
        since = (await house.app.consumers.stored("anna")).observing
        house.clock.advance(hours=1)
        await anna.post("/settings/mode", {"mode": "observe"})
        await anna.post("/settings/language", {"language": "nl", "timezone": "UTC"})
        assert (await house.app.consumers.stored("anna")).observing == since
        assert "1 van 1 zou geweigerd zijn" in text_of(await anna.get("/inbox"))
