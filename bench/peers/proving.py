"""Both systems with proof on: letterbox asks its resolver; Postfix has OpenDKIM and OpenDMARC.

Both refuse what they cannot prove. OpenDMARC asks only whom /etc/resolv.conf names, on port 53: it
runs in a mount namespace in which that file names a loopback server. It takes SPF from loopback as
passed without a question to anybody; letterbox asks.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path
from shutil import chown
from subprocess import run
from textwrap import dedent

import msgspec

from bench.peers import (
    PATIENCE,
    Missing,
    Peer,
    Running,
    classic,
    daemon,
    ours,
    program,
    until_ready,
)
from bench.peers.names import naming
from bench.rules import USERS
from letterbox.demo.dns import Records

#: Not 127.0.0.1 or 127.0.0.53, where a machine's own resolver listens.
_NAMES = "127.0.53.53"

_DNS = """
[dns]
servers = ["{server}"]
"""

_POSTFIX = "smtpd_milters = unix:{dkim}, unix:{dmarc}"

_OPENDKIM = """
    Mode v
    Background no
    Syslog no
    UserID opendkim
    UMask 000
    Socket local:{socket}
    AuthservID {domain}
    Nameservers {names}
    # The default signs what comes from loopback, where all of this load comes from.
    InternalHosts 192.0.2.1
"""

_OPENDMARC = """
    Background no
    Syslog no
    UserID opendmarc
    UMask 000
    Socket local:{socket}
    AuthservID {domain}
    TrustedAuthservIDs {domain}
    PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat
    RejectFailures yes
    SPFIgnoreResults yes
    SPFSelfValidate yes
    # The default looks at nothing that comes from loopback.
    IgnoreHosts {place}/ignored
"""


class Proving(msgspec.Struct, frozen=True):
    """A peer that refuses what it cannot prove.

    ``said``: what it found of the first message that it delivered; ``proofs`` must stand in that.
    """

    peer: Peer
    said: Callable[[Path], str]
    proofs: tuple[str, ...]


def ours_proving(records: Records, peer: Peer = ours.OURS, *more: str) -> Proving:
    """Letterbox with no peer that it trusts; ``more`` of its command line."""

    @contextmanager
    def started(place: Path) -> Iterator[Running]:
        with (
            naming(place, records) as server,
            ours.started(place, ours.PROVING + _DNS.format(server=server), *more) as running,
        ):
            yield running

    proving = msgspec.structs.replace(peer, start=started, pace=peer.pace // 2)
    return Proving(proving, _decided, ("proven by dkim",))


def several_proving(records: Records) -> Proving:
    """The same in several processes."""
    return ours_proving(records, ours.SEVERAL, *ours.TWO)


def _decided(place: Path) -> str:
    """Whom the only decision so far believed, and why."""
    (decision,) = json.loads(ours.letterbox(place, "export", USERS[0]))["decisions"]
    sender = decision["case"]["sender"]
    return f"{sender['type']} by {sender.get('how')}"


def classic_proving(records: Records) -> Proving:
    """Postfix with both milters, then Dovecot and Sieve as everywhere."""

    @contextmanager
    def started(place: Path) -> Iterator[Running]:
        before = _resolving(place)
        place.chmod(0o755)  # whoever has dropped rights must still reach what lies below
        with (
            naming(place, records, f"{_NAMES}:53"),
            _milter(place, "opendkim", _OPENDKIM, "-x") as dkim,
            _milter(place, "opendmarc", _OPENDMARC, "-c", before) as dmarc,
            classic.started(place, _POSTFIX.format(dkim=dkim, dmarc=dmarc)) as running,
        ):
            yield running

    peer = Peer(
        name="Postfix + OpenDKIM + OpenDMARC + Dovecot + Sieve",
        versions=_versions,
        start=started,
        pace=150,
        runs=3,
    )
    return Proving(peer, _delivered, ("dkim=pass", "dmarc=pass"))


def _delivered(place: Path) -> str:
    """What both milters wrote into the first message that was filed as wanted."""
    folder = place / "mail" / USERS[0] / classic.WANTED
    message = message_from_bytes(next(folder.iterdir()).read_bytes())
    return " ".join(message.get_all("Authentication-Results", []))


@contextmanager
def _milter(
    place: Path, name: str, template: str, option: str, before: Sequence[str] = ()
) -> Iterator[Path]:
    """One filter of its own, beside whatever the system runs; the socket it listens on."""
    binary = program(name, name)
    folder = place / name
    folder.mkdir()
    chown(folder, name, name)
    (place / "ignored").write_text("192.0.2.1\n")
    socket, config, log = folder / "socket", place / f"{name}.conf", place / f"{name}.log"
    text = dedent(template).format(place=place, socket=socket, domain=classic.DOMAIN, names=_NAMES)
    config.write_text(text)
    command = [*before, binary, "-f", option, str(config)]
    with daemon(command, log) as process:
        until_ready(process, log, socket.exists)
        yield socket


def _resolving(place: Path) -> list[str]:
    """What a command is preceded by to ask the bench's name server alone."""
    if os.getuid() != 0:
        raise Missing("another resolv.conf is mounted for OpenDMARC: run the bench as root")
    resolv = place / "resolv.conf"
    resolv.write_text(f"nameserver {_NAMES}\n")
    mounted = f'mount --bind "{resolv}" /etc/resolv.conf && exec "$@"'
    words = [program("unshare", "util-linux"), "--mount", "sh", "-c", mounted, "sh"]
    tried = run([*words, "true"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    if tried.returncode:
        raise Missing(f"no resolv.conf can be mounted for OpenDMARC: {tried.stderr.strip()}")
    return words


def _versions() -> str:
    milters = []
    for name in ("opendkim", "opendmarc"):
        # "opendkim: OpenDKIM Filter v2.11.0" is the first line, on standard error in some builds.
        done = run([program(name, name), "-V"], capture_output=True, text=True, check=False)
        words = (done.stdout + done.stderr).splitlines()[0].split()
        milters.append(f"{words[1]} {words[3].removeprefix('v')}")
    return ", ".join([*milters, classic.CLASSIC.versions()])
