"""``letterbox import …``: what each does, and what it says of it."""

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from letterbox.administration import Failed
from letterbox.collecting.collect import Ask, collect
from letterbox.collecting.files import Maildir, MboxFile
from letterbox.collecting.imap import ImapFolder
from letterbox.collecting.origins import Origin
from letterbox.feedback.sentences import safe
from letterbox.model.configuration import Configuration
from letterbox.reach import reaching

#: Where the password is taken from that nobody is there to type.
PASSWORD: Final = "LETTERBOX_IMAP_PASSWORD"  # noqa: S105 - the name of a variable
_WIDTH: Final = 30
_LONGEST: Final = 40
#: Has a terminal begin its line anew.
_ANEW: Final = "\r\033[K"
#: Everybody who is not named.
_ALL: Final = "all"

Said = tuple[dict[str, Any], list[str]]


def run(arguments: argparse.Namespace, configuration: Configuration) -> Said:
    """Do what was asked; the answer, and the lines that say it. Raises :class:`Failed`, OSError."""
    with reaching(configuration) as ask:
        return _COMMANDS[arguments.command](arguments, ask)


def _mbox(arguments: argparse.Namespace, ask: Ask) -> Said:
    return _read(arguments, ask, MboxFile(arguments.path))


def _maildir(arguments: argparse.Namespace, ask: Ask) -> Said:
    return _read(arguments, ask, Maildir(arguments.path))


def _imap(arguments: argparse.Namespace, ask: Ask) -> Said:
    password = os.environ.get(PASSWORD)
    if password is None:
        if not sys.stdin.isatty():
            raise Failed(f"nobody is there to type the password; set {PASSWORD}")
        password = getpass.getpass(f"Password of {arguments.user} at {arguments.host}: ")
    folder = ImapFolder(
        arguments.host,
        arguments.user,
        password,
        folder=arguments.folder,
        port=arguments.port,
        plain=arguments.plain,
        trust=arguments.ca,
    )
    with closing(folder):
        return _read(arguments, ask, folder)


def _read(arguments: argparse.Namespace, ask: Ask, origin: Origin) -> Said:
    terminal = not arguments.json and sys.stderr.isatty()

    def report(done: int, total: int, mails: int) -> None:
        if terminal:
            sys.stderr.write(f"{_ANEW}{bar(done, total)} {mails:,} mails")
            sys.stderr.flush()

    consumer: str = arguments.consumer
    try:
        source = collect(origin, consumer, ask=ask, report=report)
    except KeyboardInterrupt:
        raise Failed("interrupted; the same command goes on from there") from None
    finally:
        if terminal:
            sys.stderr.write(_ANEW)
    shown = ask("import show", {"consumer": consumer})
    found = {"companies": len(shown["items"]), "people": shown["people"]}
    lines = [
        f"read {source['new']:,} mails; {shown['unread']:,} in all could not be read",
        f"found {found['companies']:,} companies, and {found['people']:,} people who write to you",
        f"letterbox import show --consumer {consumer} lists them",
    ]
    return source | found, lines


def bar(done: int, total: int) -> str:
    """How much is done, as a line of a terminal."""
    share = min(done / total, 1.0) if total else 1.0
    full = int(_WIDTH * share)
    return f"[{'#' * full}{'-' * (_WIDTH - full)}] {share:4.0%}"


def _show(arguments: argparse.Namespace, ask: Ask) -> Said:
    shown = ask("import show", {"consumer": arguments.consumer, "people": arguments.people})
    return shown, [*map(_line, shown["items"])] or ["nobody was found"]


def _line(item: Mapping[str, Any]) -> str:
    kinds = ", ".join(f"{kind} {number}" for kind, number in item["kinds"].items())
    known = f"  ({item['standing']} already)" if item["known"] else ""
    name = safe(item["name"], _LONGEST)
    return f"{item['key']:{_LONGEST}} {item['per_month']:6} a month  {name}: {kinds}{known}"


def _choose(arguments: argparse.Namespace, ask: Ask) -> Said:
    named: dict[str, list[str]] = {
        "allow": arguments.allow,
        "limit": arguments.limit,
        "lock-out": arguments.lock_out,
    }
    choices = {key: {"do": do} for do, keys in named.items() for key in keys if key != _ALL}
    others = [do for do, keys in named.items() if _ALL in keys]
    if len(others) > 1 or not any(named.values()):
        raise Failed("say once what becomes of whom: --allow, --limit, --lock-out DOMAIN… or all")
    for do in others:
        shown = ask("import show", {"consumer": arguments.consumer})
        rest = (item["key"] for item in shown["items"] if not item["known"])
        choices |= {key: {"do": do} for key in rest if key not in choices}
    done = ask("import choose", {"consumer": arguments.consumer, "choices": choices})
    return done, _adopted(done)


def _adopted(done: Mapping[str, Any]) -> list[str]:
    lines = [f"changed {len(done['changed']):,}; as they were {len(done['unchanged']):,}"]
    return lines + [f"not done: {each['key']}: {each['why']}" for each in done["failed"]]


def _sieve(arguments: argparse.Namespace, ask: Ask) -> Said:
    path: str = arguments.path
    raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        script = raw.decode()
    except UnicodeDecodeError:
        raise Failed(f"{path} is no Sieve script: it is not UTF-8") from None
    asked = {"consumer": arguments.consumer, "script": script, "dry_run": arguments.dry_run}
    done = ask("import sieve", asked)
    lines = [f"line {each['line']}: {each['do']} {each['key']}" for each in done["mapped"]]
    lines += [
        f"line {each['line']}: {safe(each['what'], 100)} does not map: {each['why']}"
        for each in done["unmapped"]
    ]
    return done, lines + (_adopted(done["adopted"]) if done["adopted"] else [])


def _forget(arguments: argparse.Namespace, ask: Ask) -> Said:
    done = ask("import forget", {"consumer": arguments.consumer})
    return done, ["forgotten" if done["forgotten"] else "there was nothing"]


_COMMANDS: Mapping[str, Callable[[argparse.Namespace, Ask], Said]] = {
    "import mbox": _mbox,
    "import maildir": _maildir,
    "import imap": _imap,
    "import sieve": _sieve,
    "import show": _show,
    "import choose": _choose,
    "import forget": _forget,
}
