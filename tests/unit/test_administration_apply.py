"""Applying people files: idempotent, and what a consumer has changed since is kept."""

from typing import Any

import msgspec
import pytest

from letterbox.administration import Failed
from letterbox.administration.merge import merge
from letterbox.model.preferences import Preferences, VendorRule
from letterbox.ports.store import Commit, Put
from letterbox.records import places
from tests.support.house import House, mail, open_house

VENDORS = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf"
domains = ["greenleaf.example"]
[[vendor]]
id = "velo"
name = "Velo"
"""
ANNA = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
[[consumer.interest]]
id = "garden"
keywords = { any = ["pruner"] }
[[consumer.interest]]
id = "books"
[[consumer.window]]
days = ["sat"]
from = "09:00"
until = "12:00"
[[consumer.vendor]]
vendor = "greenleaf"
"""
FILE = VENDORS + ANNA


async def apply(house: House, text: str, **options: bool) -> list[str]:
    files = [{"name": "people.toml", "content": text.encode()}]
    done = await house.app.administration.perform("apply", {"files": files, **options})
    lines: list[str] = done["lines"]
    assert len(done["changes"]) + len(done["kept"]) == len(lines)
    return lines


async def stored(house: House) -> Preferences:
    found = await house.app.consumers.stored("anna")
    assert found is not None
    return found.preferences


async def change(house: House, **fields: Any) -> None:
    """What a consumer does through the API."""
    preferences = msgspec.structs.replace(await stored(house), **fields)
    await house.app.consumers.replace("anna", preferences, expect=None, now=house.clock.now())


async def test_applying_twice_changes_nothing_the_second_time():
    async with open_house() as house:
        assert await apply(house, FILE) == [
            "vendor greenleaf: created",
            "vendor velo: created",
            "consumer anna: created",
        ]
        before = await house.app.consumers.stored("anna")
        assert await apply(house, FILE) == []
        assert await house.app.consumers.stored("anna") == before


async def test_each_change_of_the_file_is_made_and_named():
    async with open_house() as house:
        await apply(house, FILE)
        changed = (
            FILE.replace('"Greenleaf"', '"Greenleaf Garden"')
            .replace("Europe/Amsterdam", "Europe/Brussels")
            .replace('"pruner"', '"secateurs"')
            .replace('[[consumer.interest]]\nid = "books"', '[[consumer.interest]]\nid = "music"')
            .replace('vendor = "greenleaf"', 'vendor = "velo"')
        )
        assert await apply(house, changed) == [
            "vendor greenleaf: name changed",
            "consumer anna: timezone changed",
            "consumer anna: interest garden changed",
            "consumer anna: interest music added",
            "consumer anna: interest books removed",
            "consumer anna: relationship velo added",
            "consumer anna: relationship greenleaf removed",
        ]
        assert await apply(house, changed) == []
        now = await stored(house)
        assert now.timezone == "Europe/Brussels"
        assert [interest.id for interest in now.interest] == ["garden", "music"]
        assert [rule.key for rule in now.vendor] == ["velo"]


async def test_a_dry_run_says_the_same_and_changes_nothing():
    async with open_house() as house:
        assert len(await apply(house, FILE, dry_run=True)) == 3
        assert await house.app.consumers.all() == []
        assert await house.app.vendors.all() == []
        await apply(house, FILE)
        before = await house.app.consumers.stored("anna")
        changed = FILE.replace("Europe/Amsterdam", "UTC")
        assert await apply(house, changed, dry_run=True) == ["consumer anna: timezone changed"]
        assert await house.app.consumers.stored("anna") == before


async def test_what_the_consumer_changed_is_kept_and_the_rest_still_follows_the_file():
    async with open_house() as house:
        await apply(house, FILE)
        interests = (await stored(house)).interest
        mine = msgspec.structs.replace(interests[1], id="chess")
        await change(house, language="nl", interest=(interests[0], mine))
        kept = [
            "consumer anna: language kept, because the consumer has changed it",
            "consumer anna: interest books kept, because the consumer has changed it",
            "consumer anna: interest chess kept, because the consumer has changed it",
        ]
        assert await apply(house, FILE) == kept
        moved = FILE.replace("Europe/Amsterdam", "UTC").replace('"pruner"', '"spade"')
        assert await apply(house, moved) == [
            "consumer anna: timezone changed",
            kept[0],
            "consumer anna: interest garden changed",
            *kept[1:],
        ]
        now = await stored(house)
        assert (now.timezone, now.language) == ("UTC", "nl")
        assert [interest.id for interest in now.interest] == ["garden", "chess"]
        assert now.interest[0].keywords.any == ("spade",)


async def test_force_makes_it_what_the_file_says():
    async with open_house() as house:
        await apply(house, FILE)
        file = await stored(house)
        await change(house, language="nl", interest=(), newcomers="ask")
        assert await apply(house, FILE, force=True) == [
            "consumer anna: language changed",
            "consumer anna: newcomers changed",
            "consumer anna: interest garden added",
            "consumer anna: interest books added",
        ]
        assert await stored(house) == file
        assert await apply(house, FILE) == []


async def test_a_part_both_changed_alike_is_no_quarrel():
    async with open_house() as house:
        await apply(house, FILE)
        await change(house, language="nl")
        same = FILE.replace('timezone = "Europe/Amsterdam"', 'timezone = "UTC"\nlanguage = "nl"')
        assert await apply(house, same) == ["consumer anna: timezone changed"]
        # Now the file's own: it can be taken back by the file.
        assert await apply(house, FILE) == [
            "consumer anna: timezone changed",
            "consumer anna: language changed",
        ]


async def test_a_consumer_that_was_never_applied_keeps_what_differs():
    async with open_house() as house:
        await house.people(ANNA.replace('"pruner"', '"rake"'))
        lines = await apply(house, VENDORS + ANNA.replace("Europe/Amsterdam", "UTC"))
        assert lines == [
            "vendor greenleaf: created",
            "vendor velo: created",
            "consumer anna: timezone kept, because the consumer has changed it",
            "consumer anna: interest garden kept, because the consumer has changed it",
        ]


async def test_a_window_without_an_id_is_known_by_its_times():
    async with open_house() as house:
        await apply(house, FILE)
        window = (await stored(house)).window[0]
        await change(house, window=(msgspec.structs.replace(window, id="mine"),))
        assert await apply(house, FILE) == [
            "consumer anna: window sat 09:00-12:00 kept, because the consumer has changed it",
            "consumer anna: window mine kept, because the consumer has changed it",
        ]


async def test_a_merge_that_makes_nonsense_keeps_that_consumer_and_applies_the_rest():
    async with open_house() as house:
        await apply(house, FILE)
        await change(house, vendor=(VendorRule(domain="Shop.example"),))
        more = FILE.replace("Europe/Amsterdam", "UTC") + (
            '[[consumer.vendor]]\ndomain = "shop.example"\n[[vendor]]\nid = "new"\nname = "New"\n'
        )
        before = await house.app.consumers.stored("anna")
        more += '[[consumer]]\nid = "bo"\naddresses = ["bo@letterbox.example"]\n'
        kept = (
            "consumer anna: kept as it is, because with what the consumer has changed since, "
            "vendor[1].domain would be wrong: the relationship with shop.example stands here "
            "twice; --force takes the file's word"
        )
        planned = await apply(house, more, dry_run=True)
        assert planned == ["vendor new: created", kept, "consumer bo: created"]
        assert await apply(house, more) == planned
        assert await house.app.consumers.stored("anna") == before
        assert await apply(house, more) == [kept]
        # Nothing of the file was taken for applied: it comes in when it can.
        await change(house, vendor=())
        assert await apply(house, more) == [
            "consumer anna: timezone changed",
            "consumer anna: relationship greenleaf kept, because the consumer has changed it",
            "consumer anna: relationship shop.example added",
        ]


async def test_force_takes_the_files_word_where_a_merge_makes_nonsense():
    async with open_house() as house:
        await apply(house, FILE)
        await change(house, vendor=(VendorRule(domain="Shop.example"),))
        more = FILE.replace("Europe/Amsterdam", "UTC") + (
            '[[consumer.vendor]]\ndomain = "shop.example"\n'
        )
        assert "consumer anna: timezone changed" in await apply(house, more, force=True)
        now = await stored(house)
        assert (now.timezone, [rule.key for rule in now.vendor]) == (
            "UTC",
            ["greenleaf", "shop.example"],
        )


async def test_an_address_without_its_mailbox_stands_in_nobodys_way():
    async with open_house() as house:
        await apply(house, FILE)
        # It could be left alone once.
        orphan = msgspec.structs.replace(
            await stored(house), addresses=("anna+s@letterbox.example",)
        )
        put = Put(key=places.PREFERENCES, value=msgspec.json.encode(orphan))
        await house.app.store.commit(Commit(partition=places.consumer("anna"), operations=(put,)))
        bo = '[[consumer]]\nid = "bo"\naddresses = ["bo@letterbox.example"]\n'
        kept = "consumer anna: addresses kept, because the consumer has changed it"
        assert await apply(house, FILE + bo) == [kept, "consumer bo: created"]
        (line,) = await apply(house, FILE.replace("Europe/Amsterdam", "UTC"))
        assert line.startswith("consumer anna: kept as it is, because with what the consumer")
        assert "addresses[0] would be wrong: anna+s@letterbox.example lies below" in line
        assert await apply(house, FILE, force=True) == ["consumer anna: addresses changed"]


async def test_an_address_changes_hands_in_two_steps():
    async with open_house() as house:
        await apply(house, FILE)
        bo = '[[consumer]]\nid = "bo"\naddresses = ["anna@letterbox.example"]\n'
        moved = FILE.replace("anna@letterbox.example", "anna2@letterbox.example")
        with pytest.raises(Failed, match="nothing was changed"):
            await apply(house, moved + bo)
        assert await apply(house, moved) == ["consumer anna: addresses changed"]
        assert await apply(house, moved + bo) == ["consumer bo: created"]


async def test_somebody_is_closed_out_as_the_operators_page_says():
    async with open_house() as house:

        async def told(number: int) -> str:
            letter = mail(text="A pruner.\r\n", number=number, List_Id="<a.greenleaf.example>")
            return (await house.send(letter, "anna@letterbox.example")).outcomes[0].told.text

        await apply(house, FILE)
        assert (await told(1)).startswith("held ")
        gone = FILE.replace('domains = ["greenleaf.example"]', "domains = []")
        assert await apply(house, gone) == ["vendor greenleaf: domains changed"]
        assert (await told(2)).startswith("no-relationship: ")
        await change(house, newcomers="interests")
        closed = '[[consumer]]\nid = "anna"\naddresses = ["anna@letterbox.example"]\n'
        await apply(house, closed + 'newcomers = "refuse"\n', force=True)
        now = await stored(house)
        assert (now.interest, now.vendor, now.newcomers) == ((), (), "refuse")


async def test_held_mail_is_decided_again_when_wishes_change():
    async with open_house() as house:
        await apply(house, FILE)
        before = await house.app.consumers.wishes("anna")
        await apply(house, FILE.replace('"pruner"', '"spade"'))
        after = await house.app.consumers.wishes("anna")
        assert after.revision == before.revision + 1
        assert after.interests.each[0].any_words[0].text == "spade"


def test_merging_what_nobody_changed_gives_the_file():
    old, new = Preferences(language="en"), Preferences(language="nl", ask_for_days=3)
    merged = merge(applied=old, stored=old, file=new)
    assert merged.preferences == new
    assert [change.what for change in merged.changes] == ["changed", "changed"]
