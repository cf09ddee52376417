"""The admin socket, end to end over a real socket."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from letterbox.administration import Failed
from letterbox.gateways import admin
from letterbox.gateways.admin import AdminGateway, Unreachable, ask
from letterbox.unix import NotASocket, SocketInUse, bind_socket
from tests.support.house import open_house


class Echo:
    """Commands that tell what they were asked."""

    async def perform(self, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if command == "refuse":
            raise Failed("no", ["one", "two"])
        if command == "break":
            raise ZeroDivisionError("lbk_12345678_secret")
        return {"command": command, "arguments": dict(arguments)}


@asynccontextmanager
async def listening(path: Path, commands: Any = None) -> AsyncIterator[AdminGateway]:
    gateway = AdminGateway(commands or Echo())
    await gateway.start(bind_socket(path), path)
    try:
        yield gateway
    finally:
        await gateway.stop()


async def raw(path: Path, line: bytes) -> Any:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(line)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return json.loads(answer) if answer else None


async def test_a_command_reaches_the_server_and_its_answer_comes_back(tmp_path):
    path = tmp_path / "run" / "box.sock"
    async with listening(path):
        told = await asyncio.to_thread(ask, path, "say", {"name": "Zoë\n", "n": 1})
        assert told == {"command": "say", "arguments": {"name": "Zoë\n", "n": 1}}
        with pytest.raises(Failed) as raised:
            await asyncio.to_thread(ask, path, "refuse", {})
        assert (str(raised.value), raised.value.mistakes) == ("no", ("one", "two"))


async def test_a_fault_of_ours_is_told_without_its_inside(tmp_path):
    path = tmp_path / "box.sock"
    async with listening(path):
        with pytest.raises(Failed, match="the server failed at this; its log says how"):
            await asyncio.to_thread(ask, path, "break", {})
        assert (await asyncio.to_thread(ask, path, "still", {}))["command"] == "still"


async def test_the_real_commands_work_through_it(tmp_path):
    path = tmp_path / "box.sock"
    async with open_house() as house, listening(path, house.app.administration):
        files = [{"name": "p.toml", "content": "W1t2ZW5kb3JdXQppZD0nZycKbmFtZT0nRyc="}]
        done = await asyncio.to_thread(ask, path, "apply", {"files": files})
        assert done["lines"] == ["vendor g: created"]
        key = (await asyncio.to_thread(ask, path, "key issue", {"owner": "g"}))["key"]
        assert await house.app.credentials.owner("key", key, house.clock.now()) == "g"


async def test_the_log_says_what_was_done_and_how_much_of_it(tmp_path):
    path = tmp_path / "box.sock"
    files = [{"name": "p.toml", "content": "W1t2ZW5kb3JdXQppZD0nZycKbmFtZT0nRyc="}]
    async with open_house() as house, listening(path, house.app.administration):
        with capture_logs() as lines:
            for dry_run in (True, False):
                asked = {"files": files, "dry_run": dry_run}
                await asyncio.to_thread(ask, path, "apply", asked)
            key = (await asyncio.to_thread(ask, path, "key issue", {"owner": "g"}))["key"]
            with pytest.raises(Failed):
                await asyncio.to_thread(ask, path, "key issue", {"owner": "h"})
    told = [{k: v for k, v in line.items() if k not in {"event", "log_level"}} for line in lines]
    assert told == [
        {"command": "apply", "dry_run": True, "changes": 1, "kept": 0},
        {"command": "apply", "dry_run": False, "changes": 1, "kept": 0},
        {"command": "key issue", "vendor": "g", "prefix": key[:12]},
        {"command": "key issue", "refused": True, "mistakes": 0},
    ]


async def test_the_log_says_once_of_a_section_that_it_was_exported(tmp_path):
    path = tmp_path / "box.sock"
    asked = {"consumer": "operator", "section": "inbox"}
    async with open_house() as house, listening(path, house.app.administration):
        with capture_logs() as lines:
            for after in (None, "a"):
                await asyncio.to_thread(ask, path, "export", {**asked, "after": after})
    told = [(line["log_level"], line["consumer"], line["items"]) for line in lines]
    assert told == [("info", "operator", 0), ("debug", "operator", 0)]


async def test_it_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "run" / "box.sock"
    async with listening(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"hello\n", "not a request"),
        (b"[]\n", "not a request"),
        (b'{"command": 1}\n', "not a request"),
        (b'{"command": "a", "arguments": []}\n', "not a request"),
        (b'{"command": "a", "more": 1}\n', "not a request"),
        (b'{"command": "a", "arguments": ' + b'{"a":' * 5000 + b"\n", "not a request"),
        (b"\xff\n", "not a request"),
        (b"\n", "not a request"),
    ],
)
async def test_what_is_no_request_is_told_so(tmp_path, line, says):
    path = tmp_path / "box.sock"
    async with listening(path):
        answer = await raw(path, line)
        assert says in answer["error"]["message"]
        assert (await raw(path, b'{"command": "on"}\n'))["result"]["command"] == "on"


async def test_a_request_without_its_end_gets_no_answer(tmp_path):
    path = tmp_path / "box.sock"
    async with listening(path):
        assert await raw(path, b'{"command": "a"}') is None


async def test_a_request_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(admin, "MAX_LINE", 1000)
    path = tmp_path / "box.sock"
    async with listening(path):
        padding = "x" * (1000 - len('{"command": ""}\n'))
        whole = f'{{"command": "{padding}"}}\n'.encode()
        assert len(whole) == 1000
        assert "result" in await raw(path, whole)
        longer = await raw(path, whole.replace(b'x"', b"x" * 3000 + b'"'))
        assert longer["error"]["message"] == "a request has at most 1,000 octets"


async def test_a_socket_left_over_is_replaced(tmp_path):
    path = tmp_path / "box.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with pytest.raises(Unreachable, match="no server answers"):
        ask(path, "a", {})
    async with listening(path):
        assert (await raw(path, b'{"command": "a"}\n'))["result"]["command"] == "a"


async def test_a_server_that_answers_is_not_pushed_aside(tmp_path):
    path = tmp_path / "box.sock"
    async with listening(path):
        with pytest.raises(SocketInUse, match="another server answers"):
            bind_socket(path)
        assert (await raw(path, b'{"command": "a"}\n'))["result"]["command"] == "a"


async def test_what_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "box.sock"
    path.write_text("mine")
    with pytest.raises(NotASocket, match="is no socket"):
        bind_socket(path)
    assert path.read_text() == "mine"


async def test_a_deep_folder_does_not_hinder(tmp_path):
    path = tmp_path / ("d" * 100) / ("e" * 100) / "box.sock"
    async with listening(path):
        told = await asyncio.to_thread(ask, path, "deep", {})
        assert told["command"] == "deep"
    async with listening(path):
        assert path.exists()
    with pytest.raises(OSError, match="too long for a socket"):
        bind_socket(tmp_path / ("d" * 80) / ("f" * 120))


async def test_nothing_there_is_unreachable(tmp_path):
    with pytest.raises(Unreachable):
        ask(tmp_path / "no" / "box.sock", "a", {})


async def test_the_rights_of_other_files_stay_as_they_were(tmp_path):
    before = os.umask(0o022)
    os.umask(before)
    async with listening(tmp_path / "box.sock"):
        now = os.umask(before)
        assert now == before
