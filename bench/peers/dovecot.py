"""Dovecot's LMTP server with the same Sieve rules, and no Postfix before it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers import Missing, Peer, Running, free_port, program, said_by
from bench.peers.classic import DOMAIN, INET, Site, dovecot
from bench.rules import USERS


@contextmanager
def _started(place: Path) -> Iterator[Running]:
    if os.getuid() != 0:
        raise Missing("Dovecot changes users when it starts: run the bench as root")
    site = Site(place=place, port=free_port())
    place.chmod(0o755)  # it drops its rights and must still reach what lies below
    with dovecot(site, INET.format(port=site.port)):
        yield Running(
            port=site.port,
            recipients=tuple(f"{user}@{DOMAIN}" for user in USERS),
            arrived=site.arrived,
            lmtp=True,
        )


def _versions() -> str:
    version = said_by(program("dovecot", "dovecot-lmtpd"), "--version").split()[0]
    return f"Dovecot {version} with Pigeonhole Sieve"


DOVECOT = Peer(name="Dovecot LMTP + Sieve", versions=_versions, start=_started, pace=450, runs=3)
