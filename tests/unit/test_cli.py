"""The command line in this process, without a server: what it prints and how it ends."""

import io
import json
from pathlib import Path

import pytest

from letterbox import cli, reach
from letterbox.cli import main
from tests.support.house import mail

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


class Told:
    """What a command printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path) -> None:
    """In a folder of its own, without what is set for others."""
    monkeypatch.chdir(tmp_path)
    for name in ("LETTERBOX_CONFIG", "LETTERBOX__STORE__URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capsys):
    def command(*arguments: str) -> Told:
        code = main(arguments)
        out, err = capsys.readouterr()
        return Told(code, out, err)

    return command


@pytest.fixture
def people(tmp_path) -> str:
    (tmp_path / "people.toml").write_text(PEOPLE)
    return "people.toml"


def test_apply_names_each_change_and_nothing_the_second_time(run, people):
    told = run("apply", people, "--dry-run")
    assert told.out.splitlines()[-1] == "(dry run: nothing was changed)"
    assert told.err == (
        f"letterbox: there is no store at {Path.cwd()}/var/letterbox.db; as if it were empty:\n"
    )
    assert not Path("var").exists()
    told = run("apply", people)
    assert (told.code, told.err) == (0, "")
    assert told.out == "vendor greenleaf: created\nconsumer anna: created\n"
    assert run("apply", people).out == "nothing to change\n"
    assert run("apply", people, "--json").json == {"dry_run": False, "changes": [], "kept": []}


def test_apply_says_what_is_wrong_and_fails(run, people):
    Path("bad.toml").write_text('[[consumer]]\nid = "bo"\ntimezone = "Mars/Olympus"\n')
    told = run("apply", people, "bad.toml")
    assert (told.code, told.out) == (1, "")
    assert told.err.splitlines()[0].startswith("letterbox: 2 mistakes, so that nothing was")
    assert 'bad.toml: consumer[0].timezone (consumer "bo"): ' in told.err
    told = run("apply", people, "bad.toml", "--json")
    assert len(told.json["error"]["mistakes"]) == 2
    assert run("export", "anna").code == 1


def test_one_mistake_is_one_line(run):
    Path("bad.toml").write_text('[[vendor]]\nid = "x"\nname = 3\n')
    told = run("apply", "bad.toml")
    assert told.err == (
        "letterbox: 1 mistake, so that nothing was changed; correct the file: bad.toml: "
        'vendor[0].name (vendor "x"): 3 is not valid here; '
        "allowed: text of at least 1 and at most 200 characters\n"
    )


def test_keys_and_tokens_are_printed_alone(run, people):
    run("apply", people)
    key = run("key", "issue", "greenleaf").out.strip()
    assert key.startswith("lbk_")
    assert run("key", "revoke", key[:12]).out == f"key {key[:12]} is revoked\n"
    assert run("key", "revoke", key[:12]).code == 1
    token = run("--json", "token", "issue", "anna").json
    assert token["token"].startswith(token["prefix"])
    assert run("token", "revoke", token["token"], "--json").json == {"revoked": token["prefix"]}
    told = run("key", "issue", "grenleaf")
    assert (told.code, told.out) == (1, "")
    assert told.err.count("\n") == 1
    assert "did you mean greenleaf?" in told.err


def test_explain_reads_a_mail(run, people, monkeypatch):
    run("apply", people)
    Path("a.eml").write_bytes(mail(text="Bicycles.\r\n", Letterbox_Kind="offer"))
    asked = ["explain", "--to", "anna@letterbox.example", "a.eml"]
    told = run(*asked, "--from-domain", "greenleaf.example", "--at", "2026-12-24T12:00Z")
    assert told.code == 0
    assert told.out.startswith("Refused: It fits none of your interests.\n")
    assert "  verdict    refuse (no-matching-interest)\n" in told.out
    assert "2026-12-24T12:00:00" in told.out
    answer = run(*asked, "--from-domain", "greenleaf.example", "--json").json
    assert answer["reason"] == "no-matching-interest"
    assert run("explain", "--to", "anna@letterbox.example", "no.eml").code == 1
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path("a.eml").read_bytes())))
    told = run(*asked[:-1], "-", "--from-domain", "greenleaf.example")
    assert "  verdict    refuse (no-matching-interest)\n" in told.out
    assert run("explain", "-").code == 2
    for name in ("01234", "https://letterbox.example/r/01234", " <http://h:1/r/01234/> "):
        told = run("explain", name)
        assert (told.code, told.err.count("\n")) == (1, 1)
        assert "there is no decision and no reference '01234'; " in told.err


def test_export_is_one_json_document(run, people):
    run("apply", people)
    whole = run("export", "anna").json
    assert whole["preferences"]["addresses"] == ["anna@letterbox.example"]
    assert (whole["inbox"], whole["held"], whole["decisions"]) == ([], [], [])
    assert (whole["strangers"], whole["tokens"]) == ([], [])
    token = run("token", "issue", "anna", "--json").json
    assert run("export", "anna").json["tokens"] == [token["prefix"]]


def test_lists_and_version(run):
    assert "no-matching-interest" in run("reasons").out
    assert "choice" in run("reasons", "--json").json["classes"]
    assert {"code", "class", "reply"} <= run("reasons", "--json").json["reasons"][0].keys()
    assert "home-garden/garden-tools " in run("taxonomy").out
    assert run("taxonomy", "--json").json["nodes"][0]["id"] == "home-garden"
    assert run("version", "--json").json == {"version": run("version").out.split()[1]}


def test_objections_are_listed_and_none_of_nobody(run, people):
    run("apply", people)
    assert run("objections", "anna").out == "anna has objected to nobody\n"
    assert run("objections", "anna", "--json").json == {"consumer": "anna", "items": []}
    told = run("objections", "ana")
    assert (told.code, "anna" in told.err) == (1, True)
    assert run("objections", "anna", "0" * 32, "--language", "nl").code == 1


def test_check_config(run):
    assert run("check-config").out == "the defaults: no mistakes\n"
    Path("letterbox.toml").write_text("[smtp]\nmax_sizes = 1\n")
    told = run("check-config")
    assert told.code == 1
    assert told.err.startswith("letterbox: the configuration cannot be used: letterbox.toml: smtp.")
    Path("letterbox.toml").write_text("[smtp]\nmax_size = 1000\n")
    shown = run("check-config", "--json").json
    assert (shown["ok"], shown["file"]) == (True, "letterbox.toml")
    assert shown["configuration"]["smtp"]["max_size"] == 1000


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_configuration_may_be_named_before_and_after_the_command(run, place):
    Path("mine.toml").write_text("hostname = 'mine.example'\n")
    named = ["--config", "mine.toml", "--json"]
    told = run(*named, "check-config") if place == "before" else run("check-config", *named)
    assert told.json["configuration"]["hostname"] == "mine.example"


@pytest.mark.parametrize(
    "command",
    [
        ["key", "issue", "greenleaf"],
        ["key", "revoke", "lbk_12345678"],
        ["token", "issue", "anna"],
        ["export", "anna"],
        ["explain", "0123"],
    ],
)
def test_only_applying_and_serving_make_a_store(run, command):
    told = run(*command)
    assert (told.code, told.out) == (1, "")
    assert told.err == (
        f"letterbox: there is no store at {Path.cwd()}/var/letterbox.db; "
        "is this the right directory? (letterbox serve and letterbox apply make one)\n"
    )
    assert not Path("var").exists()


def test_the_defaults_can_be_printed_and_are_a_configuration(run):
    told = run("check-config", "--defaults")
    assert told.code == 0
    Path("letterbox.toml").write_text(told.out)
    assert run("check-config").out == "letterbox.toml: no mistakes\n"
    assert run("check-config", "--defaults", "--json").json == {"defaults": told.out}


def test_a_variable_that_sets_nothing_is_pointed_at(run, monkeypatch):
    monkeypatch.setenv("LETTERBOX_SMTP_LISTEN", "0.0.0.0:25")
    told = run("check-config", "--json")
    assert told.json["ok"] is True
    assert told.err == (
        "letterbox: these variables set nothing: "
        "LETTERBOX_SMTP_LISTEN (did you mean LETTERBOX__SMTP__LISTEN?)\n"
    )


def test_help_says_where_the_configuration_is_and_what_is_written(capsys):
    for arguments, words in (
        (["serve", "--help"], ("LETTERBOX_CONFIG", "letterbox.toml", '"http": "127.0.0.1:8080"')),
        (["--version"], ("letterbox 0.",)),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        told = " ".join(capsys.readouterr().out.split())
        assert [word for word in words if word not in told] == []


def test_a_ready_file_that_cannot_be_is_named_before_anything_listens(run, tmp_path):
    told = run("serve", "--ready-file", "run/ready.json")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert f"--ready-file: there is no directory {tmp_path}/run; make it first" in told.err
    told = run("serve", "--ready-file", str(tmp_path))
    assert f"--ready-file: {tmp_path} cannot be written" in told.err
    assert not Path("var").exists()


def test_a_store_in_memory_keeps_nothing_and_says_so(run, people, monkeypatch):
    monkeypatch.setenv("LETTERBOX__STORE__URL", "memory:")
    told = run("apply", people)
    assert told.code == 1
    assert "nothing would last" in told.err


def test_a_store_another_has_open_is_named(run, people, monkeypatch):
    from letterbox.adapters.sqlite.lock import Lock

    monkeypatch.setattr(reach, "_STARTING_SECONDS", 0.0)
    Path("var").mkdir()
    lock = Lock(Path("var/letterbox.db"))
    try:
        told = run("apply", people)
    finally:
        lock.release()
    assert told.code == 1
    assert "var/letterbox.db is in use by process" in told.err
    assert "letterbox.db.sock" in told.err
    assert told.err.count("\n") == 1


def test_a_store_that_cannot_be_opened_is_named(run, people, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LETTERBOX__STORE__URL", f"sqlite:{tmp_path}/file/box.db")
    told = run("apply", people)
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert f"{tmp_path}/file/box.db cannot be opened" in told.err


def test_our_own_faults_are_one_line_and_a_trace_on_demand(run, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(cli._COMMANDS, "version", broken)
    told = run("version")
    assert told.code == 1
    assert told.err == "letterbox: our own fault: ZeroDivisionError: oh; --debug shows where\n"
    with pytest.raises(ZeroDivisionError):
        run("version", "--debug")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["apply"],
        ["key"],
        ["key", "issue"],
        ["explain"],
        ["explain", "a.eml", "--to", "a@b.example", "--at", "tomorrow"],
        ["explain", "a.eml", "--to", "a@b.example", "--at", "2026-12-24T12:00"],
        ["version", "--no-such"],
    ],
)
def test_wrong_use_ends_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert (told[:10], told.count("\n")) == ("letterbox ", 1) or told.startswith("letterbox: ")
    assert told.endswith(" --help tells how\n")


def test_a_mail_without_a_recipient_is_wrong_use(run):
    Path("a.eml").write_bytes(mail())
    told = run("explain", "a.eml")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "--to ADDRESS" in told.err


# ---- vendors and their keys


def test_the_operator_sees_suspends_and_resumes_a_vendor(run, people):
    run("apply", people)
    assert run("vendor", "list").out.split() == ["greenleaf", "Greenleaf", "(greenleaf.example)"]
    told = run("vendor", "suspend", "greenleaf", "--because", "complaints\x1b[31m")
    assert told.out == "vendor greenleaf is suspended\n"
    shown = run("vendor", "show", "greenleaf")
    assert "SUSPENDED" in shown.out
    assert "complaints" in shown.out
    assert "\x1b" not in shown.out
    assert run("vendor", "show", "greenleaf", "--json").json["suspended"]["because"]
    assert run("vendor", "resume", "greenleaf").out == "vendor greenleaf goes on\n"
    again = run("vendor", "resume", "greenleaf")
    assert (again.code, again.err) == (1, "letterbox: vendor greenleaf is not suspended\n")
    wrong = run("vendor", "suspend", "greenlaef")
    assert wrong.code == 1
    assert "greenleaf" in wrong.err


def test_a_suspension_outlasts_the_people_file(run, people):
    run("apply", people)
    run("vendor", "suspend", "greenleaf")
    run("apply", people, "--force")
    assert "SUSPENDED" in run("vendor", "list").out


def test_keys_are_made_for_a_purpose_listed_and_rotated(run, people):
    run("apply", people)
    key = run("key", "issue", "greenleaf", "--label", "till", "--scope", "send", "--days", "30")
    listed = run("key", "list", "greenleaf")
    assert "used never" in listed.out
    assert "send  till" in listed.out
    assert key.out.strip() not in listed.out
    rotated = run("key", "rotate", key.out[:12], "--json")
    assert rotated.json["replaces"] == key.out[:12]
    items = run("key", "list", "greenleaf", "--json").json["items"]
    assert [item["label"] for item in items] == ["till", "till"]
    assert [item["scopes"] for item in items] == [["send"], ["send"]]
    gone = run("key", "rotate", "lbk_00000000")
    assert gone.code == 1
    assert "key list" in gone.err
    with pytest.raises(SystemExit, match="2"):
        run("key", "issue", "greenleaf", "--scope", "everything")
