"""Preferences with a mistake: the field is named, and what is allowed."""

import msgspec
import pytest

from letterbox.model.preferences import Preferences
from letterbox.wishes import Mistake
from tests.support.plain import mistakes

SOUND = {
    "addresses": ["anna@letterbox.example", {"address": "garden@letterbox.example"}],
    "timezone": "Europe/Amsterdam",
    "pauses": [
        {"from": "2026-07-10", "until": "2026-07-10"},
        {"from": "2026-08-01", "until": "2026-08-20", "kinds": ["offer"], "vendors": ["greenleaf"]},
    ],
    "exceptions": [
        {"on": "2026-12-25"},
        {"on": "2026-12-31", "from": "22:00", "until": "01:00", "vendors": ["bluebird.example"]},
    ],
    "limit": {"messages": 20, "per": "week"},
    "interest": [
        {"id": "a", "categories": ["home-garden"], "keywords": {"any": ["snoei"]}},
        {"id": "b", "from": "2026-03-01", "until": "2026-03-01"},
    ],
    "window": [{"from": "00:00", "until": "24:00"}, {"from": "22:00", "until": "02:00"}],
    "vendor": [
        {"vendor": "greenleaf", "service_limit": {"messages": 3, "per": "day"}},
        {"domain": "bluebird.example", "standing": "blocked", "because": "other"},
        {"address": "tom@provider.example", "via": ["K1.platform.example", "müller.example"]},
    ],
}


def found(**changed):
    return mistakes(msgspec.convert({**SOUND, **changed}, Preferences))


def test_sound_preferences_have_no_mistakes():
    assert found() == ()


WRONG = [
    ({"timezone": "Europe/Amsterdm"}, "timezone", "no time zone 'Europe/Amsterdm'", "IANA"),
    ({"timezone": "Europe/Amsterdm"}, "timezone", "no time zone", "did you mean Europe/Amsterdam?"),
    ({"timezone": "../etc/passwd"}, "timezone", "no time zone", "IANA"),
    ({"timezone": "x" * 100_000}, "timezone", "'" + "x" * 60 + "…'", "IANA"),
    ({"addresses": []}, "addresses", "there is none", "at least one"),
    ({"addresses": ["anna"]}, "addresses[0]", "'anna' is no mail address", "such as"),
    (
        {"addresses": [{"address": "a b@letterbox.example"}]},
        "addresses[0].address",
        "no mail address",
        "such as",
    ),
    (
        {"addresses": [{"address": "a@letterbox.example", "vendor": " "}]},
        "addresses[0].vendor",
        "names nobody",
        "id",
    ),
    (
        {"addresses": ["a@letterbox.example", "A@letterbox.example"]},
        "addresses[1]",
        "a@letterbox.example stands here twice",
        "once",
    ),
    (
        {"addresses": ["a@letterbox.example", "a+x@letterbox.example", "A+X@letterbox.example"]},
        "addresses[2]",
        "a+x@letterbox.example stands here twice",
        "once",
    ),
    (
        {"pauses": [{"from": "2026-07-10", "until": "2026-07-09"}]},
        "pauses[0].until",
        "2026-07-09 is before 2026-07-10",
        "2026-07-10 or later",
    ),
    (
        {"pauses": [{"from": "2026-07-10", "until": "2026-07-11", "kinds": ["service"]}]},
        "pauses[0].kinds",
        "never subject",
        "offer, newsletter, personal",
    ),
    (
        {"pauses": [{"from": "2026-07-10", "until": "2026-07-11", "vendors": ["a", " "]}]},
        "pauses[0].vendors[1]",
        "names nobody",
        "id",
    ),
    (
        {"exceptions": [{"on": "2026-12-25", "from": "09:00"}]},
        "exceptions[0].until",
        "a time from which, and none until which",
        "both times, or neither",
    ),
    (
        {"exceptions": [{"on": "2026-12-25"}, {"on": "2026-12-25", "until": "09:00"}]},
        "exceptions[1].from",
        "a time until which, and none from which",
        "both times, or neither",
    ),
    (
        {"exceptions": [{"on": "2026-12-25", "from": "24:00", "until": "09:00"}]},
        "exceptions[0].from",
        "no day begins there",
        "00:00-23:59",
    ),
    (
        {"exceptions": [{"on": "2026-12-25", "from": "09:00", "until": "09:00"}]},
        "exceptions[0].until",
        "ends at 09:00, when it begins",
        "a whole day",
    ),
    (
        {"exceptions": [{"on": "2026-12-25", "kinds": ["service"]}]},
        "exceptions[0].kinds",
        "never subject",
        "offer, newsletter, personal",
    ),
    ({"exceptions": [{"on": "2026-12-25"}] * 401}, "exceptions", "too many", "at most 400"),
    (
        {"window": [{"from": "09:00", "until": "10:00", "vendors": ["\t"]}]},
        "window[0].vendors[0]",
        "names nobody",
        "domain",
    ),
    (
        {"window": [{"from": "09:00", "until": "10:00", "vendors": ["v"] * 1001}]},
        "window[0].vendors",
        "too many",
        "at most 1,000",
    ),
    (
        {"limit": {"messages": 1, "per": "day", "kinds": ["offer", "service"]}},
        "limit.kinds",
        "service mail does not count",
        "service_limit",
    ),
    ({"interest": [{"id": "a"}, {"id": "a"}]}, "interest[1].id", "a stands here twice", "once"),
    (
        {
            "interest": [
                {"id": "a"},
                {"id": "b", "categories": ["travel", "home-garden/garden-tool"]},
            ]
        },
        "interest[1].categories[1]",
        "no category 'home-garden/garden-tool'",
        "did you mean home-garden/garden-tools?",
    ),
    (
        {"interest": [{"id": "a", "categories": ["flights"]}]},
        "interest[0].categories[0]",
        "no category 'flights'",
        "did you mean travel/flights?",
    ),
    (
        {"interest": [{"id": "a", "keywords": {"none": ["ok", "!?"]}}]},
        "interest[0].keywords.none[1]",
        "no letter or digit",
        "a word or phrase",
    ),
    (
        {"interest": [{"id": "a", "brands": ["&"]}]},
        "interest[0].brands[0]",
        "no letter or digit",
        "a word or phrase",
    ),
    (
        {"interest": [{"id": "a", "keywords": {"any": ["w"] * 1001}}]},
        "interest[0].keywords.any",
        "too many",
        "at most 1,000",
    ),
    (
        {"interest": [{"id": "a", "categories": ["travel"] * 1001}]},
        "interest[0].categories",
        "too many",
        "at most 1,000",
    ),
    ({"interest": [{"id": "a", "vendors": [" "]}]}, "interest[0].vendors[0]", "nobody", "id"),
    (
        {"interest": [{"id": "a", "from": "2026-03-02", "until": "2026-03-01"}]},
        "interest[0].until",
        "2026-03-01 is before 2026-03-02",
        "or later",
    ),
    (
        {"window": [{"from": "09:00", "until": "09:00"}]},
        "window[0].until",
        "the window is empty",
        "24:00",
    ),
    ({"window": [{"from": "24:00", "until": "02:00"}]}, "window[0].from", "no day", "00:00"),
    (
        {"window": [{"from": "09:00", "until": "10:00", "kinds": ["service"]}]},
        "window[0].kinds",
        "never subject to windows",
        "offer",
    ),
    (
        {
            "window": [
                {"id": "w", "from": "09:00", "until": "10:00"},
                {"id": "w", "from": "11:00", "until": "12:00"},
            ]
        },
        "window[1].id",
        "w stands here twice",
        "once",
    ),
    ({"vendor": [{}]}, "vendor[0]", "names nobody", "exactly one of"),
    (
        {"vendor": [{"vendor": "a", "domain": "a.example"}]},
        "vendor[0]",
        "names vendor and domain",
        "exactly one of",
    ),
    ({"vendor": [{"address": "@x"}]}, "vendor[0].address", "no mail address", "such as"),
    ({"vendor": [{"domain": "com"}]}, "vendor[0].domain", "'com' is no domain", "shop.example"),
    ({"vendor": [{"domain": "a..b"}]}, "vendor[0].domain", "no domain", "shop.example"),
    ({"vendor": [{"domain": "co.uk"}]}, "vendor[0].domain", "public suffix", "shop.co.uk"),
    (
        {"vendor": [{"domain": "Gmail.com", "standing": "blocked"}]},
        "vendor[0].domain",
        "gmail.com's authors are people of all kinds",
        'address = "someone@gmail.com"',
    ),
    ({"vendor": [{"vendor": " "}]}, "vendor[0].vendor", "names nobody", "id"),
    (
        {"vendor": [{"vendor": "greenleaf"}, {"vendor": "Greenleaf"}]},
        "vendor[1].vendor",
        "greenleaf stands here twice",
        "once",
    ),
    (
        {"vendor": [{"address": "tom@x.example"}, {"address": "Tom+a@X.example"}]},
        "vendor[1].address",
        "tom@x.example stands here twice",
        "once",
    ),
    ({"vendor": [{"vendor": "a", "via": ["x y"]}]}, "vendor[0].via[0]", "'x y' is no", "d= in"),
    ({"vendor": [{"vendor": "a", "via": ["com"]}]}, "vendor[0].via[0]", "no domain", "such as"),
    (
        {"vendor": [{"domain": "a.example", "via": ["k.example", "co.uk"]}]},
        "vendor[0].via[1]",
        "anybody may sign",
        "platform.co.uk",
    ),
    (
        {"vendor": [{"address": "a@gmail.com", "via": ["Gmail.com"]}]},
        "vendor[0].via[0]",
        "gmail.com signs for everybody",
        "k1.platform.example",
    ),
    (
        {"vendor": [{"vendor": "a", "via": [f"k{n}.example" for n in range(11)]}]},
        "vendor[0].via",
        "too many",
        "at most 10",
    ),
    (
        {"vendor": [{"vendor": "a", "via": ["k.example", "K.example."]}]},
        "vendor[0].via[1]",
        "k.example stands here twice",
        "once",
    ),
    ({"vendor": [{"vendor": "a", "accepts": []}]}, "vendor[0].accepts", "nothing", "blocked"),
    (
        {"vendor": [{"vendor": "a", "because": "other"}]},
        "vendor[0].because",
        "the standing is allowed",
        "blocked",
    ),
    (
        {"vendor": [{"vendor": "a", "standing": "ask", "remedy": {"accepts": ["offer"]}}]},
        "vendor[0].remedy",
        "the standing is ask",
        "blocked",
    ),
    (
        {"vendor": [{"vendor": "a", "limit": {"messages": 1, "per": "day", "kinds": ["service"]}}]},
        "vendor[0].limit.kinds",
        "does not count",
        "service_limit",
    ),
    (
        {
            "vendor": [
                {
                    "vendor": "a",
                    "standing": "blocked",
                    "remedy": {"limit": {"messages": 1, "per": "day", "kinds": ["service"]}},
                }
            ]
        },
        "vendor[0].remedy.limit.kinds",
        "does not count",
        "service_limit",
    ),
    (
        {
            "vendor": [
                {"vendor": "a", "service_limit": {"messages": 1, "per": "day", "kinds": ["offer"]}}
            ]
        },
        "vendor[0].service_limit.kinds",
        "service mail alone",
        "no kinds",
    ),
    (
        {"vendor": [{"vendor": "a", "from": "2026-03-02", "until": "2026-03-01"}]},
        "vendor[0].until",
        "before 2026-03-02",
        "or later",
    ),
]


@pytest.mark.parametrize(
    ("changed", "path", "mistake", "allowed"),
    WRONG,
    ids=[f"{n}-{w[1]}" for n, w in enumerate(WRONG)],
)
def test_a_mistake_is_named(changed, path, mistake, allowed):
    (only,) = found(**changed)
    assert only.path == path
    assert mistake in only.mistake
    assert allowed in only.allowed


def test_every_mistake_is_named_at_once():
    paths = [
        mistake.path
        for mistake in found(
            timezone="Mars/Base", window=[{"from": "09:00", "until": "09:00"}], vendor=[{}]
        )
    ]
    assert paths == ["timezone", "window[0].until", "vendor[0]"]


def test_too_much_is_named():
    (only,) = found(interest=[{"id": f"i{n}"} for n in range(501)])
    assert only == Mistake(path="interest", mistake="too many", allowed="at most 500")


def test_very_many_mistakes_are_not_all_looked_for():
    assert len(found(interest=[{"id": "a", "categories": ["tools"] * 1000}])) == 100


def test_a_mistake_reads_as_one_line():
    (only,) = found(vendor=[{}])
    assert str(only) == (
        "vendor[0]: it names nobody; allowed: exactly one of vendor, domain, address"
    )
