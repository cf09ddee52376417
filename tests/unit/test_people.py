"""People files: every mistake is named by file and place, and then nothing is changed."""

import pytest

from letterbox.administration import Failed
from letterbox.configuration import shipped
from tests.support.house import House, open_house
from tests.support.plain import NO_ZONES

VENDOR = '[[vendor]]\nid = "greenleaf"\nname = "Greenleaf"\ndomains = ["greenleaf.example"]\n'
ANNA = '[[consumer]]\nid = "anna"\naddresses = ["anna@letterbox.example"]\n'


async def apply(house: House, *texts: str | bytes, **options: bool):
    files = [
        {"name": f"{nth}.toml", "content": text.encode() if isinstance(text, str) else text}
        for nth, text in enumerate(texts)
    ]
    return await house.app.administration.perform("apply", {"files": files, **options})


async def nobody(house: House) -> bool:
    return not await house.app.consumers.all() and not await house.app.vendors.all()


# (file, path of the mistake, what is said of it)
BAD = [
    ("[[consumer]]\nid = 'a'\ntimezoen = 'UTC'\naddresses = ['a@letterbox.example']",
     "consumer[0].timezoen", "there is no such field; did you mean timezone?"),
    ("[[consumers]]\nid = 'a'", "consumers", "did you mean consumer?"),
    ("[[vendor]]\nid = 'a'", "vendor[0].name", "it is missing; allowed: text"),
    ("[[vendor]]\nname = 'a'", "vendor[0].id", "it is missing; allowed: 1 to 63 lower-case"),
    ("[[vendor]]\nid = 'A b'\nname = 'x'", "vendor[0].id",
     "'A b' is not valid here; allowed: 1 to 63"),
    ("[[vendor]]\nid = 'a'\nname = 'x'\nreply = 'reports'", "vendor[0].reply",
     "allowed: refuse, report"),
    ("[[vendor]]\nid = 'a'\nname = 'x'\ndomains = ['nope']", "vendor[0].domains[0]",
     "'nope' is no domain"),
    ("[[vendor]]\nid = 'a'\nname = 'x'\ndomains = ['co.uk']", "vendor[0].domains[0]",
     "public suffix"),
    ("[[vendor]]\nid = 'a'\nname = 'x'\ndomains = ['gmail.com']", "vendor[0].domains[0]",
     "nobody's vendor"),
    ("[[vendor]]\nid = 'a'\nname = 'x'\ndomains = ['Letterbox.example']", "vendor[0].domains[0]",
     "letterbox's own"),
    ("[[vendor]]\nid = 'postmaster'\nname = 'x'", "vendor[0].id", "the operator's"),
    (VENDOR + VENDOR, "vendor[1].id", "stands in 0.toml at vendor[0] already"),
    (VENDOR + VENDOR.replace('id = "greenleaf"', 'id = "other"'), "vendor[1].domains[0]",
     "greenleaf.example is vendor greenleaf's already"),
    ("[[consumer]]\naddresses = ['a@letterbox.example']", "consumer[0].id", "it is missing"),
    ("[[consumer]]\nid = 'operator'\naddresses = ['a@letterbox.example']", "consumer[0].id",
     "the operator's"),
    ("[[consumer]]\nid = 'a'", "consumer[0].addresses", "there is none"),
    ("[[consumer]]\nid = 'a'\naddresses = ['a']", "consumer[0].addresses[0]", "no mail address"),
    ("[[consumer]]\nid = 'a'\naddresses = [7]", "consumer[0].addresses[0]",
     "7 is not valid here; allowed: text or a table of address, vendor"),
    ("[[consumer]]\nid = 'a'\naddresses = [{ vendor = 'x' }]", "consumer[0].addresses[0].address",
     "it is missing"),
    ("[[consumer]]\nid = 'a'\naddresses = ['a@else.example']", "consumer[0].addresses[0]",
     "else.example is not a domain of this letterbox"),
    ("[[consumer]]\nid = 'a'\naddresses = ['Postmaster@letterbox.example']",
     "consumer[0].addresses[0]", "the operator's"),
    ("[[consumer]]\nid = 'a'\naddresses = ['a+shop@letterbox.example']",
     "consumer[0].addresses[0]", "lies below a@letterbox.example; allowed: a@letterbox.example"),
    (ANNA + "vendor = [{ domain = 'gmail.com' }]", "consumer[0].vendor[0].domain",
     'people of all kinds; allowed: one of them, as address = "someone@gmail.com"'),
    (ANNA + "vendor = [{ domain = 'co.uk' }]", "consumer[0].vendor[0].domain",
     "co.uk is a public suffix"),
    (ANNA + ANNA, "consumer[1].id", "the consumer anna stands in 0.toml at consumer[0] already"),
    (ANNA + ANNA.replace('"anna"', '"anne"'), "consumer[1].addresses[0]",
     "anna@letterbox.example is consumer anna's already"),
    (ANNA + "timezone = 'Europe/Amsterdm'", "consumer[0].timezone",
     "did you mean Europe/Amsterdam?"),
    *(
        (ANNA + f"timezone = '{name}'", "consumer[0].timezone", f"there is no time zone '{name}'")
        for name in NO_ZONES
    ),
    (ANNA + "language = 'de'", "consumer[0].language", "'de' is not valid here; allowed: en, nl"),
    (ANNA + "newcomers = true", "consumer[0].newcomers",
     "true is not valid here; allowed: refuse, ask"),
    (ANNA + "ask_for_days = 0", "consumer[0].ask_for_days", "a whole number from 1 to 365"),
    (ANNA + "limit = { messages = 3 }", "consumer[0].limit.per", "it is missing; allowed: day"),
    (ANNA + "pauses = [{ from = 2026-07-10, until = 2026-07-01 }]",
     "consumer[0].pauses[0].until", "2026-07-01 is before 2026-07-10"),
    (ANNA + "pauses = [{ from = 'July', until = 2026-07-01 }]", "consumer[0].pauses[0].from",
     "'July' is not valid here; allowed: a day such as 2026-12-24"),
    (ANNA + "window = [{ from = '09:00', until = '09:00' }]", "consumer[0].window[0].until",
     "the window is empty"),
    (ANNA + "window = [{ from = 09:00:00, until = '12:00' }]", "consumer[0].window[0].from",
     "09:00:00 is not valid here; allowed: a time of day as text"),
    (ANNA + "window = [{ from = '9 h', until = '12:00' }]", "consumer[0].window[0].from",
     "a time of day as text"),
    (ANNA + "window = [{ from = '09:00', until = '12:00', days = ['zo'] }]",
     "consumer[0].window[0].days[0]", "'zo' is not valid here; allowed: mon, tue"),
    (ANNA + "interest = [{ id = 'i' }, { id = 'j', from = 'spring' }]",
     "consumer[0].interest[1].from", "'spring' is not valid here; allowed: a day"),
    (ANNA + "interest = [{ id = 'i', categories = ['home-garden/garden-tolls'] }]",
     "consumer[0].interest[0].categories[0]", "did you mean home-garden/garden-tools?"),
    (ANNA + "interest = [{ id = 'i', max_price = { amount = '-1', currency = 'EUR' } }]",
     "consumer[0].interest[0].max_price.amount",
     "'-1' is not valid here; allowed: a number from 0 to below a billion"),
    (ANNA + "interest = [{ id = 'i', max_price = { amount = '1', currency = 'euro' } }]",
     "consumer[0].interest[0].max_price.currency", "a currency of ISO 4217"),
    (ANNA + "window = [{ from = '09:00', until = '12:00', vendors = ['greenlef'] }]",
     "consumer[0].window[0].vendors[0]", "there is no vendor 'greenlef'"),
    (ANNA + "pauses = [{ from = 2026-07-10, until = 2026-07-24, vendors = ['greenlef'] }]",
     "consumer[0].pauses[0].vendors[0]", "there is no vendor 'greenlef'"),
    (ANNA + "exceptions = [{ on = 2026-12-25, vendors = ['greenlef'] }]",
     "consumer[0].exceptions[0].vendors[0]", "there is no vendor 'greenlef'"),
    (ANNA + "interest = [{ id = 'i', vendors = ['greenlef'] }]",
     "consumer[0].interest[0].vendors[0]", "there is no vendor 'greenlef'"),
    (ANNA + "vendor = [{ vendor = 'greenleaf', accepts = ['offers'] }]",
     "consumer[0].vendor[0].accepts[0]", "allowed: service, offer, newsletter, personal"),
    (VENDOR + ANNA + "vendor = [{ vendor = 'greenlef' }]", "consumer[0].vendor[0].vendor",
     "there is no vendor 'greenlef'; did you mean greenleaf?"),
    (ANNA + "vendor = [{ standing = 'allowed' }]", "consumer[0].vendor[0]", "it names nobody"),
    (ANNA + "vendor = 3", "consumer[0].vendor",
     "3 is not valid here; allowed: a list of: a table of vendor"),
    ("[[consumer]]\nid = 'a'\naddresses = [{ address = 'a@letterbox.example', vendor = 'x' }]",
     "consumer[0].addresses[0].vendor", "there is no vendor 'x'"),
    ("consumer = [\n{ id = }\n]", "line 2, column 8", "Invalid value"),
    (b"\xff", "line 1", "not UTF-8"),
    (b"x = " + b"[" * 9000, "the file", "nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "says"), BAD)
async def test_a_mistake_is_named_with_its_place_and_nothing_changes(text, path, says):
    async with open_house() as house:
        with pytest.raises(Failed) as raised:
            await apply(house, "[[vendor]]\nid = 'fine'\nname = 'Fine'", text)
        places = [
            line for line in raised.value.mistakes if line.split(": ")[1].partition(" (")[0] == path
        ]
        assert len(places) == 1, raised.value.mistakes
        assert places[0].startswith("1.toml: ")
        assert says.replace("0.toml", "1.toml") in places[0]
        assert await nobody(house)


async def test_a_mistake_says_whose_it_is():
    text = (
        VENDOR
        + ANNA
        + (
            "[[consumer.interest]]\nid = 'books'\n[[consumer.interest]]\nid = 'garden'\n"
            "from = 'spring'\n[[consumer.vendor]]\ndomain = 'shop.example'\nlimit = 3\n"
            "[[consumer]]\ntimezone = 7\n"
        )
    )
    async with open_house() as house:
        with pytest.raises(Failed) as raised:
            await apply(house, text)
        assert [line.split(": ")[1] for line in raised.value.mistakes] == [
            'consumer[0].interest[1].from (consumer "anna", interest "garden")',
            'consumer[0].vendor[0].limit (consumer "anna", vendor "shop.example")',
            "consumer[1].timezone",
            "consumer[1].id",
        ]
        with pytest.raises(Failed) as raised:
            await apply(house, ANNA + "vendor = [{ vendor = 'velo' }]")
        assert 'consumer[0].vendor[0].vendor (consumer "anna", vendor "velo"): there is no' in str(
            raised.value.mistakes
        )


async def test_every_mistake_of_every_file_is_named_at_once():
    async with open_house() as house:
        with pytest.raises(Failed) as raised:
            await apply(house, "[[vendor]]\nid = 3\nnme = 'x'", "oops", VENDOR)
        assert [line.split(": ")[:2] for line in raised.value.mistakes] == [
            ["0.toml", "vendor[0].nme"],
            ["0.toml", "vendor[0].id"],
            ["0.toml", "vendor[0].name"],
            ["1.toml", "the end of the file"],
        ]
        assert str(raised.value).startswith("4 mistakes, so that nothing was changed")
        assert await nobody(house)


async def test_files_are_checked_against_one_another():
    async with open_house() as house:
        with pytest.raises(Failed) as raised:
            await apply(house, VENDOR + ANNA, ANNA + "vendor = [{ vendor = 'greenleaf' }]")
        assert (
            '1.toml: consumer[0].id (consumer "anna"): the consumer anna stands in 0.toml'
            in str(raised.value.mistakes)
        )
        done = await apply(house, ANNA + "vendor = [{ vendor = 'greenleaf' }]", VENDOR)
        assert done["lines"] == ["vendor greenleaf: created", "consumer anna: created"]


async def test_what_is_there_already_is_looked_at():
    async with open_house() as house:
        await apply(house, VENDOR + ANNA)
        with pytest.raises(Failed) as raised:
            await apply(house, VENDOR.replace('id = "greenleaf"', 'id = "other"'))
        assert 'vendor[0].domains[0] (vendor "other"): greenleaf.example belongs to another' in str(
            raised.value.mistakes
        )
        with pytest.raises(Failed) as raised:
            await apply(house, ANNA.replace('"anna"', '"anne"'))
        (mistake,) = raised.value.mistakes
        assert 'addresses[0] (consumer "anne"): anna@letterbox.example is taken' in mistake
        # A vendor of an earlier apply may be spoken of.
        done = await apply(house, ANNA + "vendor = [{ vendor = 'greenleaf' }]")
        assert done["lines"] == ["consumer anna: relationship greenleaf added"]


async def test_very_many_mistakes_are_not_all_listed():
    async with open_house() as house:
        with pytest.raises(Failed) as raised:
            await apply(house, "\n".join("[[vendor]]" for _ in range(1000)))
        assert "2000 mistakes" in str(raised.value)
        assert len(raised.value.mistakes) == 50


async def test_the_example_applies():
    async with open_house() as house:
        example = shipped("people.example.toml")
        assert len((await apply(house, example))["changes"]) == 4
        assert (await apply(house, example))["lines"] == []
