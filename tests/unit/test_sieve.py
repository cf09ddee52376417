"""What a Sieve script says of senders: what maps, and what is named because it does not."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.reading.sieve import NoSieve, read_sieve
from tests.support.api import PEOPLE
from tests.support.house import open_house

SCRIPT = r"""require ["fileinto", "reject", "envelope", "imap4flags"];
# My shops
if address :domain :is "from" ["Shoes.example", "boots.example"] { fileinto "Shops"; stop; }
elsif header :contains "from" "@spam.example" {
    discard;
}
elsif anyof (address :is "from" "piet@store.example",
             envelope :matches "from" "*@news.example",
             size :over 100K) {
    addflag "\\Seen"; keep;
} else { discard; }
/* twice: the first counts */
if address :is :comparator "i;ascii-casemap" "from" "piet@store.example" { discard; }
if header :contains "subject" "sale" { discard; }
if address :localpart "from" "noreply" { discard; }
if not address :domain "from" "x.example" { keep; }
if address :domain "from" "y.example" { redirect "me@elsewhere.example"; }
if address :domain "from" "junk.example" { fileinto "INBOX/Junk"; }
if true { if address :domain "from" "z.example" { discard; } }
redirect text:
me@elsewhere.example
.
;
"""


def test_lines_map_or_are_named():
    mapped, unmapped = read_sieve(SCRIPT)
    assert [(each.line, each.key, each.do) for each in mapped] == [
        (3, "shoes.example", "allow"),
        (3, "boots.example", "allow"),
        (4, "spam.example", "lock-out"),
        (7, "piet@store.example", "allow"),
        (8, "news.example", "allow"),
        (18, "junk.example", "lock-out"),
    ]
    assert [(each.line, each.what) for each in unmapped] == [
        (9, "size"),
        (11, "else"),
        (14, "header"),
        (15, "address 'noreply'"),
        (16, "not"),
        (17, "redirect"),
        (19, "if"),
        (20, "redirect"),
    ]
    assert all(each.why for each in unmapped)


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("if address", 1),
        ("keep;\nif {", 2),
        ('keep;\n\n"a', 3),
        ('if address "from" ["a" "b"] {}', 1),
        ("keep }", 1),
        ("if not " * 50 + "true {}", 1),
        ("if true {" * 50 + "}" * 50, 1),
        ("keep; # " + "x" * (1 << 20), 1),
    ],
)
def test_what_is_no_script_is_named_with_its_line(script, line):
    with pytest.raises(NoSieve) as no:
        read_sieve(script)
    assert no.value.line == line


TOKENS = ["if", "not", "address", ":is", '"from"', '"a.example"', "[", "]", "(", ")", "{", "}"]


@given(st.lists(st.sampled_from([*TOKENS, ";", ",", "\n", "#x\n", "text:\n", ".\n", "10K"])))
def test_nothing_else_is_raised(words):
    with suppress(NoSieve):
        read_sieve(" ".join(words))


async def test_a_script_becomes_one_change():
    async with open_house(PEOPLE) as house:
        now = house.clock.now()
        read = await house.app.sieve.adopt("anna", SCRIPT, now=now)
        assert read.adopted is not None
        assert read.adopted.failed == ()
        stored = await house.app.consumers.stored("anna")
        rules = {each.key: each for each in stored.preferences.vendor}
        assert rules["spam.example"].standing == "blocked"
        assert rules["shoes.example"].standing == "allowed"
        assert rules["piet@store.example"].address == "piet@store.example"
        provider = 'if address :domain "from" "gmail.com" { discard; }'
        read = await house.app.sieve.adopt("anna", provider, now=now)
        assert [each.key for each in read.adopted.failed] == ["gmail.com"]
