"""A mailbox of a real IMAP server: read, left as it is, and gone on with."""

from contextlib import closing

import pytest

from letterbox.administration import Failed
from letterbox.collecting import commands
from letterbox.collecting.imap import ImapFolder, _in_utf7, _quoted
from tests.support.imapserver import PASSWORD, USER, imap_server
from tests.support.oldmail import made_up
from tests.unit.test_importing import run

__all__ = ["run"]


def opened(server, **options) -> ImapFolder:
    options = {"port": server.port, "trust": str(server.chain)} | options
    return ImapFolder("127.0.0.1", USER, options.pop("password", PASSWORD), **options)


def test_a_mailbox_is_read_left_as_it_is_and_gone_on_with(run, monkeypatch):
    monkeypatch.setenv(commands.PASSWORD, PASSWORD)
    with imap_server() as server:
        asked = ["import", "imap", "127.0.0.1", "--user", USER, "--consumer", "anna"]
        asked += ["--port", str(server.port), "--ca", str(server.chain)]
        server.put(made_up(130, vendors=10))
        found = run(*asked)
        assert (found["read"], found["companies"], found["ended"]) == (130, 10, True)
        with server.session() as session:
            session.select("INBOX")
            assert session.search(None, "SEEN")[1] == [b""]
            # Some go meanwhile: what was read is known by the numbers that stay.
            session.store("1:40", "+FLAGS", r"\Deleted")
            session.expunge()
        server.put(made_up(3, vendors=1))
        found = run(*asked)
        assert (found["new"], found["read"]) == (3, 133)
        server.put(made_up(4, vendors=1), folder="Aanbiedingen")
        assert run(*asked, "--folder", "Aanbiedingen")["new"] == 4


def test_it_is_read_from_any_position():
    with imap_server() as server:
        server.put(
            [*made_up(60), b"\n", b"no header at all\n", b"From: a@b.example\n\n" + b"x" * 200_000]
        )
        folder = opened(server)
        letters = list(folder.letters(""))
        assert [each.done for each in letters] == [*range(1, folder.total + 1)]
        assert max(len(each.raw) for each in letters) == 65536
        for at in (0, 1, 30, 58, folder.total - 1):
            with closing(opened(server)) as again:
                assert list(again.letters(letters[at].position)) == letters[at + 1 :]
        folder.close()


def test_what_a_server_says_no_to_is_named():
    with imap_server() as server:
        for options, said in (
            ({"password": "wrong"}, "says no"),
            ({"folder": "Nowhere"}, "no folder 'Nowhere'"),
            ({"trust": None}, "cannot be reached: .*certificate"),
        ):
            with pytest.raises(Failed, match=said):
                opened(server, **options)
    with pytest.raises(Failed, match="cannot be reached"):
        opened(server)


def test_without_tls_a_password_stays_on_this_machine():
    with pytest.raises(Failed, match="this machine alone"):
        ImapFolder("imap.example", USER, PASSWORD, plain=True)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("INBOX", '"INBOX"'),
        ("A & B", '"A &- B"'),
        ("~peter/mail/台北/日本語", '"~peter/mail/&U,BTFw-/&ZeVnLIqe-"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
    ],
)
def test_names_of_folders_are_written_as_the_protocol_has_them(name, written):
    assert _quoted(_in_utf7(name)) == written
