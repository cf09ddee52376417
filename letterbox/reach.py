"""Reaching the administration: through a running server, else by opening the store here."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from letterbox.administration import Failed
from letterbox.configuration import admin_socket, store_file
from letterbox.gateways.admin import Unreachable, ask
from letterbox.model.configuration import Configuration
from letterbox.model.role import Role
from letterbox.ports.store import StoreInUse

if TYPE_CHECKING:
    from letterbox.app import App

#: Has a command done, with what it is asked.
Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]

# A server that has taken its store and does not listen yet.
_STARTING_SECONDS = 3.0
_STEP_SECONDS = 0.1


def perform(configuration: Configuration, command: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Have a running server do a command; without one, open the store and do it here. Blocks.

    Raises :class:`Failed`, and StoreUnavailable where the store cannot be opened.
    """
    with reaching(configuration) as ask_it:
        return ask_it(command, asked)


@contextmanager
def reaching(configuration: Configuration) -> Iterator[Ask]:
    """What does as :func:`perform` does, several times: where a store is opened, it is once."""
    with asyncio.Runner() as runner:
        reach = _Reach(configuration, runner)
        try:
            yield reach.ask
        finally:
            runner.run(reach.close())


class _Reach:
    """A running server, or the store opened here when none has answered."""

    def __init__(self, configuration: Configuration, runner: asyncio.Runner) -> None:
        self._configuration = configuration
        self._runner = runner
        self._opened = AsyncExitStack()
        self._app: App | None = None

    def ask(self, command: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Have a command done."""
        path = admin_socket(self._configuration)
        deadline = time.monotonic() + _STARTING_SECONDS
        while self._app is None:
            if path is not None:
                try:
                    return ask(path, command, asked)
                except Unreachable:
                    pass
            if self._configuration.store.url.startswith("memory:"):
                raise Failed(
                    "the store is memory: and no server answers, so that nothing would last; "
                    "set store.url, or admin.socket where the server runs"
                )
            try:
                self._open(_with_a_store(self._configuration, command, asked))
            except StoreInUse as in_use:
                if path is None or time.monotonic() >= deadline:
                    wait = f"; or wait until it answers at its admin socket {path}" if path else ""
                    raise Failed(f"{in_use}{wait}") from in_use
                time.sleep(_STEP_SECONDS)
        return self._runner.run(self._app.administration.perform(command, asked))

    def _open(self, configuration: Configuration) -> None:
        from letterbox.app import App

        opening = self._opened.enter_async_context(App.open(configuration, role=Role.COMMAND))
        self._app = self._runner.run(opening)

    async def close(self) -> None:
        """Let the store go, where it was opened."""
        await self._opened.aclose()


def _with_a_store(
    configuration: Configuration, command: str, asked: Mapping[str, Any]
) -> Configuration:
    """The configuration to work with: only what has something to keep makes a store."""
    file = store_file(configuration)
    if file is None or file.exists() or (command == "apply" and not asked["dry_run"]):
        return configuration
    if command != "apply":
        raise Failed(
            f"there is no store at {file}; is this the right directory? "
            "(letterbox serve and letterbox apply make one)"
        )
    print(f"letterbox: there is no store at {file}; as if it were empty:", file=sys.stderr)  # noqa: T201 - a word to whoever asked
    memory = msgspec.structs.replace(configuration.store, url="memory:")
    return msgspec.structs.replace(configuration, store=memory)
