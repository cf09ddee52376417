"""Wishes that cannot be: refused with the field and what is allowed, whichever way they come."""

import json

import pytest

from letterbox.administration import Failed
from tests.support.api import open_api
from tests.support.house import open_house

VENDOR = '[[vendor]]\nid = "greenleaf"\nname = "Greenleaf"\n'
SOUND = {"addresses": ["anna@letterbox.example"], "timezone": "Europe/Amsterdam"}

# (what is declared, path of the mistake, a part of what is allowed)
WRONG = [
    ({"timezone": "Europe/Amsterdm"}, "timezone", "Europe/Amsterdam"),
    ({"timezone": 7}, "timezone", "text"),
    ({"language": "de"}, "language", "en, nl"),
    ({"newcomers": "all"}, "newcomers", "refuse, ask, interests"),
    ({"ask_for_days": 0}, "ask_for_days", "1"),
    ({"ask_for_days": 366}, "ask_for_days", "365"),
    ({"addresses": []}, "addresses", "at least one"),
    ({"addresses": ["anna"]}, "addresses[0]", "such as"),
    ({"limit": {"messages": 0, "per": "day"}}, "limit.messages", "1"),
    ({"limit": {"messages": 1, "per": "year"}}, "limit.per", "day, week, month"),
    ({"limit": {"messages": 1, "per": "day", "kinds": ["service"]}}, "limit.kinds",
     "service_limit"),
    ({"limit": {"messages": 1}}, "limit.per", "day"),
    ({"limit": [{"messages": 1, "per": "day"}, {"messages": 1, "per": "weak"}]},
     "limit[1].per", "day, week, month"),
    ({"limit": [{"messages": 1, "per": "day", "kinds": ["offer", "newsletter", "personal"]},
                {"messages": 2, "per": "day"}]}, "limit[1]", "one limit for each"),
    ({"limit": [{"messages": 1, "per": "day"}] * 11}, "limit", "a list of at most 10"),
    ({"vendor": [{"vendor": "greenleaf", "limit": [{"messages": 1, "per": "day",
                                                    "kinds": ["service"]}]}]},
     "vendor[0].limit[0].kinds", "service_limit"),
    ({"pauses": [{"from": "2026-07-10"}]}, "pauses[0].until", "a day such as"),
    ({"pauses": [{"from": "10 July", "until": "2026-07-11"}]}, "pauses[0].from", "a day such as"),
    ({"pauses": [{"from": "2026-07-10", "until": "2026-07-09"}]}, "pauses[0].until", "2026-07-10"),
    ({"exceptions": [{"on": "2026-12-25", "from": "09:00"}]}, "exceptions[0].until", "both"),
    ({"exceptions": [{"from": "09:00", "until": "10:00"}]}, "exceptions[0].on", "a day such as"),
    ({"interest": [{}]}, "interest[0].id", "1 to 63"),
    ({"interest": [{"id": "Garden tools"}]}, "interest[0].id", "1 to 63"),
    ({"interest": [{"id": "a", "categories": ["home-garden/garden-tool"]}]},
     "interest[0].categories[0]", "home-garden/garden-tools"),
    ({"interest": [{"id": "a", "categories": "travel"}]}, "interest[0].categories", "list"),
    ({"interest": [{"id": "a", "keywords": {"some": ["x"]}}]}, "interest[0].keywords.some",
     "any"),
    ({"interest": [{"id": "a", "keywords": {"any": ["…"]}}]}, "interest[0].keywords.any[0]",
     "word"),
    ({"interest": [{"id": "a", "max_price": {"amount": "-1", "currency": "EUR"}}]},
     "interest[0].max_price.amount", "0"),
    ({"interest": [{"id": "a", "max_price": {"amount": "1", "currency": "euro"}}]},
     "interest[0].max_price.currency", "ISO 4217"),
    ({"interest": [{"id": "a", "regions": ["Holland"]}]}, "interest[0].regions[0]", "ISO 3166"),
    ({"interest": [{"id": "a", "from": "2026-05-31", "until": "2026-03-01"}]},
     "interest[0].until", "2026-05-31"),
    ({"interest": [{"id": "a", "open_to": "friends"}]}, "interest[0].open_to", "allowed, anyone"),
    ({"interest": [{"id": "a"}, {"id": "a"}]}, "interest[1].id", "once"),
    ({"window": [{"from": "9:00", "until": "12:00"}]}, "window[0].from", "09:00"),
    ({"window": [{"from": "09:00", "until": "09:00"}]}, "window[0].until", "24:00"),
    ({"window": [{"from": "09:00", "until": "12:00", "days": ["zat"]}]}, "window[0].days[0]",
     "sat"),
    ({"window": [{"from": "09:00", "until": "12:00", "kinds": ["service"]}]},
     "window[0].kinds", "offer"),
    ({"window": [{"from": "09:00", "until": "12:00", "outside": "drop"}]},
     "window[0].outside", "hold, refuse"),
    ({"vendor": [{}]}, "vendor[0]", "exactly one"),
    ({"vendor": [{"vendor": "greenleaf", "domain": "greenleaf.example"}]}, "vendor[0]",
     "exactly one"),
    ({"vendor": [{"domain": "co.uk"}]}, "vendor[0].domain", "registered domain"),
    ({"vendor": [{"domain": "gmail.com"}]}, "vendor[0].domain", "address"),
    ({"vendor": [{"vendor": "greenleaf", "standing": "friend"}]}, "vendor[0].standing", "blocked"),
    ({"vendor": [{"vendor": "greenleaf", "accepts": ["adverts"]}]}, "vendor[0].accepts[0]",
     "offer"),
    ({"vendor": [{"vendor": "greenleaf", "limit": {"messages": 2, "per": "fortnight"}}]},
     "vendor[0].limit.per", "week"),
    ({"vendor": [{"domain": "a.example"}, {"domain": "A.example"}]}, "vendor[1].domain", "once"),
    ({"interests": []}, "interests", "interest"),
]  # fmt: skip
IDS = [f"{path}-{nth}" for nth, (_, path, _) in enumerate(WRONG)]


def toml(value):
    """A value as it stands in a people file."""
    if isinstance(value, dict):
        inner = ", ".join(f"{name} = {toml(each)}" for name, each in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


def people(declared):
    lines = (f"{name} = {toml(value)}" for name, value in declared.items())
    return "[[consumer]]\nid = 'anna'\n" + "\n".join(lines)


async def apply(house, text):
    files = [{"name": "people.toml", "content": text.encode()}]
    return await house.app.administration.perform("apply", {"files": files})


@pytest.mark.parametrize(("declared", "path", "allowed"), WRONG, ids=IDS)
async def test_a_people_file_is_refused_with_the_field(declared, path, allowed):
    async with open_house() as house:
        await apply(house, VENDOR + people(SOUND))
        before = await house.app.consumers.stored("anna")
        with pytest.raises(Failed) as raised:
            await apply(house, people({**SOUND, **declared}))
        (line,) = [
            line
            for line in raised.value.mistakes
            if line.split(": ")[1].partition(" (")[0] == f"consumer[0].{path}"
        ]
        assert line.startswith("people.toml: ")
        assert allowed in line
        assert await house.app.consumers.stored("anna") == before


@pytest.mark.parametrize(("declared", "path", "allowed"), WRONG, ids=IDS)
async def test_the_api_refuses_the_same_with_the_same_path(declared, path, allowed):
    async with open_api() as api:
        before = await api.call("GET", "/v1/me/preferences", who="anna")
        put = await api.call(
            "PUT",
            "/v1/me/preferences",
            who="anna",
            json={**SOUND, **declared},
            headers={"If-Match": "*"},
        )
        assert put.status == 422, put.body
        (error,) = [error for error in put.json["errors"] if error["path"] == path]
        assert allowed in error["allowed"] + error["mistake"]
        after = await api.call("GET", "/v1/me/preferences", who="anna")
        assert (after.body, after.headers["ETag"]) == (before.body, before.headers["ETag"])
