"""``letterbox`` as programs: the server, and the commands beside it."""

import json
import smtplib
import stat
import urllib.request

import pytest

from tests.support.house import mail
from tests.support.processes import FREE_PORTS, Letterbox, serving

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf"
domains = ["greenleaf.example"]
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
interest = [{ id = "garden", keywords = { any = ["pruner"] } }]
vendor = [{ vendor = "greenleaf" }]
"""


def send(letterbox: Letterbox, content: bytes) -> int:
    with smtplib.SMTP(*letterbox.address("smtp"), timeout=20) as client:
        try:
            client.sendmail("shop@greenleaf.example", ["anna@letterbox.example"], content)
        except smtplib.SMTPDataError as refused:
            return refused.smtp_code
    return 250


def test_a_day_in_the_life_of_a_server(tmp_path):
    with serving(tmp_path) as letterbox:
        assert set(letterbox.addresses) == {"http", "smtp", "lmtp"}
        assert stat.S_IMODE((tmp_path / "var/letterbox.db.sock").stat().st_mode) == 0o600
        assert letterbox.apply(PEOPLE).stdout.splitlines()[-1] == "consumer anna: created"
        # The running server acts at once on what the command line changed.
        offer = {"Letterbox_Kind": "offer"}
        assert send(letterbox, mail(text="A pruner.\r\n", **offer)) == 250
        assert send(letterbox, mail(text="Bicycles.\r\n", number=2, **offer)) == 550
        letterbox.apply(PEOPLE.replace("pruner", "bicycle"))
        assert send(letterbox, mail(text="Bicycles.\r\n", number=3, **offer)) == 250

        whole = letterbox.ask("export", "anna")
        assert [item["verdict"] for item in whole["decisions"]] == ["deliver", "refuse", "deliver"]
        told = letterbox.ask("explain", whole["decisions"][1]["id"])
        assert told["replay"]["verdict"] == "deliver"
        assert "rules have changed" in told["notes"][0]

        token = letterbox.ask("token", "issue", "anna")["token"]
        host, port = letterbox.address("http")
        asked = urllib.request.Request(
            f"http://{host}:{port}/v1/me/inbox", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(asked, timeout=20) as answer:
            assert len(json.load(answer)["items"]) == 2

        assert letterbox.stop() == 0
        assert not (tmp_path / "var/letterbox.db.sock").exists()
        # Everything it logged is one JSON line each, and no secret stands in it.
        lines = [json.loads(line) for line in letterbox.log.read_text().splitlines()]
        assert "message" in {line["event"] for line in lines}
        assert token not in letterbox.log.read_text()
    # Without a server the same commands open the store themselves.
    assert len(Letterbox(tmp_path).ask("export", "anna")["inbox"]) == 2


def test_after_a_kill_the_commands_work_and_the_server_comes_back(tmp_path):
    with serving(tmp_path) as letterbox:
        letterbox.apply(PEOPLE)
        letterbox.kill()
        assert (tmp_path / "var/letterbox.db.sock").exists()
        assert letterbox.ask("key", "issue", "greenleaf")["key"].startswith("lbk_")
        letterbox.start()
        assert letterbox.ask("token", "issue", "anna")["token"].startswith("lbt_")
        assert letterbox.stop() == 0


def test_a_second_server_on_the_same_store_says_so(tmp_path):
    with serving(tmp_path) as letterbox:
        second = letterbox.run("serve")
        assert second.returncode == 1
        assert "in use by process" in second.stderr.splitlines()[-1]
        assert "Traceback" not in second.stderr
        assert letterbox.stop() == 0


def test_a_port_that_is_taken_is_one_line(tmp_path):
    with serving(tmp_path) as letterbox:
        (tmp_path / "b").mkdir()
        taken = letterbox.addresses["smtp"]
        other = Letterbox(
            tmp_path / "b",
            FREE_PORTS.replace('[smtp]\nlisten = "127.0.0.1:0"', f'[smtp]\nlisten = "{taken}"'),
        )
        done = other.run("serve", "--ready-file", "ready.json")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert taken.rpartition(":")[2] in done.stderr.splitlines()[-1]
        assert not (tmp_path / "b/ready.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["version"], 0),
        (["check-config"], 0),
        (["key", "issue", "nobody"], 1),
        (["nonsense"], 2),
        (["apply"], 2),
        (["serve", "--config", "missing.toml"], 1),
    ],
)
def test_exit_codes(tmp_path, arguments, code):
    done = Letterbox(tmp_path).run(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
