"""The command line: parse, call, print.

Exit codes: 0 done, 1 refused or failed, 2 wrong use. With ``--json`` standard output is that
JSON alone; errors and logs go to standard error.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from letterbox.usage import MISUSED, Command, parser

if TYPE_CHECKING:
    from letterbox.model.configuration import Configuration
    from letterbox.moving import Report

_DONE, _FAILED = 0, 1
_STANDARD_INPUT = "-"
#: Has a terminal begin its line anew.
_ANEW = "\r\033[K"
T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = parser(_COMMANDS).parse_args(argv)
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


def _sign_in(arguments: argparse.Namespace) -> int:
    asked = {"owner": arguments.owner, "side": arguments.side}
    done = _perform(arguments, "signin", asked)
    return _print(arguments, done, [done["url"]])


def _rotate_key(arguments: argparse.Namespace) -> int:
    asked = {"prefix": arguments.prefix, "overlap_hours": arguments.overlap_hours}
    done = _perform(arguments, "key rotate", asked)
    return _print(arguments, done, [done["key"]])


def _told(arguments: argparse.Namespace) -> int:
    """A command that prints what it found, or what it did."""
    from letterbox.administration.shown import LINES

    command: str = arguments.command
    asked = {name: getattr(arguments, name) for name in arguments.takes}
    done = _perform(arguments, command, asked)
    return _print(arguments, done, LINES[command](done))


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
    from letterbox.administration.export import SECTIONS
    from letterbox.reach import reaching

    whole: dict[str, Any] = {"consumer": arguments.consumer}
    with reaching(_configuration(arguments)) as ask:
        for section in SECTIONS:
            after: str | None = None
            items: list[Any] = []
            while True:
                asked = {"consumer": arguments.consumer, "section": section, "after": after}
                page = ask("export", asked)
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


def _erase(arguments: argparse.Namespace) -> int:
    name: str = arguments.consumer
    if sys.stdin.isatty() and not arguments.yes:
        print(f"All that is kept about {name} goes, for good. Type {name} to go on: ", end="")
        sys.stdout.flush()
        if sys.stdin.readline().strip() != name:
            return _misused("erase: nothing was done")
    done = _perform(arguments, "erase", {"consumer": name})
    lines = [f"{name} is being erased: nothing is taken any more; the rest goes within minutes"]
    return _print(arguments, done, lines)


def _old_mail(arguments: argparse.Namespace) -> int:
    from letterbox.collecting import run

    return _print(arguments, *run(arguments, _configuration(arguments)))


def _queue(arguments: argparse.Namespace) -> int:
    from letterbox.administration.queue import queue_lines

    items: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        done = _perform(arguments, "queue", {"after": after})
        items += done["items"]
        after = done["after"]
    return _print(arguments, {"items": items}, queue_lines(items))


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


def _migrate(arguments: argparse.Namespace) -> int:
    from letterbox.moving.shown import copied_lines
    from letterbox.transfer import migrate

    store = _configuration(arguments).store
    done = _moving(arguments, partial(migrate, store, arguments.source, arguments.target))
    return _print(arguments, _shown(done), copied_lines(done))


def _backup(arguments: argparse.Namespace) -> int:
    from letterbox.moving.shown import backup_lines
    from letterbox.transfer import write_backup

    store = _configuration(arguments).store
    done = _moving(arguments, partial(write_backup, store, arguments.file))
    shown = {"file": str(arguments.file), **_shown(done)}
    return _print(arguments, shown, backup_lines(done, str(arguments.file)))


def _restore(arguments: argparse.Namespace) -> int:
    from letterbox.moving.shown import restored_lines
    from letterbox.transfer import read_backup

    store = _configuration(arguments).store
    done = _moving(arguments, partial(read_backup, store, arguments.file))
    return _print(arguments, _shown(done), restored_lines(done))


def _shown(done: Any) -> dict[str, Any]:
    import msgspec

    shown: dict[str, Any] = msgspec.to_builtins(done)
    return shown


def _moving(
    arguments: argparse.Namespace, move: "Callable[[Report], Coroutine[Any, Any, T]]"
) -> "T":
    """Do it, and say on a terminal how far it is, in one line that is written over."""
    terminal = not arguments.json and sys.stderr.isatty()

    def report(what: str, rows: int) -> None:
        if terminal:
            print(f"{_ANEW}{what}: {rows:,} rows", end="", file=sys.stderr, flush=True)

    try:
        return asyncio.run(move(report))
    finally:
        if terminal:
            print(_ANEW, end="", file=sys.stderr, flush=True)


def _perform(
    arguments: argparse.Namespace, command: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    from letterbox.reach import perform

    return perform(_configuration(arguments), command, asked)


# ---- the server -------------------------------------------------------------------------------


def _serve(arguments: argparse.Namespace) -> int:
    from letterbox import serving
    from letterbox.model.role import Role

    if arguments.given is None:
        _configuration(arguments)
    serving.serve(
        serving.Service(
            config=arguments.config,
            role=Role(arguments.role),
            processes=arguments.processes,
            ready_file=arguments.ready_file,
            debug=arguments.debug,
        ),
        given=arguments.given,
    )
    return _DONE


def _demo(arguments: argparse.Namespace) -> int:
    from letterbox.demo import play

    _configuration(arguments)
    asked = {name: getattr(arguments, name) for name in ("once", "json", "store", "observe")}
    return asyncio.run(play.run(**asked))


# ---- commands that need no store --------------------------------------------------------------


def _check_config(arguments: argparse.Namespace) -> int:
    from letterbox.configuration import shipped, shown_of, source

    if arguments.defaults:
        text = shipped("letterbox.toml").decode()
        return _print(arguments, {"defaults": text}, text.splitlines())
    configuration = _configuration(arguments)
    file = source(arguments.config, os.environ) or "the defaults"
    shown = {"ok": True, "file": file, "configuration": shown_of(configuration)}
    return _print(arguments, shown, [f"{file}: no mistakes"])


def _reasons(arguments: argparse.Namespace) -> int:
    from letterbox.administration import listed

    return _print(arguments, *listed.reasons())


def _taxonomy(arguments: argparse.Namespace) -> int:
    from letterbox.administration import listed

    return _print(arguments, *listed.taxonomy())


def _trackers(arguments: argparse.Namespace) -> int:
    from letterbox.administration import tracker_lists, trackers

    if arguments.to:
        return _print(arguments, *tracker_lists.imported(arguments.files, arguments.to))
    return _print(arguments, *trackers.figures(arguments.files, _configuration(arguments)))


def _version(arguments: argparse.Namespace) -> int:
    from importlib.metadata import version

    number = version("letterbox")
    return _print(arguments, {"version": number}, [f"letterbox {number}"])


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
    return MISUSED


def _failed(arguments: argparse.Namespace, error: Exception) -> int:
    """One line that says what to do; one more for each mistake where there are several."""
    from letterbox.administration import Failed
    from letterbox.configuration import ConfigurationError
    from letterbox.ports.store import StoreUnavailable

    message, mistakes = str(error), list(getattr(error, "mistakes", ()))
    if isinstance(error, ConfigurationError):
        mistakes = [f"{error.file}: {mistake}" for mistake in mistakes]
        message = "the configuration cannot be used"
    elif isinstance(error, OSError) and error.filename and error.strerror:
        message = f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
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


_COMMANDS: Mapping[str, Command] = {
    "serve": _serve,
    "demo": _demo,
    "apply": _apply,
    "credential": _credential,
    "rotate": _rotate_key,
    "signin": _sign_in,
    "told": _told,
    "explain": _explain,
    "check-config": _check_config,
    "reasons": _reasons,
    "taxonomy": _taxonomy,
    "import": _import_taxonomy,
    "old-mail": _old_mail,
    "foreign": _foreign_taxonomy,
    "export": _export,
    "queue": _queue,
    "erase": _erase,
    "trackers": _trackers,
    "migrate": _migrate,
    "backup": _backup,
    "restore": _restore,
    "version": _version,
}

if __name__ == "__main__":
    sys.exit(main())
