"""The command line: parse, call, print.

Exit codes: 0 done, 1 refused or failed, 2 wrong use. With ``--json`` standard output is that
JSON alone; errors and logs go to standard error.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from letterbox.model.configuration import Configuration
    from letterbox.ready import ReadyFile

_DONE, _FAILED, _MISUSED = 0, 1, 2
_SECTIONS = ("preferences", "inbox", "held", "decisions", "strangers", "tokens")
_STANDARD_INPUT = "-"
_CONFIG_HELP = "configuration file; else LETTERBOX_CONFIG, else letterbox.toml here, else defaults"
_READY_HELP = (
    'written whole when it is ready: the bound addresses, as {"http": "127.0.0.1:8080", …}; '
    "removed at a clean stop"
)

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = _parser().parse_args(argv)
    command: Command = arguments.run
    try:
        return command(arguments)
    except KeyboardInterrupt:
        return _FAILED
    except BrokenPipeError:
        # Who read our output has gone; the interpreter must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except Exception as error:
        if arguments.debug:
            raise
        return _failed(arguments, error)


# ---- what it understands ----------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where the rest is told."""

    def error(self, message: str) -> NoReturn:
        self.exit(_MISUSED, f"{self.prog}: {message}; {self.prog} --help tells how\n")


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    for target, default in ((common, argparse.SUPPRESS), (top := _top(), None)):
        target.add_argument("--config", metavar="FILE", default=default, help=_CONFIG_HELP)
        off = default or False
        target.add_argument("--json", action="store_true", default=off, help="answer in JSON")
        target.add_argument("--debug", action="store_true", default=off, help="show our own faults")
    top.add_argument("--version", action=_Version, help="print the version")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Command, about: str, within: Any = commands) -> Any:
        parser = within.add_parser(name, help=about, description=about, parents=[common])
        parser.set_defaults(run=run)
        return parser

    serve = add("serve", _serve, "run the broker")
    serve.add_argument("--ready-file", type=Path, metavar="FILE", help=_READY_HELP)
    demo = add("demo", _demo, "show the broker at work, with made-up vendors and consumers")
    demo.add_argument("--once", action="store_true", help="end when everything was shown")
    apply = add("apply", _apply, "make consumers and vendors what people files say")
    apply.add_argument("files", nargs="+", metavar="FILE")
    apply.add_argument("--dry-run", action="store_true", help="say what would change")
    apply.add_argument("--force", action="store_true", help="undo what consumers changed since")
    for what, owner in (("key", "VENDOR"), ("token", "CONSUMER")):
        others = "|rotate|list" if what == "key" else ""
        group = commands.add_parser(what, help=f"issue and revoke {what}s").add_subparsers(
            metavar=f"issue|revoke{others}", required=True
        )
        issue = add("issue", _credential, f"make a {what} and print it once", group)
        issue.add_argument("owner", metavar=owner)
        issue.set_defaults(command=f"{what} issue")
        if what == "key":
            _add_keys(issue, group, add)
        revoke = add("revoke", _credential, f"revoke a {what}", group)
        revoke.add_argument("prefix", metavar="PREFIX")
        revoke.set_defaults(command=f"{what} revoke")
    _add_vendors(commands.add_parser("vendor", help="see and suspend vendors"), add)
    explain = add("explain", _explain, "say what would happen to a mail and why, or what did")
    explain.add_argument(
        "what",
        metavar="FILE.eml|DECISION",
        help="a mail (- is standard input); or a decision's id, a reference, or its /r/ address",
    )
    explain.add_argument("--to", metavar="ADDRESS", help="the recipient; with a mail")
    explain.add_argument("--from-domain", metavar="DOMAIN", help="take this sender as proven")
    explain.add_argument("--at", type=_instant, metavar="TIME", help="such as 2026-12-24T12:00Z")
    explain.add_argument(
        "--language", choices=("en", "nl"), help="the language it is told in; the consumer's"
    )
    check = add("check-config", _check_config, "check the configuration")
    check.add_argument(
        "--defaults", action="store_true", help="print the commented default file instead"
    )
    add("reasons", _reasons, "list every reason a message can be refused or held for")
    taxonomy = add("taxonomy", _taxonomy, "list the categories interests and offers speak in")
    within = taxonomy.add_subparsers(metavar="import|foreign")
    about = "take in a taxonomy of Google's or Shopify's, so that its categories count as ours"
    imported = add("import", _import_taxonomy, about, within)
    imported.add_argument("files", nargs="+", metavar="FILE", help="one, or one a language")
    imported.add_argument("--map", metavar="FILE.toml", help='corrections: "A > B" = "our/id"')
    foreign = add("foreign", _foreign_taxonomy, "list what was taken in, and what it means", within)
    foreign.add_argument("source", choices=("google", "shopify"))
    export = add("export", _export, "print what there is about a consumer, as JSON")
    export.add_argument("consumer", metavar="CONSUMER", help="an id; or operator")
    add("version", _version, "print the version")
    return top


def _add_keys(issue: Any, group: Any, add: Callable[..., Any]) -> None:
    """What keys have and tokens have not."""
    issue.add_argument("--label", default="", help="what it is for, in the vendor's own list")
    issue.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        choices=("send", "feedback", "manage"),
        help="what it may be used for; may be repeated; all, unless told",
    )
    issue.add_argument("--days", type=int, help="it ends by itself after so many days")
    rotate = add("rotate", _rotate_key, "replace a key; both serve for a while", group)
    rotate.add_argument("prefix", metavar="PREFIX")
    rotate.add_argument("--overlap-hours", type=int, default=24, help="how long; 24, unless told")
    keys = add("list", _vendor, "list a vendor's keys, and when each was last used", group)
    keys.add_argument("vendor", metavar="VENDOR")
    keys.set_defaults(command="key list", takes=("vendor",))


def _add_vendors(parser: Any, add: Callable[..., Any]) -> None:
    group = parser.add_subparsers(metavar="list|show|suspend|resume", required=True)
    for name, about in (
        ("list", "list the registered vendors"),
        ("show", "show a vendor, its domains and its claims"),
        ("suspend", "take nothing of a vendor's for now"),
        ("resume", "take a vendor's mail again"),
    ):
        within = add(name, _vendor, about, group)
        takes: tuple[str, ...] = ()
        if name != "list":
            within.add_argument("vendor", metavar="VENDOR")
            takes = ("vendor",)
        if name == "suspend":
            within.add_argument("--because", default="", help="why; the vendor is told")
            takes = ("vendor", "because")
        within.set_defaults(command=f"vendor {name}", takes=takes)


def _top() -> argparse.ArgumentParser:
    return _Parser(prog="letterbox", description="A message broker between vendors and consumers.")


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 2026-12-24T12:00Z")
    return instant


# ---- commands over the store ------------------------------------------------------------------


def _apply(arguments: argparse.Namespace) -> int:
    files = [_file(name) for name in arguments.files]
    asked = {"files": files, "dry_run": arguments.dry_run, "force": arguments.force}
    done = _perform(arguments, "apply", asked)
    lines = done.pop("lines") or ["nothing to change"]
    return _print(arguments, done, lines + ["(dry run: nothing was changed)"] * arguments.dry_run)


def _credential(arguments: argparse.Namespace) -> int:
    command: str = arguments.command
    what, _, action = command.partition(" ")
    field = "owner" if action == "issue" else "prefix"
    asked = {field: getattr(arguments, field)}
    if command == "key issue":
        asked |= {"label": arguments.label, "scopes": arguments.scopes or []}
        asked |= {"days": arguments.days}
    done = _perform(arguments, command, asked)
    line = done[what] if action == "issue" else f"{what} {done['revoked']} is revoked"
    return _print(arguments, done, [line])


def _rotate_key(arguments: argparse.Namespace) -> int:
    asked = {"prefix": arguments.prefix, "overlap_hours": arguments.overlap_hours}
    done = _perform(arguments, "key rotate", asked)
    return _print(arguments, done, [done["key"]])


def _vendor(arguments: argparse.Namespace) -> int:
    """A command about vendors that prints what it found, or what it did."""
    from letterbox.administration.shown import VENDOR_LINES

    command: str = arguments.command
    asked = {name: getattr(arguments, name) for name in arguments.takes}
    done = _perform(arguments, command, asked)
    return _print(arguments, done, VENDOR_LINES[command](done))


def _explain(arguments: argparse.Namespace) -> int:
    import base64

    from letterbox.administration.shown import explanation_lines

    if arguments.to is None:
        if arguments.what == _STANDARD_INPUT or Path(arguments.what).is_file():
            return _misused("explain: --to ADDRESS says whose wishes the mail is judged by")
        # A pasted address of a page ends with the reference.
        name = urlsplit(arguments.what.strip(" <>")).path.rstrip("/").rpartition("/")[2]
        done = _perform(
            arguments, "explain decision", {"decision": name, "language": arguments.language}
        )
    else:
        asked = {
            "message": base64.b64encode(_read(arguments.what)).decode(),
            "to": arguments.to,
            "from_domain": arguments.from_domain,
            "at": arguments.at.isoformat() if arguments.at else None,
            "language": arguments.language,
        }
        done = _perform(arguments, "explain", asked)
    return _print(arguments, done, explanation_lines(done))


def _export(arguments: argparse.Namespace) -> int:
    whole: dict[str, Any] = {"consumer": arguments.consumer}
    for section in _SECTIONS:
        after: str | None = None
        items: list[Any] = []
        while True:
            asked = {"consumer": arguments.consumer, "section": section, "after": after}
            page = _perform(arguments, "export", asked)
            after = page["after"]
            if section == "preferences":
                whole[section] = page["items"]
                break
            items += page["items"]
            whole[section] = items
            if after is None:
                break
    arguments.json = True
    return _print(arguments, whole, [])


def _import_taxonomy(arguments: argparse.Namespace) -> int:
    asked = {
        "files": [_file(name) for name in arguments.files],
        "corrections": _file(arguments.map) if arguments.map else None,
    }
    done = _perform(arguments, "taxonomy import", asked)
    lines = [
        f"read {done['read']:,} categories of {done['source']} {done['version']}".rstrip(),
        f"{done['exact']:6,} mapped exactly",
        f"{done['broader']:6,} mapped to a broader category",
        f"{done['unmapped']:6,} unmapped",
    ]
    return _print(arguments, done, lines)


def _foreign_taxonomy(arguments: argparse.Namespace) -> int:
    items: list[Any] = []
    page: int | None = 0
    while page is not None:
        asked = {"source": arguments.source, "page": page}
        done = _perform(arguments, "taxonomy foreign", asked)
        items += done["items"]
        page = done["after"]
    lines = [f"{item['ours'] or '-':40} {item['id']:10} {item['path']}" for item in items]
    return _print(
        arguments, {"items": items}, lines or [f"nothing was imported of {arguments.source}"]
    )


def _perform(
    arguments: argparse.Namespace, command: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    from letterbox.reach import perform

    return perform(_configuration(arguments), command, asked)


# ---- the server -------------------------------------------------------------------------------


def _serve(arguments: argparse.Namespace) -> int:
    import uvloop

    from letterbox import logs
    from letterbox.ready import ReadyFile

    configuration = _configuration(arguments)
    ready_file = ReadyFile(arguments.ready_file) if arguments.ready_file else None
    logs.configure(configuration.log, final=True)
    uvloop.run(_serving(configuration, ready_file))
    return _DONE


async def _serving(configuration: "Configuration", ready_file: "ReadyFile | None") -> None:
    from letterbox.app import App

    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    async with App.open(configuration) as app:
        # The store is ours now: what stands there is of a server that is gone.
        if ready_file:
            ready_file.remove()
        addresses = await app.start()
        try:
            if ready_file:
                ready_file.write(addresses)
            await asked_to_stop.wait()
        finally:
            if ready_file:
                ready_file.remove()
            await app.stop()


def _demo(arguments: argparse.Namespace) -> int:
    from letterbox.demo import play

    _configuration(arguments)
    return asyncio.run(play.run(once=arguments.once, json=arguments.json))


# ---- commands that need no store --------------------------------------------------------------


def _check_config(arguments: argparse.Namespace) -> int:
    import msgspec

    from letterbox.configuration import shipped, source

    if arguments.defaults:
        text = shipped("letterbox.toml").decode()
        return _print(arguments, {"defaults": text}, text.splitlines())
    configuration = _configuration(arguments)
    file = source(arguments.config, os.environ) or "the defaults"
    shown = {"ok": True, "file": file, "configuration": msgspec.to_builtins(configuration)}
    return _print(arguments, shown, [f"{file}: no mistakes"])


def _reasons(arguments: argparse.Namespace) -> int:
    import msgspec

    from letterbox.configuration import shipped
    from letterbox.model.reason import read_registry

    registry = read_registry(shipped("reasons.toml"))
    lines = [
        f"{reason.code:26} {reason.reply} {reason.enhanced:6} {reason.reason_class:8} "
        f"{'final  ' if reason.final else '       '}{reason.texts['en'].title}"
        for reason in registry.values()
    ]
    return _print(arguments, {"reasons": msgspec.to_builtins(list(registry.values()))}, lines)


def _taxonomy(arguments: argparse.Namespace) -> int:
    import msgspec

    from letterbox.configuration import shipped
    from letterbox.wishes import read_taxonomy

    nodes = list(read_taxonomy(shipped("taxonomy.toml")).nodes.values())
    lines = [
        f"{node.id:44} {node.en} / {node.nl}{' (sensitive)' if node.sensitive else ''}"
        for node in nodes
    ]
    return _print(arguments, {"nodes": msgspec.to_builtins(nodes)}, lines)


def _version(arguments: argparse.Namespace) -> int:
    number = _number()
    return _print(arguments, {"version": number}, [f"letterbox {number}"])


def _number() -> str:
    from importlib.metadata import version

    return version("letterbox")


class _Version(argparse.Action):
    """``--version``; the number is looked up only when it is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"letterbox {_number()}")
        parser.exit(_DONE)


# ---- in and out -------------------------------------------------------------------------------


def _configuration(arguments: argparse.Namespace) -> "Configuration":
    import msgspec

    from letterbox import logs
    from letterbox.configuration import load, stray_variables

    configuration = load(arguments.config, os.environ)
    if stray := stray_variables(os.environ):
        print(f"letterbox: these variables set nothing: {', '.join(stray)}", file=sys.stderr)
    level = "debug" if arguments.debug else "warning"
    logs.configure(msgspec.structs.replace(configuration.log, level=level))
    return configuration


def _file(name: str) -> dict[str, str]:
    """A file as a command takes it."""
    import base64

    return {"name": name, "content": base64.b64encode(_read(name)).decode()}


def _read(name: str) -> bytes:
    from letterbox.administration import Failed

    try:
        return sys.stdin.buffer.read() if name == _STANDARD_INPUT else Path(name).read_bytes()
    except OSError as error:
        raise Failed(f"{name} cannot be read: {error.strerror or error}") from error


def _print(arguments: argparse.Namespace, answer: Mapping[str, Any], lines: Sequence[str]) -> int:
    if arguments.json:
        import json

        print(json.dumps(answer, indent=2, ensure_ascii=False, default=str))
    else:
        for line in lines:
            print(line)
    sys.stdout.flush()
    return _DONE


def _misused(message: str) -> int:
    print(f"letterbox {message}", file=sys.stderr)
    return _MISUSED


def _failed(arguments: argparse.Namespace, error: Exception) -> int:
    """One line that says what to do; one more for each mistake where there are several."""
    from letterbox.administration import Failed
    from letterbox.configuration import ConfigurationError
    from letterbox.ports.store import StoreUnavailable

    message, mistakes = str(error), list(getattr(error, "mistakes", ()))
    if isinstance(error, ConfigurationError):
        mistakes = [f"{error.file}: {mistake}" for mistake in mistakes]
        message = "the configuration cannot be used"
    elif not isinstance(error, Failed | StoreUnavailable | OSError):
        message = f"our own fault: {type(error).__name__}: {message}; --debug shows where"
    if arguments.json:
        import json

        print(json.dumps({"error": {"message": message, "mistakes": mistakes}}, indent=2))
    if len(mistakes) == 1:
        message = f"{message}: {mistakes.pop()}"
    for line in (f"letterbox: {message}", *(f"  {mistake}" for mistake in mistakes)):
        print(line, file=sys.stderr)
    return _FAILED


if __name__ == "__main__":
    sys.exit(main())
