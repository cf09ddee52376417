"""What people do every day, from the command line: the same records as behind pages and API."""

import re
from pathlib import Path

import msgspec
import pytest

from letterbox.administration.failed import Failed
from letterbox.administration.shown import LINES
from letterbox.cli import main
from letterbox.model.preferences import Because
from letterbox.usage import parser
from tests.support.api import open_api
from tests.unit.test_cli import PEOPLE, Told


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("LETTERBOX_CONFIG", "LETTERBOX__STORE__URL"):
        monkeypatch.delenv(name, raising=False)
    Path("people.toml").write_text(PEOPLE)

    def command(*arguments: str) -> Told:
        code = main(arguments)
        out, err = capsys.readouterr()
        return Told(code, out, err)

    assert command("apply", "people.toml").code == 0
    return command


@pytest.mark.parametrize(
    "command",
    [
        ["expecting", "ana"],
        ["expecting", "ana", "--domain", "shop.example"],
        ["destinations", "ana"],
        ["destinations", "ana", "add", "anna@provider.example"],
        ["destinations", "ana", "again", "anna@provider.example"],
        ["destinations", "ana", "remove", "anna@provider.example"],
        ["channels", "ana"],
        ["channels", "ana", "add", "webhook", "https://hooks.example/x"],
        ["channels", "ana", "remove", "x"],
        ["object", "ana", "x"],
    ],
)
def test_nobody_of_that_name(run, command):
    told = run(*command)
    assert (told.code, told.out) == (1, "")
    assert told.err == "letterbox: there is no consumer 'ana'; did you mean anna?\n"


# ---- what is expected ----


def test_mail_is_expected_kept_and_ended(run):
    assert run("expecting", "anna").out == "anna expects nothing\n"
    told = run("expecting", "anna", "--domain", "shop.example", "--hours", "2")
    assert re.fullmatch(r"shop\.example is expected until \d{4}-\d\d-\d\dT\d\d:\d\d\n", told.out)
    (item,) = run("expecting", "anna", "--json").json["items"]
    assert (item["key"], item["over"]) == ("shop.example", False)
    # By a registered company's domain it is that company's.
    told = run("expecting", "anna", "--domain", "greenleaf.example")
    assert told.out.startswith("greenleaf is expected until ")
    assert run("expecting", "anna").out.count("until") == 2
    told = run("expecting", "anna", "--keep", "Shop.example")
    assert told.out == "anna goes on taking mail of shop.example\n"
    told = run("expecting", "anna", "--end", "greenleaf")
    assert told.out == "anna expects nothing of greenleaf any longer\n"
    assert run("expecting", "anna", "--json").json == {"consumer": "anna", "items": []}
    rules = run("export", "anna").json["preferences"]["vendor"]
    assert [rule.get("domain") for rule in rules] == [None, "shop.example"]


def test_a_fresh_address_is_printed_alone(run):
    address = run("expecting", "anna", "--address").out.strip()
    assert re.fullmatch(r"anna\+[a-z0-9]{8}@letterbox\.example", address)
    assert run("expecting", "anna").out.startswith(f"{address}  until ")
    told = run("expecting", "anna", "--keep", address)
    assert told.code == 1
    assert "nobody has written there" in told.err
    both = run("expecting", "anna", "--domain", "shop.example", "--address", "--json").json
    assert both["opened"]["key"] == "shop.example"
    given = run("export", "anna").json["preferences"]["addresses"]
    assert {"address": both["opened"]["made"], "vendor": "shop.example"} in given
    assert run("expecting", "anna", "--end", address).code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["anna", "--hours", "3"], "--domain or --address say what is expected"),
        (["anna", "--address", "--hours", "0"], "1 to 720 hours"),
        (["anna", "--domain", "shop.example", "--hours", "721"], "1 to 720 hours"),
        (["anna", "--domain", ""], "--domain"),
        (["anna", "--domain", "x", "--keep", "x"], "one command each"),
        (["anna", "--end", "shop.example"], "nothing is expected at all"),
        (["anna", "--keep", "shop.example"], "nothing is expected at all"),
    ],
)
def test_what_cannot_be_expected(run, arguments, words):
    told = run("expecting", *arguments)
    assert (told.code, told.out, told.err.count("\n")) == (1, "", 1)
    assert words in told.err
    assert run("expecting", arguments[0], "--json").json["items"] == []


# ---- mailboxes elsewhere ----


def test_mailboxes_are_listed_added_and_removed(run):
    assert run("destinations", "anna").out == "anna has no mailbox elsewhere\n"
    told = run("destinations", "anna", "add", "anna@provider.example")
    assert told.out == "a letter to anna@provider.example asks its reader to confirm\n"
    line = "anna@provider.example  to be confirmed; its letter is owed\n"
    assert run("destinations", "anna").out == line
    told = run("destinations", "anna", "add", "Anna@provider.example")
    assert told.out.startswith("anna@provider.example was there already: to be confirmed")
    (row,) = run("destinations", "anna", "--json").json["items"]
    assert (row["confirmed_at"], row["letter"]) == (None, "owed")
    assert "link" not in row
    wrong = run("destinations", "anna", "remove", "ana@provider.example")
    assert (wrong.code, "did you mean anna@provider.example?" in wrong.err) == (1, True)
    told = run("destinations", "anna", "remove", "anna@provider.example")
    assert told.out == "nothing goes to anna@provider.example any more\n"
    assert run("destinations", "anna", "--json").json["items"] == []


@pytest.mark.parametrize(
    ("address", "words"),
    [("anna", "is no mail address"), ("ben@letterbox.example", "mail would go in circles")],
)
def test_what_cannot_be_a_mailbox(run, address, words):
    told = run("destinations", "anna", "add", address)
    assert (told.code, told.out, words in told.err) == (1, "", True)


async def test_the_operators_word_is_bounded_as_a_consumers_is():
    async with open_api() as api:
        perform = api.house.app.administration.perform
        asked = {"consumer": "anna", "address": "anna@provider.example"}
        await perform("destinations add", asked)
        path = "/v1/me/destinations"
        (row,) = (await api.call("GET", path, who="anna")).json["items"]
        # Three letters a day go to one address, whoever asks.
        assert (await api.call("POST", f"{path}/{row['id']}/letter", who="anna")).status == 200
        await perform("destinations again", asked)
        with pytest.raises(Failed, match="another day"):
            await perform("destinations again", asked)
        assert (await api.call("POST", f"{path}/{row['id']}/letter", who="anna")).status == 429
        with pytest.raises(Failed, match="another day"):
            await perform("destinations add", asked | {"consumer": "ben"})
        token = await api.house.app.destinations.link("anna", row["id"])
        await api.house.app.destinations.confirm(token)
        with pytest.raises(Failed, match="confirmed already"):
            await perform("destinations again", asked)
        (line,) = LINES["destinations"](await perform("destinations", {"consumer": "anna"}))
        assert line == "anna@provider.example  confirmed 2026-11-23T12:00"


# ---- channels ----


async def test_channels_are_listed_without_what_opens_them():
    async with open_api() as api:
        perform = api.house.app.administration.perform
        hook = {"consumer": "anna", "kind": "webhook", "url": "https://hooks.example/T0p?k=s3cret"}
        assert LINES["channels"](await perform("channels", {"consumer": "anna"})) == [
            "anna has no channels"
        ]
        (secret,) = LINES["channels add"](await perform("channels add", hook | {"label": "lamp"}))
        assert secret.startswith("whsec_")
        added = await perform("channels add", hook | {"kind": "ntfy"})
        assert LINES["channels add"](added) == [f"channel {added['id']} is added"]
        items = (await api.call("GET", "/v1/me/channels", who="anna")).json["items"]
        assert [item["kind"] for item in items] == ["webhook", "ntfy"]
        found = await perform("channels", {"consumer": "anna"})
        lines = LINES["channels"](found)
        assert lines[0].split() == [
            items[0]["id"], "webhook", "https://hooks.example", "not", "called", "yet", "lamp"
        ]  # fmt: skip
        told = msgspec.json.encode(found).decode() + "".join(lines)
        assert [word for word in (secret, "s3cret", "T0p", "whsec_") if word in told] == []
        # Another's is not there.
        with pytest.raises(Failed, match="letterbox channels ben"):
            await perform("channels remove", {"consumer": "ben", "id": added["id"]})
        await perform("channels remove", {"consumer": "anna", "id": added["id"]})
        assert len((await api.call("GET", "/v1/me/channels", who="anna")).json["items"]) == 1


def test_a_channel_within_our_own_walls_is_refused(run):
    told = run("channels", "anna", "add", "ntfy", "https://127.0.0.1/topic")
    assert (told.code, told.out, told.err.count("\n")) == (1, "", 1)
    assert told.err.startswith("letterbox: url: ")
    told = run("channels", "anna", "remove", "x")
    assert told.err == "letterbox: anna has no channel 'x'; letterbox channels anna lists them\n"


# ---- objecting ----


async def test_an_objection_is_the_one_that_the_api_has():
    async with open_api() as api:
        perform = api.house.app.administration.perform
        await api.send(to=["ben@letterbox.example"], kind="service", offer=None)
        (entry,) = (await api.call("GET", "/v1/me/inbox", who="ben")).json["items"]
        asked = {"consumer": "ben", "entry": entry["id"]}
        done = await perform("object", asked | {"because": "too-often", "service": False})
        assert LINES["object"](done)[0] == "ben objects to the advertising of Greenleaf Garden"
        (item,) = (await api.call("GET", "/v1/me/objections", who="ben")).json["items"]
        assert (item["id"], item["service"]) == (done["objection"]["id"], False)
        rules = (await api.call("GET", "/v1/me/preferences", who="ben")).json["vendor"]
        assert [(rule["standing"], rule["because"]) for rule in rules] == [("blocked", "too-often")]
        again = await perform("object", asked)
        assert again["made"] is False
        assert LINES["object"](again)[0].startswith("ben has objected already to the ")
        # Another's message is not there.
        with pytest.raises(Failed, match="no company's message"):
            await perform("object", asked | {"consumer": "anna"})


def test_the_reasons_of_an_objection_are_those_of_the_wishes(capsys):
    with pytest.raises(SystemExit):
        parser(dict.fromkeys(_commands(), int)).parse_args(["object", "--help"])
    told = "".join(capsys.readouterr().out.split())
    assert "{" + ",".join(Because.__args__) + "}" in told


def _commands():
    from letterbox.cli import _COMMANDS

    return _COMMANDS
