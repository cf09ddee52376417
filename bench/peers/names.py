"""A name server in a process of its own, so that it shares no interpreter with the load.

python -m bench.peers.names HOST:PORT RECORDS READY
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers import daemon, until_ready
from letterbox.demo.dns import DnsServer, Records


class _Kept(DnsServer):
    """Makes each answer once: whoever asks again for each message meets a cache on a site, too."""

    def __init__(self, records: Records) -> None:
        super().__init__(records, ttl=3600)
        self._answers: dict[tuple[bytes, bool], bytes | None] = {}

    def respond(self, wire: bytes, *, udp: bool) -> bytes | None:
        """The kept answer to the same question, under the number of this one."""
        question = wire[2:], udp
        if question not in self._answers:
            answer = super().respond(wire, udp=udp)
            self._answers[question] = answer[2:] if answer else None
        rest = self._answers[question]
        return None if rest is None else wire[:2] + rest


@contextmanager
def naming(place: Path, records: Records, listen: str = "127.0.0.1:0") -> Iterator[str]:
    """Serve the records; the ``host:port`` that answers for them."""
    file, ready, log = (place / f"names.{end}" for end in ("json", "ready", "log"))
    file.write_text(json.dumps(records))
    command = [sys.executable, "-m", "bench.peers.names", listen, str(file), str(ready)]
    with daemon(command, log) as process:
        until_ready(process, log, ready.exists)
        yield ready.read_text()


async def _serve(listen: str, records: Path, ready: Path) -> None:
    host, _, port = listen.rpartition(":")
    server = _Kept(json.loads(records.read_text()))
    bound = await server.start(host, int(port))
    part = ready.with_suffix(".part")
    part.write_text(bound)
    part.rename(ready)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], *map(Path, sys.argv[2:])))
