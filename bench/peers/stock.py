"""Stock aiosmtpd that throws everything away: the engine before it is subclassed."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from bench.peers import Peer, Running, daemon, free_port, greets, until_ready


class _Discard:
    async def handle_DATA(self, *_: Any) -> str:  # noqa: N802 - aiosmtpd's name for it
        return "250 2.0.0 gone"


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(_Discard()), "127.0.0.1", port)
    await server.serve_forever()


@contextmanager
def _started(place: Path) -> Iterator[Running]:
    port, log = free_port(), place / "stock.log"
    with daemon([sys.executable, "-m", "bench.peers.stock", str(port)], log) as process:
        until_ready(process, log, lambda: greets(port))
        yield Running(port=port, recipients=("anna@letterbox.example",))


STOCK = Peer(
    name="aiosmtpd, discarding",
    versions=lambda: f"aiosmtpd {version('aiosmtpd')}",
    start=_started,
    pace=1_500,
)

if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
