"""Reaching the administration: through a running server, else by opening the store here."""

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from letterbox.administration import Failed
from letterbox.configuration import admin_socket, store_file
from letterbox.gateways.admin import Unreachable, ask
from letterbox.model.configuration import Configuration
from letterbox.model.role import Role

# A server that has taken its store and does not listen yet.
_STARTING_SECONDS = 3.0
_STEP_SECONDS = 0.1


def perform(configuration: Configuration, command: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Have a running server do a command; without one, open the store and do it here. Blocks.

    Raises :class:`Failed`, and StoreUnavailable where the store cannot be opened.
    """
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
        from letterbox.ports.store import StoreInUse

        try:
            return asyncio.run(
                _directly(_with_a_store(configuration, command, asked), command, asked)
            )
        except StoreInUse as in_use:
            if path is None or time.monotonic() >= deadline:
                wait = f"; or wait until it answers at its admin socket {path}" if path else ""
                raise Failed(f"{in_use}{wait}") from in_use
        time.sleep(_STEP_SECONDS)


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


async def _directly(
    configuration: Configuration, command: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    from letterbox.app import App

    async with App.open(configuration, role=Role.COMMAND) as app:
        return await app.administration.perform(command, asked)
