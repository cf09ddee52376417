"""The demonstration: what it shows, as lines and as JSON."""

import json
from typing import Any

import pytest

from letterbox.administration import Failed
from letterbox.demo import play
from letterbox.model.configuration import Configuration, HttpSection, SmtpSection, StoreSection


@pytest.fixture(autouse=True)
def _anywhere(monkeypatch):
    """On free ports, whatever else runs on this machine."""
    real = play._configuration

    def elsewhere(store: str, resolver: str) -> Configuration:
        dns = real(store, resolver).dns
        return Configuration(
            http=HttpSection(listen="127.0.0.1:0"),
            smtp=SmtpSection(listen="127.0.0.1:0"),
            store=StoreSection(url=store),
            dns=dns,
        )

    monkeypatch.setattr(play, "_configuration", elsewhere)


async def test_it_shows_many_verdicts_each_with_what_was_told():
    said: list[str] = []
    assert await play.run(once=True, say=said.append) == 0
    rows = [line.split(None, 5) for line in said if line.startswith(("smtp ", "http "))]
    assert len(rows) >= 15
    assert {row[3] for row in rows} >= {"deliver", "hold", "refuse"}
    assert len({row[4] for row in rows if row[3] == "refuse"}) >= 6
    assert all(row[5][:3].isdigit() for row in rows)
    assert "Still running; Ctrl-C ends it. As Anna:" not in said
    assert any(line.startswith("  waits until ") for line in said)


async def test_who_only_watches_gets_all_that_is_proven():
    said: list[str] = []
    assert await play.run(once=True, json=True, observe=True, say=said.append) == 0
    rows = json.loads(said[0])["rows"]
    assert [row["shows"] for row in rows if row["verdict"] != "deliver"] == [
        "an address that does not exist: what every stranger hears",
        "somebody who writes as Greenleaf and is not",
    ]


async def test_json_is_one_document_alone():
    said: list[str] = []
    assert await play.run(once=True, json=True, say=said.append) == 0
    (text,) = said
    shown = json.loads(text)
    assert set(shown) == {"addresses", "rows", "mailboxes", "links", "tokens"}
    assert {tuple(row) for row in shown["rows"]} == {
        ("shows", "edge", "from", "to", "verdict", "reason", "told")
    }
    assert None in {row["reason"] for row in shown["rows"]}
    # With --once nothing is left to look at.
    assert (shown["links"], shown["tokens"]) == ({}, {})
    assert [mailbox["consumer"] for mailbox in shown["mailboxes"]] == ["anna", "ben"]


async def test_what_stays_up_says_how_to_look_around(monkeypatch):
    async def at_once() -> None:
        """Somebody presses Ctrl-C as soon as they may."""

    monkeypatch.setattr(play, "_interrupted", at_once)
    said: list[str] = []
    await play.run(once=False, json=True, say=said.append)
    shown = json.loads(said[0])
    assert shown["links"]["home"] == f"http://{shown['addresses']['http']}/"
    assert shown["tokens"]["anna"].startswith("lbt_")
    assert shown["tokens"]["greenleaf"].startswith("lbk_")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ({}, ""),
        ({"title": "Too dear"}, "Too dear"),
        ({"title": "Too dear", "detail": "Above 150.00 EUR"}, "Above 150.00 EUR"),
        ({"title": "Too dear", "remedies": ["at most 150.00 EUR"]}, "Too dear; at most 150.00 EUR"),
        ({"title": "Too dear", "remedies": ["Too dear by far"]}, "Too dear by far"),
        ({"title": "Too dear by far", "remedies": ["Too dear"]}, "Too dear by far"),
    ],
)
def test_nothing_is_said_twice(reason: dict[str, Any], said: str):
    assert play._said(reason) == said


@pytest.mark.parametrize("engine", ["redis_server", "redis_cluster"])
async def test_the_demonstration_runs_on_it_once(request, engine):
    server = request.getfixturevalue(engine)
    server.empty()
    said: list[str] = []
    assert await play.run(once=True, json=True, store=server.url, say=said.append) == 0
    assert json.loads("\n".join(said))
    with pytest.raises(Failed, match="needs an empty store"):
        await play.run(once=True, store=server.url, say=said.append)
    with pytest.raises(Failed, match=r"store\.url: 'redi:' begins no store; did you mean redis"):
        await play.run(once=True, store="redi://h", say=said.append)
