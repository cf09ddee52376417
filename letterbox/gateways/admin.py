"""The admin socket: how the command line reaches a running server.

A Unix socket, for its owner alone. One line of JSON asks, one line answers::

    {"command": "key issue", "arguments": {"owner": "greenleaf"}}
    {"result": {"key": "lbk_…"}}    or    {"error": {"message": "…", "mistakes": []}}
"""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from letterbox.administration import Failed
from letterbox.unix import NotASocket, reachable

#: People files of a large installation, and an export's page, with room to spare.
MAX_LINE = 64 << 20
_MAX_SESSIONS = 16
_IDLE_SECONDS = 60.0

_SAID = ("dry_run", "vendor", "consumer", "prefix", "revoked", "source", "version")
_COUNTED = ("changes", "kept", "items")

log = structlog.get_logger("letterbox.admin")


class _Commands(Protocol):
    async def perform(self, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]: ...


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the command line's."""

    command: str
    arguments: dict[str, Any] = {}


class AdminGateway:
    """Serves the administration on a Unix socket."""

    def __init__(self, administration: _Commands) -> None:
        self._administration = administration
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    async def start(self, listening: socket.socket, path: Path | None = None) -> None:
        """Listen on a bound socket; ``path`` is removed at the end, where it is ours to remove."""
        self._path = path
        try:
            self._server = await asyncio.start_unix_server(
                self._accept, sock=listening, limit=MAX_LINE
            )
        except BaseException:
            listening.close()
            raise

    async def stop(self) -> None:
        """Stop listening, let the commands under way end, and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        if self._sessions:
            _, late = await asyncio.wait(self._sessions, timeout=5)
            for session in late:
                session.cancel()
        self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = asyncio.current_task()
        if session is None or len(self._sessions) >= _MAX_SESSIONS:
            writer.close()
            return
        self._sessions.add(session)
        try:
            with suppress(ConnectionError, TimeoutError):
                await self._converse(reader, writer)
        finally:
            self._sessions.discard(session)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer: a command line asks again by connecting again."""
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return
        except asyncio.LimitOverrunError:
            answer: dict[str, Any] = _error(f"a request has at most {MAX_LINE:,} octets")
        else:
            answer = await self._answer(line)
        writer.write(msgspec.json.encode(answer) + b"\n")
        async with asyncio.timeout(_IDLE_SECONDS):
            await writer.drain()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.DecodeError, RecursionError) as error:
            return _error(f"not a request: {error}")
        command = request.command[:40]
        try:
            result = await self._administration.perform(request.command, request.arguments)
        except Failed as failed:
            log.info("admin", command=command, refused=True, mistakes=len(failed.mistakes))
            return _error(str(failed), failed.mistakes)
        except Exception:
            log.exception("admin-failed", command=command)
            return _error("the server failed at this; its log says how")
        # An export is asked for page by page, some hundred: the first of each section tells it.
        tell = log.debug if request.arguments.get("after") else log.info
        tell("admin", command=command, **_outline(result))
        return {"result": result}


def _outline(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the log may say of an answer: whose, whether for show, and how much; never the rest."""
    said = {name: result[name] for name in _SAID if isinstance(result.get(name), str | bool)}
    return said | {name: len(result[name]) for name in _COUNTED if name in result}


def _error(message: str, mistakes: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"error": {"message": message, "mistakes": list(mistakes)}}


# ---- the command line's side ------------------------------------------------------------------


class Unreachable(Exception):
    """No server answers at the socket."""


def ask(
    path: Path, command: str, arguments: Mapping[str, Any], *, seconds: float = 600.0
) -> dict[str, Any]:
    """Have a running server do a command. Blocks.

    Raises :class:`Unreachable` where none listens, :class:`Failed` where it says no.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            with reachable(path) as short:
                connection.connect(short)
        except (OSError, NotASocket) as error:
            raise Unreachable(f"no server answers at {path}: {error}") from error
        try:
            asked = Request(command=command, arguments=dict(arguments))
            connection.sendall(msgspec.json.encode(asked) + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        except OSError as error:
            raise Failed(f"the server at {path} went away: {error}; see its log") from error
    if not line.endswith(b"\n"):
        raise Failed(f"the server at {path} went away without an answer; see its log")
    answer: dict[str, Any] = msgspec.json.decode(line)
    if "error" in answer:
        raise Failed(answer["error"]["message"], answer["error"]["mistakes"])
    result: dict[str, Any] = answer["result"]
    return result
