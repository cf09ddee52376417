"""The HTTP API against a handler of aiohttp's that does nothing; batches of offers, durable."""

import asyncio
import json
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from subprocess import run
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from aiohttp import web

from bench.load import cpu_of
from bench.peers import PATIENCE, Running, daemon, free_port, program, until_ready
from bench.peers.ours import letterbox, serving

RUNS: Final = 5
SECONDS: Final = 4
CONNECTIONS: Final = 10
LINES: Final = 10_000
_OFFER: Final = {
    "to": ["anna@letterbox.example"],
    "kind": "offer",
    "subject": "Pruners for spring",
    "text": "The good ones, sharp and light, for small hands and large gardens. " * 26,
    "offer": {
        "categories": ["home-garden/garden-tools"],
        "price": {"amount": "149.95", "currency": "EUR"},
    },
}
_PEOPLE: Final = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  [[consumer.interest]]
  id = "garden"
  categories = ["home-garden/garden-tools"]
"""


def table() -> str:
    """What single posts and batches reach. Raises Missing without wrk."""
    with TemporaryDirectory(prefix="letterbox-bench-") as place:
        return _table(Path(place))


def _table(place: Path) -> str:
    body = json.dumps(_OFFER)
    with serving(place) as server:
        (place / "people.toml").write_text(_PEOPLE)
        letterbox(place, "apply", str(place / "people.toml"))
        key = json.loads(letterbox(place, "key", "issue", "greenleaf", "--json"))["key"]
        script = _script(place, body, key)
        with _empty(place) as empty:
            none = [_wrk(script, f"http://127.0.0.1:{empty.port}/") for _ in range(RUNS)]
        url = f"http://{server.http}/v1/messages"
        ours = [_wrk(script, url) for _ in range(RUNS)]
        batches, cpu = [], []
        for _ in range(RUNS):
            before = cpu_of(server.process)
            batches.append(_batch(server.http, key, body))
            cpu.append((cpu_of(server.process) - before) / LINES)
    rows = [
        ("an empty handler of aiohttp's", none),
        ("POST /v1/messages", ours),
        (f"POST /v1/messages/batch, {LINES:,} lines", batches),
    ]
    lines = ["| a second | median | from | to | of empty |", "| --- | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {median(rates):,.0f} | {min(rates):,.0f} | {max(rates):,.0f}"
        f" | {median(rates) / median(none):.2f} |"
        for name, rates in rows
    ]
    more = f"Of a batch a line takes {median(cpu) * 1e6:,.0f} us of CPU."
    return "\n".join(lines) + f"\n\n{more}"


def _script(place: Path, body: str, key: str) -> Path:
    """What wrk sends: the same offer each time, and each time a new message."""
    script = place / "post.lua"
    script.write_text(
        'wrk.method = "POST"\n'
        f"wrk.body = [==[{body}]==]\n"
        'wrk.headers["Content-Type"] = "application/json"\n'
        f'wrk.headers["Authorization"] = "Bearer {key}"\n'
    )
    return script


def _wrk(script: Path, url: str) -> float:
    command = [program("wrk", "wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "-s", str(script)]
    done = run([*command, url], capture_output=True, text=True, check=True, timeout=PATIENCE * 2)
    if "Non-2xx" in done.stdout:
        raise RuntimeError(f"wrk was refused: {done.stdout}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk said {done.stdout}")
    return float(found[1])


def _batch(address: str, key: str, body: str) -> float:
    """One whole batch from a blocking client: lines a second until the last answer."""
    content = (body + "\n").encode() * LINES
    head = (
        "POST /v1/messages/batch HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/x-ndjson\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    host, _, port = address.rpartition(":")
    start = perf_counter()
    with socket.create_connection((host, int(port)), timeout=PATIENCE * 4) as link:
        link.sendall(head.encode() + content)
        heard = b"".join(iter(lambda: link.recv(1 << 16), b""))
    seconds = perf_counter() - start
    delivered = heard.count(b'"verdict":"deliver"')
    if delivered != LINES:
        raise RuntimeError(f"of {LINES} lines {delivered} were delivered: {heard[-500:]!r}")
    return LINES / seconds


@contextmanager
def _empty(place: Path) -> Iterator[Running]:
    port, log = free_port(), place / "empty.log"
    with daemon([sys.executable, "-m", "bench.http", str(port)], log) as process:
        until_ready(process, log, lambda: _listens(port))
        yield Running(port=port, recipients=())


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def _nothing(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response({"id": "0", "results": []})


async def _serve(port: int) -> None:
    app = web.Application()
    app.router.add_post("/", _nothing)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        import uvloop

        uvloop.run(_serve(int(sys.argv[1])))
    sys.stdout.write(f"{table()}\n")
