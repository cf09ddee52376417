"""``letterbox`` as programs: the server, and the commands beside it."""

import errno
import json
import os
import smtplib
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from letterbox import doors
from tests.support.house import mail
from tests.support.processes import FREE_PORTS, Letterbox, serving

ROOT = Path(__file__).parents[2]
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

        assert letterbox.ready_file.exists()
        assert letterbox.stop() == 0
        assert not letterbox.ready_file.exists()
        assert not (tmp_path / "var/letterbox.db.sock").exists()
        # Everything it logged is one JSON line each, and no secret stands in it.
        lines = [json.loads(line) for line in letterbox.log.read_text().splitlines()]
        assert {"message", "admin"} <= {line["event"] for line in lines}
        assert [line["event"] for line in lines][-2:] == ["stopping", "stopped"]
        assert token not in letterbox.log.read_text()
    # Without a server the same commands open the store themselves.
    assert len(Letterbox(tmp_path).ask("export", "anna")["inbox"]) == 2


def test_the_operators_steps_run_as_the_readme_has_them(tmp_path):
    text = (ROOT / "README.md").read_text().partition("## Run it, as an operator")[2]
    steps = text.partition("```sh\n")[2].partition("```")[0].splitlines()
    install, copy, enter, *commands, serve = steps
    assert "pip install ." in install
    assert copy.startswith("cp ")
    assert enter.startswith("cd /opt/letterbox ")
    assert serve == "letterbox serve"
    # The environment is there already, under another name.
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "letterbox"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m letterbox.cli "$@"\n')
    program.chmod(0o755)
    script = "\n".join(["set -e", copy, enter, *commands]).replace("/opt/letterbox", str(tmp_path))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LETTERBOX")}
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "consumer anna: created" in done.stdout


def test_the_operator_reads_what_came_for_postmaster(tmp_path):
    with serving(tmp_path) as letterbox:
        with smtplib.SMTP(*letterbox.address("smtp"), timeout=20) as client:
            client.sendmail("", ["postmaster@letterbox.example"], mail("Something is wrong"))
        token = letterbox.ask("token", "issue", "operator")["token"]
        host, port = letterbox.address("http")

        def get(path: str) -> bytes:
            asked = urllib.request.Request(
                f"http://{host}:{port}/v1/me/{path}", headers={"Authorization": f"Bearer {token}"}
            )
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return answer.read()

        (item,) = json.loads(get("inbox"))["items"]
        assert b"Something is wrong" in get(f"inbox/{item['id']}/raw")
        exported = letterbox.ask("export", "operator")
        assert [entry["id"] for entry in exported["inbox"]] == [item["id"]]
        assert letterbox.ask("explain", item["id"])["verdict"] == "deliver"
        assert letterbox.stop() == 0


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
        second = letterbox.run("serve", "--ready-file", str(letterbox.ready_file))
        assert second.returncode == 1
        assert "in use by process" in second.stderr.splitlines()[-1]
        assert "Traceback" not in second.stderr
        # The first one's file is not the second's to take away.
        assert json.loads(letterbox.ready_file.read_text()) == letterbox.addresses
        assert letterbox.stop() == 0


SMTP_ANYWHERE = '[smtp]\nlisten = "127.0.0.1:0"'


@pytest.mark.parametrize(
    ("listen", "says"),
    [
        ("", "another program listens there; stop it, or set another port"),
        ("192.0.2.1:2525", "this machine has no such address; write one it has"),
    ],
)
def test_where_it_cannot_listen_is_one_line_that_says_what_to_do(tmp_path, listen, says):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = listen or f"127.0.0.1:{taken.getsockname()[1]}"
        wished = f'[smtp]\nlisten = "{place}"'
        letterbox = Letterbox(tmp_path, FREE_PORTS.replace(SMTP_ANYWHERE, wished))
        done = letterbox.run("serve", "--ready-file", "ready.json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"letterbox: smtp.listen = {place}: {says}")
    assert not (tmp_path / "ready.json").exists()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no such host; write"),
        (PermissionError(errno.EACCES, "Permission denied"), "ports below 1024 need a right"),
        (OSError(errno.EMFILE, "Too many open files"), "cannot be listened on: Too many open"),
    ],
)
def test_why_it_cannot_listen_is_said_for_what_happens_elsewhere(error, says):
    assert doors._why_not(error).startswith(says)


def test_a_file_where_the_admin_socket_is_to_be_is_one_line(tmp_path):
    letterbox = Letterbox(tmp_path, FREE_PORTS + '[admin]\nsocket = "letterbox.toml"\n')
    done = letterbox.run("serve")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"letterbox: {tmp_path}/letterbox.toml is no socket; set admin.socket to another place"
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["version"], 0),
        (["check-config"], 0),
        (["key", "issue", "nobody"], 1),
        (["nonsense"], 2),
        (["apply"], 2),
        (["serve", "--config", "missing.toml"], 1),
        (["serve", "--processes", "0"], 2),
        (["serve", "--role", "gateway", "--processes", "2"], 1),
        (["serve", "--role", "command"], 2),
        (["serve", "--given", '{"number": 0, "channel": 0}'], 1),
    ],
)
def test_exit_codes(tmp_path, arguments, code):
    done = Letterbox(tmp_path).run(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
