"""A server that speaks as much S3 as bodies need: what is kept, a clock, and trouble on demand."""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from xml.sax.saxutils import escape

from aiohttp import web

from letterbox.adapters.objects import S3Objects

BUCKET = "bodies"
KEYS = {"AWS_ACCESS_KEY_ID": "key-of-the-tests", "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests"}


class ObjectServer:
    """Signatures are asked for and not checked; checksums are. ``now`` is its own clock."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, datetime]] = {}
        self.now = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
        self.url = ""
        #: Answered to everything while it is set.
        self.trouble: int | None = None
        #: How many calls are still to be answered so.
        self.troubles = 0
        self.calls: list[str] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    def age(self, **by: float) -> None:
        """Let its time pass."""
        self.now += timedelta(**by)

    async def up(self) -> None:
        """Listen, again at the same place."""
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{bucket}{key:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def down(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.calls.append(request.method)
        if not request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256"):
            return web.Response(status=403)
        if self.trouble is not None or self.troubles:
            self.troubles = max(self.troubles - 1, 0)
            return web.Response(status=self.trouble or 503, text=str(request.headers))
        if request.match_info["bucket"] != BUCKET:
            return web.Response(status=404)
        key = request.match_info["key"].removeprefix("/")
        if not key:
            return self._listing(request)
        if request.method == "PUT":
            return await self._put(request, key)
        if request.method == "DELETE":
            self.kept.pop(key, None)
            return web.Response(status=204)
        return self._get(key)

    async def _put(self, request: web.Request, key: str) -> web.Response:
        content = await request.read()
        said = request.headers["x-amz-checksum-sha256"]
        if base64.b64decode(said) != hashlib.sha256(content).digest():
            return web.Response(status=400)
        self.kept[key] = (content, self.now)
        return web.Response(headers={"ETag": '"1"'})

    def _get(self, key: str) -> web.Response:
        if key not in self.kept:
            return web.Response(status=404)
        content, at = self.kept[key]
        headers = {"ETag": '"1"', "Last-Modified": format_datetime(at, usegmt=True)}
        return web.Response(body=content, headers=headers)

    def _listing(self, request: web.Request) -> web.Response:
        after, prefix = request.query.get("start-after", ""), request.query.get("prefix", "")
        rows = [
            f"<Contents><Key>{escape(key)}</Key><LastModified>{at:%Y-%m-%dT%H:%M:%S.000Z}"
            f"</LastModified><Size>{len(content)}</Size><ETag>1</ETag></Contents>"
            for key, (content, at) in sorted(self.kept.items())
            if key > after and key.startswith(prefix)
        ]
        body = "".join(rows)
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{body}</ListBucketResult>"
        return web.Response(text=text, content_type="application/xml")

    def objects(self, *, prefix: str = "box", patience: float = 10.0) -> S3Objects:
        """What the broker speaks to it with."""
        return S3Objects(
            BUCKET, prefix=prefix, endpoint=self.url, region="us-east-1", patience=patience
        )


@asynccontextmanager
async def object_server() -> AsyncIterator[ObjectServer]:
    """A server that listens, with nothing in it."""
    server = ObjectServer()
    await server.up()
    try:
        yield server
    finally:
        await server.down()
