"""The server within the bench's own process, where its stack and its answers can be looked at."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.mails import AUTHOR
from bench.rules import PEOPLE


@asynccontextmanager
async def inside(place: Path, text: str) -> AsyncIterator[int]:
    """Serve by a configuration, to the people whose wishes are the rules; the port of SMTP."""
    from letterbox import interpreter
    from letterbox.app import App
    from letterbox.configuration import load
    from letterbox.logs import configure

    config = place / "letterbox.toml"
    config.write_text(text)
    configuration = load(str(config), {})
    with (place / "serve.log").open("w") as log:
        configure(configuration.log, stream=log, final=True)
        async with App.open(configuration) as app:
            people = base64.b64encode(PEOPLE.format(vendor=AUTHOR.rpartition("@")[2]).encode())
            files = [{"name": "people.toml", "content": people.decode()}]
            await app.administration.perform("apply", {"files": files})
            addresses = await app.start()
            interpreter.settle()
            try:
                yield int(addresses["smtp"].rpartition(":")[2])
            finally:
                await app.stop()
