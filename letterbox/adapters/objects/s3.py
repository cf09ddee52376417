"""Objects in a bucket of storage that speaks S3.

Credentials come from the environment, as AWS's own clients take them. Neither they nor an answer
of the server's, which may repeat some of them, stand in an error.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from obstore.exceptions import BaseError
from obstore.store import S3Store

from letterbox.adapters.objects.names import name_of, path_of
from letterbox.ports.objects import Looked
from letterbox.ports.store import StoreUnavailable

if TYPE_CHECKING:  # the library has these for type checkers alone
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config

#: Of what can be repeated; all of what is called here can.
_MOST_RETRIES: Final = 3
#: Written to learn what time it is there.
_CLOCK: Final = "clock"


class S3Objects:
    """``prefix`` stands before every key, ``endpoint`` is empty for AWS, ``region`` for its own.

    ``patience``: seconds that a call may take, with all its attempts.
    """

    def __init__(
        self, bucket: str, *, prefix: str, endpoint: str, region: str, patience: float
    ) -> None:
        # The server refuses what has not arrived as it was sent. Not all know how to delete many.
        config: S3Config = {"checksum_algorithm": "SHA256", "disable_bulk_delete": True}
        if endpoint:
            config["endpoint"] = endpoint
        if region:
            config["region"] = region
        length = timedelta(seconds=patience)
        client: ClientConfig = {
            "allow_http": endpoint.startswith("http://"),
            "timeout": length,
            "connect_timeout": length,
        }
        retries: RetryConfig = {"max_retries": _MOST_RETRIES, "retry_timeout": length}
        self._patience = patience
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options=client,
            retry_config=retries,
        )

    async def write(self, name: str, content: bytes) -> None:
        """Keep an object: one call, and the server answers when it has it for good."""
        async with self._asking():
            await self._store.put_async(path_of(name), content, use_multipart=False)

    async def read(self, name: str) -> bytes | None:
        """The content; None where there is none of that name."""
        async with self._asking():
            try:
                got = await self._store.get_async(path_of(name))
                return bytes(await got.bytes_async())
            except FileNotFoundError:
                return None

    async def remove(self, name: str) -> None:
        """Forget an object; nothing where there is none."""
        async with self._asking():
            try:
                await self._store.delete_async(path_of(name))
            except FileNotFoundError:
                return

    async def older(self, age: timedelta, *, after: str, limit: int) -> Looked:
        """Look at ``limit`` objects in the order of their keys, and name those older."""
        async with self._asking():
            await self._store.put_async(_CLOCK, b"now", use_multipart=False)
            clock = await self._store.head_async(_CLOCK)
            listing = self._store.list(offset=after or None, chunk_size=limit)
            page: Sequence[ObjectMeta] = await anext(aiter(listing), [])
        old = clock["last_modified"] - age
        names = [name_of(each["path"]) for each in page if each["last_modified"] < old]
        more = len(page) >= limit
        return Looked(
            tuple(name for name in names if name is not None), page[-1]["path"] if more else ""
        )

    async def close(self) -> None:
        """Nothing to let go of: connections close when they are idle."""

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience):
                yield
        except TimeoutError as error:
            raise StoreUnavailable("the storage of bodies does not answer") from error
        except (BaseError, OSError) as error:
            # Its name says what happened; its text may be what the server wrote.
            kind = type(error).__name__
            raise StoreUnavailable(f"the storage of bodies failed ({kind})") from None
