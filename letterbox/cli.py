"""The command line: parse, call, print.

Exit codes: 0 done, 1 refused or failed, 2 wrong use. With ``--json`` standard output is that
JSON alone; errors and logs go to standard error.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from letterbox.model.configuration import Configuration

_DONE, _FAILED = 0, 1
# A server that has taken its store and does not listen yet.
_STARTING_SECONDS = 3.0
_STEP_SECONDS = 0.1
_SECTIONS = ("preferences", "inbox", "held", "decisions")

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


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    for target, default in ((common, argparse.SUPPRESS), (top := _top(), None)):
        target.add_argument("--config", metavar="FILE", default=default, help="configuration file")
        off = default or False
        target.add_argument("--json", action="store_true", default=off, help="answer in JSON")
        target.add_argument("--debug", action="store_true", default=off, help="show our own faults")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Command, about: str, within: Any = commands) -> Any:
        parser = within.add_parser(name, help=about, description=about, parents=[common])
        parser.set_defaults(run=run)
        return parser

    serve = add("serve", _serve, "run the broker")
    serve.add_argument("--ready-file", type=Path, metavar="FILE", help="written when it is ready")
    demo = add("demo", _demo, "show the broker at work, with made-up vendors and consumers")
    demo.add_argument("--once", action="store_true", help="end when everything was shown")
    apply = add("apply", _apply, "make consumers and vendors what people files say")
    apply.add_argument("files", nargs="+", metavar="FILE")
    apply.add_argument("--dry-run", action="store_true", help="say what would change")
    apply.add_argument("--force", action="store_true", help="undo what consumers changed since")
    for what, owner in (("key", "VENDOR"), ("token", "CONSUMER")):
        group = commands.add_parser(what, help=f"issue and revoke {what}s").add_subparsers(
            metavar="issue|revoke", required=True
        )
        issue = add("issue", _credential, f"make a {what} and print it once", group)
        issue.add_argument("owner", metavar=owner)
        issue.set_defaults(command=f"{what} issue")
        revoke = add("revoke", _credential, f"revoke a {what}", group)
        revoke.add_argument("prefix", metavar="PREFIX")
        revoke.set_defaults(command=f"{what} revoke")
    explain = add("explain", _explain, "say what would happen to a mail and why, or what did")
    explain.add_argument("what", metavar="FILE.eml|DECISION")
    explain.add_argument("--to", metavar="ADDRESS", help="the recipient; with a mail")
    explain.add_argument("--from-domain", metavar="DOMAIN", help="take this sender as proven")
    explain.add_argument("--at", type=_instant, metavar="TIME", help="such as 2026-12-24T12:00Z")
    add("check-config", _check_config, "check the configuration")
    add("reasons", _reasons, "list every reason a message can be refused or held for")
    add("taxonomy", _taxonomy, "list the categories interests and offers speak in")
    export = add("export", _export, "print everything there is about a consumer, as JSON")
    export.add_argument("consumer", metavar="CONSUMER")
    add("version", _version, "print the version")
    return top


def _top() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="letterbox", description="A message broker between vendors and consumers."
    )


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
    import base64

    files = [
        {"name": name, "content": base64.b64encode(_read(name)).decode()}
        for name in arguments.files
    ]
    asked = {"files": files, "dry_run": arguments.dry_run, "force": arguments.force}
    done = _perform(arguments, "apply", asked)
    lines = done.pop("lines") or ["nothing to change"]
    return _print(arguments, done, lines + ["(dry run: nothing was changed)"] * arguments.dry_run)


def _credential(arguments: argparse.Namespace) -> int:
    command: str = arguments.command
    what, _, action = command.partition(" ")
    field = "owner" if action == "issue" else "prefix"
    done = _perform(arguments, command, {field: getattr(arguments, field)})
    line = done[what] if action == "issue" else f"{what} {done['revoked']} is revoked"
    return _print(arguments, done, [line])


def _explain(arguments: argparse.Namespace) -> int:
    import base64

    from letterbox.administration.shown import explanation_lines

    if arguments.to is None:
        if Path(arguments.what).is_file():
            return _misused("explain: --to ADDRESS says whose wishes the mail is judged by")
        done = _perform(arguments, "explain decision", {"decision": arguments.what})
    else:
        asked = {
            "message": base64.b64encode(_read(arguments.what)).decode(),
            "to": arguments.to,
            "from_domain": arguments.from_domain,
            "at": arguments.at.isoformat() if arguments.at else None,
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


def _perform(
    arguments: argparse.Namespace, command: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Have a running server do it; without one, open the store and do it here."""
    from letterbox.administration import Failed
    from letterbox.configuration import admin_socket
    from letterbox.gateways.admin import Unreachable, ask

    configuration = _configuration(arguments)
    path = admin_socket(configuration)
    deadline = time.monotonic() + _STARTING_SECONDS
    while True:
        if path is not None:
            try:
                return ask(path, command, asked)
            except Unreachable:
                pass
        if configuration.store.url.startswith("memory:"):
            raise Failed(
                "the store is memory: and no server answers, so that nothing would last; "
                "set store.url, or admin.socket where the server runs"
            )
        from letterbox.adapters.sqlite import StoreInUse

        try:
            return asyncio.run(_directly(configuration, command, asked))
        except StoreInUse as in_use:
            if time.monotonic() >= deadline:
                raise Failed(
                    f"{in_use}; or wait until it answers at its admin socket {path}"
                ) from in_use
        time.sleep(_STEP_SECONDS)


async def _directly(
    configuration: "Configuration", command: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    from letterbox.app import App

    async with App.open(configuration) as app:
        return await app.administration.perform(command, asked)


# ---- the server -------------------------------------------------------------------------------


def _serve(arguments: argparse.Namespace) -> int:
    import uvloop

    from letterbox import logs

    configuration = _configuration(arguments)
    logs.configure(configuration.log, final=True)
    if arguments.ready_file:
        arguments.ready_file.unlink(missing_ok=True)
    uvloop.run(_serving(configuration, arguments.ready_file))
    return _DONE


async def _serving(configuration: "Configuration", ready_file: Path | None) -> None:
    from letterbox.app import App

    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    async with App.open(configuration) as app:
        addresses = await app.start()
        try:
            if ready_file:
                _write_whole(ready_file, addresses)
            await asked_to_stop.wait()
        finally:
            await app.stop()


def _write_whole(file: Path, addresses: Mapping[str, str]) -> None:
    """Write so that nobody sees half of it."""
    import json

    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(json.dumps(addresses) + "\n")
    part.replace(file)


def _demo(arguments: argparse.Namespace) -> int:
    from letterbox.demo import play

    _configuration(arguments)
    return asyncio.run(play.run(once=arguments.once))


# ---- commands that need no store --------------------------------------------------------------


def _check_config(arguments: argparse.Namespace) -> int:
    import msgspec

    from letterbox.configuration import source

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
    from importlib.metadata import version

    number = version("letterbox")
    return _print(arguments, {"version": number}, [f"letterbox {number}"])


# ---- in and out -------------------------------------------------------------------------------


def _configuration(arguments: argparse.Namespace) -> "Configuration":
    import msgspec

    from letterbox import logs
    from letterbox.configuration import load

    configuration = load(arguments.config, os.environ)
    level = "debug" if arguments.debug else "warning"
    logs.configure(msgspec.structs.replace(configuration.log, level=level))
    return configuration


def _read(name: str) -> bytes:
    from letterbox.administration import Failed

    try:
        return Path(name).read_bytes()
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
    return 2


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
