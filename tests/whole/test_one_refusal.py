"""One refusal, several renderings: they agree, and each is as it was agreed (``tests/golden``)."""

import email
import re
from pathlib import Path

import msgspec
import pytest

from tests.support.api import PRUNERS
from tests.whole.test_pairs import OPEN, PERSON, known, side

GOLDEN = Path(__file__).parents[1] / "golden" / "refusal"
SERVICE = 'accepts = ["service"]'
#: At each level: what every rendering of the same refusal must say, and what none may.
LEVELS = {
    "remedy": (known('accepts = ["service"]'), "kind-not-wanted", ()),
    "reason": (
        known('tells = "reason"', 'accepts = ["service"]'),
        "kind-not-wanted",
        ("send only",),
    ),
    "class": (
        known('tells = "class"', SERVICE),
        "choice",
        ("kind-not-wanted", "service"),
    ),
    "nothing": (
        known('tells = "nothing"', SERVICE),
        "no-relationship",
        ("kind-not-wanted", "service mail"),
    ),
}


async def renderings(people: str, monkeypatch) -> dict[str, str]:
    """What each channel says, by the name of its file."""
    found: dict[str, str] = {}
    async with side(people, monkeypatch) as seen:
        for edge in ("smtp", "lmtp"):
            found[f"{edge}.txt"] = (await seen.mailed(edge, PERSON))[-1].decode()
        replies = await seen.mailed("smtp", OPEN, PERSON, options=" PRDR")
        found["prdr.txt"] = "\n".join(reply.decode() for reply in replies[3:])
        await seen.mailed("smtp", OPEN, PERSON)
        form = PRUNERS | {"to": [PERSON], "reference": "spring"}
        posted = await seen.api.call("POST", "/v1/messages", who="greenleaf", json=form)
        found["http.json"] = pretty(posted.body)
        await seen.house.work()
        found["feed.json"] = pretty((await seen.feed())[0])
        found["webhook.json"] = pretty(seen.host.posted[-1].body)
        (report,) = await seen.reports()
        # Whoever signs in a test does so with a key of that run.
        text = report.decode().replace("\r\n", "\n")
        found["report.eml"] = re.sub(r"DKIM-Signature:.*\n(?:[ \t].*\n)*", "", text)
        reference = posted.json["results"][0]["reference"]
        for language in ("en", "nl"):
            page = await seen.api.call(
                "GET", f"/r/{reference}", headers={"Accept-Language": language}
            )
            assert page.headers["Content-Language"] == language
            found[f"page-{language}.html"] = page.body.decode()
    return numbered(found)


def pretty(body: bytes) -> str:
    return msgspec.json.format(body, indent=2).decode() + "\n"


def numbered(found: dict[str, str]) -> dict[str, str]:
    """What is random, by the order it comes in."""
    names: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"#{len(names)}")

    return {file: re.sub(r"[0-9a-f]{32}", name, said) for file, said in found.items()}


@pytest.mark.parametrize("level", LEVELS)
async def test_each_rendering_is_as_it_was_agreed(level: str, monkeypatch) -> None:
    people, code, hidden = LEVELS[level]
    found = await renderings(people, monkeypatch)
    for file, said in found.items():
        assert code in said or file.startswith("page"), file  # which says it in plain words
        for word in hidden:
            assert word not in said.lower(), (file, word)
    assert found == {
        file.name: file.read_text("utf-8") for file in sorted((GOLDEN / level).iterdir())
    }


async def test_they_speak_of_one_refusal_with_one_word(monkeypatch) -> None:
    """The reply, the result, the event, the call and the report do not contradict one another."""
    found = await renderings(LEVELS["remedy"][0], monkeypatch)
    result = msgspec.json.decode(found["http.json"])["results"][0]
    event = msgspec.json.decode(found["feed.json"])["items"][-1]
    called = msgspec.json.decode(found["webhook.json"])
    assert called == {"type": "message.refused", "timestamp": event["at"], "data": event}
    for key in ("verdict", "reason", "reference", "your_reference"):
        assert event[key] == result[key]
    # Their own words: of another message, and so with another reference.
    line = found["smtp.txt"]
    assert line == f"550 5.7.1 {result['reason']['code']}: " + line.partition(": ")[2]
    assert result["reason"]["detail"] in line
    report = email.message_from_string(found["report.eml"])
    said = report.get_payload()[1].get_payload()[1]["Diagnostic-Code"]
    without = re.compile("#[0-9]+")
    assert without.sub("", said) == "smtp; " + without.sub("", line)
    assert without.sub("", found["lmtp.txt"]) == without.sub("", line)
