"""Old mail imported: what is found, interrupted and gone on with, hostile or not."""

import asyncio
import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from letterbox.administration import Failed
from letterbox.cli import main
from letterbox.collecting.collect import collect
from letterbox.collecting.commands import bar
from letterbox.collecting.files import MboxFile
from letterbox.model.kind import Kind
from letterbox.reading.mbox import NotAnMbox
from letterbox.reading.sightings import LIMITS, sight
from letterbox.records import places
from letterbox.records.imports import Batch, Elsewhere, TooManySources
from letterbox.shipment import reader_of_old_mail
from letterbox.starting.upload import Busy, TooLarge, Uploads
from tests.support.api import PEOPLE
from tests.support.house import open_house
from tests.support.oldmail import made_up, write_mbox
from tests.support.plain import CASES, reader
from tests.support.shared import shared

NOW = datetime(2026, 11, 23, tzinfo=UTC)
VENDORS = tomllib.loads((CASES / "starting" / "import_vendors.toml").read_text())


def seen(raw: bytes):
    return sight(raw, reader(LIMITS), NOW)


# ---- one mail -----------------------------------------------------------------------------------


def test_a_mail_is_seen_as_its_header_has_it():
    raw = (
        b"From: =?utf-8?q?Caf=C3=A9?= <News@Mail.Shop.example>\nSubject: Our newsletter\n"
        b"Date: Mon, 2 Jun 2025 10:00:00 +0200\nList-Unsubscribe: <https://x.example>\n"
        b"DKIM-Signature: v=1; a=rsa-sha256; d=esp.example; s=x; h=from; b=x\n"
        b"Authentication-Results: mx.example; dkim=pass header.d=shop.example\n\nHello\n"
    )
    found = seen(raw)
    assert (str(found.author), found.name) == ("News@mail.shop.example", "Café")
    assert found.at == datetime(2025, 6, 2, 8, tzinfo=UTC)
    assert found.kind is Kind.NEWSLETTER
    assert found.signers == ("esp.example",)
    own = raw.replace(b"d=esp.example", b"d=shop.example")
    assert seen(own).signers == ()


def test_what_a_mail_claims_of_itself_gives_it_no_right():
    raw = b"From: a@shop.example\nLetterbox-Kind: service\nSubject: Sale: 30% off\n"
    raw += b"Precedence: bulk\n\n"
    assert seen(raw + b"Sale! Now only EUR 9.95 in our shop.\n" * 9).kind is Kind.OFFER


@pytest.mark.parametrize(
    "date",
    [b"Mon, 22 Jul 0102 15:07:27 +0500", b"Mon, 1 Jan 2079 00:00:00 +0000", b"soon", b"\xff"],
)
def test_a_date_that_is_not_to_be_believed_is_none(date):
    assert seen(b"From: a@shop.example\nDate: " + date + b"\n\nHello\n").at is None


def nested(depth: int) -> bytes:
    """Multiparts within multiparts."""
    raw = b"From: a@shop.example\nMIME-Version: 1.0\n"
    for nth in range(depth):
        raw += b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (nth, nth)
    return raw


HOSTILE = {
    "nothing": b"",
    "no header": b"\n\nhello",
    "binary": bytes(range(256)) * 1000,
    "one long line": b"From: a@shop.example\nSubject: " + b"x" * (8 << 20),
    "no author": b"Subject: x\n\nhello",
    "two authors": b"From: a@shop.example, b@shop.example\n\nhello",
    "many fields": b"From: a@shop.example\n" + b"X: y\n" * 50_000,
    "deep": nested(3_000),
    "many parts": nested(1) + b"--b0\n\nx\n" * 20_000,
    "unclosed markup": b"From: a@shop.example\nContent-Type: text/html\n\n" + b"<div" * 100_000,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_hostile_mail_is_read_or_passed_over(raw):
    found = seen(raw)
    assert found is None or str(found.author) == "a@shop.example"


# ---- what is found ------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command line in a folder of its own, with a store that knows anna."""
    monkeypatch.chdir(tmp_path)
    Path("people.toml").write_text(PEOPLE)
    assert main(["apply", "people.toml"]) == 0

    def command(*arguments: str) -> dict:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        assert code == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return command


def real_mbox(path: Path) -> Path:
    write_mbox(
        path, (each.read_bytes() for each in sorted(shared("mail/newsletters").glob("*.eml")))
    )
    return path


def test_the_vendors_that_a_person_would_name_are_found(run, tmp_path):
    mbox = real_mbox(tmp_path / "old.mbox")
    done = run("import", "mbox", str(mbox), "--consumer", "anna")
    assert (done["read"], done["unread"], done["ended"]) == (41, 0, True)
    items = run("import", "show", "--consumer", "anna", "--people")["items"]
    companies = {each["domain"]: each for each in items if each["address"] is None}
    assert set(companies) == {each["domain"] for each in VENDORS["company"]}
    for wanted in VENDORS["company"]:
        found = companies[wanted["domain"]]
        assert found["name"] in wanted["name"]
        assert found["count"] == wanted["count"]
        assert set(found["kinds"]) <= set(wanted["kinds"]), wanted["domain"]
    assert sorted(each["address"] for each in items if each["address"]) == sorted(VENDORS["people"])


def test_the_whole_way_on_the_command_line(run, tmp_path):
    mbox = tmp_path / "old.mbox"
    write_mbox(mbox, made_up(60, vendors=6))
    found = run("import", "mbox", str(mbox), "--consumer", "anna")
    assert (found["new"], found["companies"]) == (60, 6)
    # What was read is not read again, and what came since is.
    assert run("import", "mbox", str(mbox), "--consumer", "anna")["new"] == 0
    with mbox.open("ab") as file:
        write_mbox(tmp_path / "new", made_up(7, vendors=7))
        file.write((tmp_path / "new").read_bytes())
    found = run("import", "mbox", str(mbox), "--consumer", "anna")
    assert (found["new"], found["read"], found["companies"]) == (7, 67, 7)
    done = run(
        *("import", "choose", "--consumer", "anna", "--lock-out", "shop0.example"),
        *("--limit", "shop1.example", "--allow", "all"),
    )
    assert len(done["changed"]) == 7
    rules = {
        each["domain"]: each
        for each in run("export", "anna")["preferences"]["vendor"]
        if "domain" in each
    }
    assert rules["shop0.example"]["standing"] == "blocked"
    assert "limit" in rules["shop1.example"]
    assert "limit" not in rules["shop3.example"]
    taken = {each["id"]: each["kinds"] for each in run("export", "anna")["import"]}
    assert set(taken) == {f"shop{nth}.example" for nth in range(7)}
    assert run("import", "forget", "--consumer", "anna")["forgotten"]


def test_mistakes_are_named(run, tmp_path, capsys):
    (tmp_path / "no.mbox").write_text("Subject: a mail\n\nhello\n")
    asked = {
        ("mbox", "no.mbox"): "no mbox",
        ("mbox", "nowhere"): "nowhere",
        ("maildir", "."): "no Maildir",
        ("show",): "no old mail of anna's was read",
        ("choose",): "say once what becomes of whom",
        ("imap", "127.0.0.1", "--user", "x"): "LETTERBOX_IMAP_PASSWORD",
    }
    for words, said in asked.items():
        assert main(["import", words[0], *words[1:], "--consumer", "anna"]) == 1
        assert said in capsys.readouterr().err
    assert main(["import", "show", "--consumer", "anne"]) == 1
    assert "did you mean anna?" in capsys.readouterr().err


def test_a_maildir_is_read_and_gone_on_with(run, tmp_path):
    for folder in ("cur", "new", "tmp"):
        (tmp_path / "Mail" / folder).mkdir(parents=True)
    for nth, mail in enumerate(made_up(10, vendors=5)):
        folder, flags = ("cur", ":2,S") if nth < 8 else ("new", "")
        (tmp_path / "Mail" / folder / f"{1700000000 + nth}.M1P1.host{flags}").write_bytes(mail)
    found = run("import", "maildir", "Mail", "--consumer", "anna")
    assert (found["read"], found["companies"]) == (10, 5)
    # One is read meanwhile, and one more comes.
    moved = next((tmp_path / "Mail/new").iterdir())
    moved.rename(tmp_path / "Mail/cur" / f"{moved.name}:2,S")
    (tmp_path / "Mail/new/1800000000.M1P1.host").write_bytes(next(made_up(1)))
    assert run("import", "maildir", "Mail", "--consumer", "anna")["new"] == 1


# ---- interrupted --------------------------------------------------------------------------------


class Desk:
    """A house's administration as the command line asks it, which breaks off at will."""

    def __init__(self, house, loop) -> None:
        self._house, self._loop = house, loop
        self.left = 1_000_000

    def ask(self, command, asked):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        doing = self._house.app.administration.perform(command, asked)
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result()


def found_of(imported) -> tuple:
    """What was counted, without when."""
    sources = [
        (each.read, each.unread, each.done, each.ended) for each in imported.sources.values()
    ]
    return imported.found, imported.over, sources


async def test_interrupted_over_and_over_it_counts_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("letterbox.collecting.collect.BATCH", 20)
    mails = [*made_up(150, vendors=20)]
    mails[33] = b"Subject: of nobody\n\nhello\n"
    write_mbox(tmp_path / "old.mbox", mails)
    async with open_house(PEOPLE) as house:
        desk = Desk(house, asyncio.get_running_loop())
        told: list[tuple[int, int, int]] = []

        def read(who: str):
            origin = MboxFile(tmp_path / "old.mbox")
            return collect(origin, who, ask=desk.ask, report=lambda *at: told.append(at))

        whole = await asyncio.to_thread(read, "anna")
        assert (whole["read"], whole["unread"]) == (149, 1)
        size = (tmp_path / "old.mbox").stat().st_size
        assert told[0] == (0, size, 0)
        assert told[-1] == (size, size, 150)
        assert [at for at, *_ in told] == sorted(at for at, *_ in told)
        breaks = 0
        while True:
            desk.left = 3  # to begin, and two batches
            try:
                await asyncio.to_thread(read, "ben")
                break
            except KeyboardInterrupt:
                breaks += 1
        assert breaks == 4
        ben, anna = await house.app.imports.of("ben"), await house.app.imports.of("anna")
        assert found_of(ben) == found_of(anna)
        assert ben.read == 149


def test_who_breaks_off_or_mistypes_is_told_how_to_go_on(run, monkeypatch, capsys):
    def broken_off(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("letterbox.collecting.commands.collect", broken_off)
    write_mbox(Path("old.mbox"), made_up(1))
    for name, said in (
        ("old.mbox", "letterbox: interrupted; the same command goes on from there\n"),
        ("new.mbox", "letterbox: new.mbox: no such file or directory\n"),
    ):
        assert main(["import", "mbox", name, "--consumer", "anna"]) == 1
        assert capsys.readouterr().err == said


async def test_of_two_who_read_the_same_one_counts(tmp_path):
    async with open_house(PEOPLE) as house:
        imports, name = house.app.imports, "a" * 64
        await imports.begin("anna", name, "mbox", 100)
        batch = Batch(after="", position="50", done=50, total=100, unread=3)
        results = await asyncio.gather(
            *(imports.take("anna", name, batch) for _ in range(2)), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in results) == ["Elsewhere", "Source"]
        assert (await imports.of("anna")).unread == 3
        await imports.forget("anna")
        with pytest.raises(Elsewhere):
            await imports.take("anna", name, msgspec.structs.replace(batch, after="50"))
        for nth in range(50):
            await imports.begin("anna", f"{nth:064}", "mbox", 1)
        with pytest.raises(TooManySources):
            await imports.begin("anna", name, "mbox", 1)


async def test_what_was_found_goes_with_the_consumer(tmp_path):
    async with open_house(PEOPLE) as house:
        await house.app.imports.begin("anna", "a" * 64, "mbox", 100)
        await house.app.upkeep.erasure.begin("anna")
        for _ in range(20):
            await house.work()
            house.clock.advance(minutes=1)
        assert await house.app.imports.of("anna") is None
        names = await house.app.store.names(places.consumer("anna"))
        assert names.due == ()


# ---- uploaded -----------------------------------------------------------------------------------


async def chunks(data: bytes, *, size: int = 10_000, breaks_at: int | None = None):
    for at in range(0, len(data), size):
        if breaks_at is not None and at >= breaks_at:
            raise ConnectionResetError
        yield data[at : at + size]


async def test_an_upload_is_read_as_it_comes_and_gone_on_with(tmp_path):
    write_mbox(tmp_path / "old.mbox", made_up(700, vendors=20))
    data = (tmp_path / "old.mbox").read_bytes()
    async with open_house(PEOPLE) as house:
        uploads = house.app.uploads
        with pytest.raises(ConnectionResetError):
            await uploads.read("anna", chunks(data, breaks_at=len(data) // 2), len(data))
        before = (await house.app.imports.of("anna")).newest
        assert 0 < before.read < 700
        assert not before.ended
        source = await uploads.read("anna", chunks(data), len(data))
        assert (source.read, source.ended, source.done) == (700, True, len(data))
        found = (await house.app.imports.of("anna")).found
        assert {key: each.count for key, each in found.items()} == {
            f"shop{nth}.example": 35 for nth in range(20)
        }
        # Nothing is counted again.
        assert (await uploads.read("anna", chunks(data), len(data))).read == 700


async def test_what_may_not_be_uploaded():
    async with open_house(PEOPLE) as house:
        few = Uploads(
            house.app.imports, house.clock, make_reader=reader_of_old_mail, most=1000, at_once=1
        )
        with pytest.raises(TooLarge):
            await few.read("anna", chunks(b""), 1001)
        with pytest.raises(TooLarge):
            await few.read("anna", chunks(b"From a@b.example\n" + b"x" * 5000, size=400), 0)
        for data in (b"", b"hello\n", b"\x00" * 900):
            with pytest.raises(NotAnMbox):
                await few.read("anna", chunks(data), len(data))
        waits = asyncio.Event()

        async def slow():
            yield b"From a"
            await waits.wait()

        first = asyncio.create_task(few.read("anna", slow(), 0))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await few.read("ben", chunks(b"From a"), 0)
        waits.set()
        await first


def test_how_far_it_is_is_drawn():
    assert bar(0, 100) == "[------------------------------]   0%"
    assert bar(50, 100) == "[###############---------------]  50%"
    assert bar(0, 0) == "[##############################] 100%"


def test_a_file_that_has_changed_is_not_gone_on_with(tmp_path):
    write_mbox(tmp_path / "old.mbox", made_up(50))
    with pytest.raises(Failed, match="has changed"):
        list(MboxFile(tmp_path / "old.mbox").letters("4321"))
