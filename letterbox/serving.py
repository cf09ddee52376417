"""``letterbox serve``: one process, one of several, or the supervisor of several."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from letterbox import interpreter, logs
from letterbox.configuration import ConfigurationError, admin_socket, load_for, store_file
from letterbox.descriptors import make_room
from letterbox.doors import COMMANDS, Sockets, command_socket, share
from letterbox.gateways.listening import address_of
from letterbox.model.configuration import Configuration
from letterbox.model.role import Role
from letterbox.ready import ReadyFile
from letterbox.supervised import Given, Supervised
from letterbox.supervisor import Supervisor

#: So many seconds those inside may stay when a successor takes whoever comes.
_GRACE: Final = 5.0


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for on the command line. ``processes``: None for one without a supervisor."""

    config: str | None
    role: Role
    processes: int | None
    ready_file: Path | None
    debug: bool

    def configuration(self) -> Configuration:
        """The configuration as it is now. Raises ConfigurationError."""
        several = self.processes is not None
        return load_for(self.config, os.environ, role=self.role, several=several)

    def role_of(self, number: int, configuration: Configuration) -> Role:
        """What a process of several is there for: on an embedded store the first one keeps it."""
        if store_file(configuration) is None:
            return self.role
        return Role.SERVING if number else Role.KEEPER

    def command(self, given: str) -> list[str]:
        """The command line of a process that a supervisor starts."""
        # Modules of ours are not to be looked for where we happen to stand, unless ours are there.
        here = [] if sys.path[0] in {"", str(Path.cwd())} else ["-P"]
        config = ["--config", self.config] if self.config else []
        debug = ["--debug"] if self.debug else []
        return [
            *(sys.executable, *here, "-m", "letterbox.cli", "serve"),
            *("--role", self.role, "--given", given, *config, *debug),
        ]


def serve(service: Service, *, given: str | None) -> None:
    """Serve until asked to stop. ``given`` is what a supervisor has told this process."""
    configuration = service.configuration()
    if given is not None:
        supervised = _supervised(given)
        role = service.role_of(supervised.number, configuration)
        _serve_one(configuration, role, supervised=supervised)
        return
    ready_file = ReadyFile(service.ready_file) if service.ready_file else None
    if service.processes is None:
        _serve_one(configuration, service.role, ready_file=ready_file)
    else:
        _supervise(configuration, service, service.processes, ready_file)


# ---- one process ------------------------------------------------------------------------------


def _serve_one(
    configuration: Configuration,
    role: Role,
    *,
    ready_file: ReadyFile | None = None,
    supervised: Supervised | None = None,
) -> None:
    import uvloop

    of: dict[str, str | int] = {} if role is Role.ALL and supervised is None else {"role": role}
    if supervised is not None:
        of["process"] = supervised.number
    logs.configure(configuration.log, final=True, of=of)
    make_room(configuration)
    uvloop.run(_serving(configuration, role, ready_file, supervised))


async def _serving(
    configuration: Configuration,
    role: Role,
    ready_file: ReadyFile | None,
    supervised: Supervised | None,
) -> None:
    from letterbox.app import App

    asked_to_stop = asyncio.Event()
    grace = 0.0
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)

    def end(replaced: bool) -> None:  # noqa: FBT001 - what it is called with
        nonlocal grace
        grace = _GRACE if replaced and not asked_to_stop.is_set() else 0.0
        asked_to_stop.set()

    if supervised is not None:
        supervised.listen(end)
    async with App.open(configuration, role=role) as app:
        # The store is ours now: what stands there is of a server that is gone.
        if ready_file:
            ready_file.remove()
        addresses = await app.start(supervised.sockets if supervised else None)
        interpreter.settle()
        try:
            if ready_file:
                ready_file.write(addresses)
            if supervised:
                supervised.is_ready()
            await asked_to_stop.wait()
        finally:
            if ready_file:
                ready_file.remove()
            await app.stop(grace=grace)


def _supervised(given: str) -> Supervised:
    from letterbox.administration import Failed

    try:
        return Supervised(msgspec.json.decode(given, type=Given))
    except (msgspec.MsgspecError, OSError) as error:
        raise Failed("--given is for processes that letterbox itself starts") from error


# ---- several ----------------------------------------------------------------------------------


def _supervise(
    configuration: Configuration, service: Service, processes: int, ready_file: ReadyFile | None
) -> None:
    logs.configure(configuration.log, final=True, of={"role": service.role})
    file = store_file(configuration)
    if file is not None:
        processes += 1  # the one that keeps the store, and opens no door
    roles = [service.role_of(number, configuration) for number in range(processes)]
    shares: list[Sockets] = share(configuration, roles)
    path = admin_socket(configuration)
    if path is not None:
        commands = command_socket(path)
        # From now on another supervisor of the same store sees that somebody is there.
        commands.listen()
        shares[0] = {**shares[0], COMMANDS: [commands]}

    def unfit() -> str | None:
        try:
            anew = service.configuration()
        except ConfigurationError as error:
            return str(error)
        listened = service.role.doors(configuration), path
        if (service.role.doors(anew), admin_socket(anew)) != listened:
            return "where it listens has changed, which takes a stop and a start"
        if store_file(anew) != file:
            return "the store is another one, which takes a stop and a start"
        return None

    supervisor = Supervisor(
        shares,
        service.command,
        announce=lambda: ready_file.write(addresses) if ready_file else None,
        unfit=unfit,
        # Its successor cannot have the store before it has let it go.
        first_ends_first=file is not None,
    )
    addresses = _addresses(shares)
    if ready_file:
        ready_file.remove()  # the doors are ours now: it is of a server that is gone
    try:
        asyncio.run(supervisor.run())
    finally:
        if ready_file:
            ready_file.remove()
        if path is not None:
            path.unlink(missing_ok=True)


def _addresses(shares: Sequence[Sockets]) -> Mapping[str, str]:
    """Where all of them listen, by name; operators' doors of all but the first by number, too."""
    addresses: dict[str, str] = {}
    for number, mine in enumerate(shares):
        for name, sockets in mine.items():
            if name == "admin" and number:
                addresses[f"admin.{number}"] = address_of(sockets)
            elif name != COMMANDS:
                addresses.setdefault(name, address_of(sockets))
    return addresses
