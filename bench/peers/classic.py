"""Postfix, which hands over by LMTP to Dovecot, which runs Sieve: what most sites have.

Both run from a configuration of their own beside whatever is installed on the machine. They
keep their own defaults, fsync included, but for what an administrator would set for a loopback
relay under load; each such line says why.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from grp import getgrgid
from pathlib import Path
from pwd import getpwnam
from shutil import chown
from subprocess import CalledProcessError, run
from textwrap import dedent
from time import monotonic, sleep

import msgspec

from bench.peers import (
    PATIENCE,
    Missing,
    Peer,
    Running,
    daemon,
    free_port,
    greets,
    program,
    said_by,
    until_ready,
    wait_until,
)
from bench.rules import SIEVE, USERS

DOMAIN = "letterbox.example"
WANTED = ".wanted/new"  # where the rules file what they want, in Maildir++ spelling
DRAIN = 120.0  # seconds

_POSTFIX_MAIN = """
    compatibility_level = 3.6
    myhostname = {domain}
    mydestination =
    inet_interfaces = loopback-only
    inet_protocols = ipv4
    mynetworks = 127.0.0.0/8
    smtpd_relay_restrictions = permit_mynetworks, reject
    virtual_mailbox_domains = {domain}
    virtual_transport = lmtp:unix:{place}/dovecot/lmtp
    alias_maps =
    local_recipient_maps =
    queue_directory = {place}/queue
    data_directory = {place}/data
    maillog_file = {place}/postfix.log
    maillog_file_prefixes = {place}
    # The default slows the intake down to what is delivered: here both ends are measured.
    in_flow_delay = 0
    # Names of loopback peers say nothing and cost a lookup.
    smtpd_peername_lookup = no
    # Start delivering with as many connections as there are sessions.
    initial_destination_concurrency = 20
    {more}
"""

_POSTFIX_MASTER = """
    127.0.0.1:{port} inet n - n - - smtpd
    pickup unix n - n 60 1 pickup
    cleanup unix n - n - 0 cleanup
    qmgr unix n - n 300 1 qmgr
    rewrite unix - - n - - trivial-rewrite
    bounce unix - - n - 0 bounce
    defer unix - - n - 0 bounce
    trace unix - - n - 0 bounce
    verify unix - - n - 1 verify
    flush unix n - n 1000? 0 flush
    proxymap unix - - n - - proxymap
    smtp unix - - n - - smtp
    error unix - - n - - error
    retry unix - - n - - error
    discard unix - - n - - discard
    lmtp unix - - n - - lmtp
    anvil unix - - n - 1 anvil
    scache unix - - n - 1 scache
    postlog unix-dgram n - n - 1 postlogd
"""

#: Where Dovecot takes LMTP.
UNIX = "unix_listener lmtp {\n mode = 0666\n}"
INET = "inet_listener lmtp {{\n address = 127.0.0.1\n port = {port}\n}}"

_DOVECOT = """
    base_dir = {place}/dovecot
    state_dir = {place}/dovecot-state
    log_path = {place}/dovecot.log
    protocols = lmtp
    ssl = no
    auth_username_format = %Ln
    mail_location = maildir:{place}/mail/%Ln
    mail_fsync = optimized
    mail_uid = {user}
    mail_gid = {group}
    first_valid_uid = {uid}
    lda_mailbox_autocreate = yes
    # It will not start without one, though nobody can log in anywhere.
    passdb {{
      driver = static
      args = nopassword=y
    }}
    userdb {{
      driver = static
      args = uid={user} gid={group} home={place}/mail/%Ln allow_all_users=yes
    }}
    service lmtp {{
      # As many as there are connections, so that none is started under the load.
      process_min_avail = 10
      {lmtp}
    }}
    protocol lmtp {{
      mail_plugins = sieve
    }}
    plugin {{
      sieve = {place}/sieve/rules.sieve
      sieve_default = {place}/sieve/rules.sieve
    }}
"""


class Site(msgspec.Struct, frozen=True):
    """One installation below ``place``."""

    place: Path
    port: int

    def drained(self) -> None:
        """Wait until the queue is empty: then everything lies in a maildir.

        RuntimeError with Postfix's words where Dovecot would not take a message.
        """
        incoming, active, deferred = (
            self.place / "queue" / name for name in ("incoming", "active", "deferred")
        )
        end = monotonic() + DRAIN
        while _holds_files(incoming) or _holds_files(active):
            if monotonic() > end:
                raise TimeoutError(f"Postfix's queue is not empty after {DRAIN:.0f} s")
            sleep(0.01)
        if _holds_files(deferred):
            lines = (self.place / "postfix.log").read_text(errors="replace").splitlines()
            raise RuntimeError(next(line for line in lines if "status=deferred" in line))

    def arrived(self) -> int:
        """Messages that the rules have filed as wanted."""
        folders = (self.place / "mail" / user / WANTED for user in USERS)
        return sum(1 for folder in folders if folder.exists() for _ in folder.iterdir())


def _holds_files(queue: Path) -> bool:
    return any(files for _, _, files in os.walk(queue))


@contextmanager
def started(place: Path, more: str = "") -> Iterator[Running]:
    """Both of them; ``more``: a further line for Postfix's main.cf."""
    if os.getuid() != 0:
        raise Missing("Postfix and Dovecot change users when they start: run the bench as root")
    site = Site(place=place, port=free_port())
    # Both drop their rights and must still reach what lies below.
    place.chmod(0o755)
    with dovecot(site), _postfix(site, more):
        yield Running(
            port=site.port,
            recipients=tuple(f"{user}@{DOMAIN}" for user in USERS),
            arrived=site.arrived,
            drain=site.drained,
        )


@contextmanager
def dovecot(site: Site, lmtp: str = UNIX) -> Iterator[None]:
    """Dovecot of its own, taking LMTP there; ready when the block begins."""
    binary, log = program("dovecot", "dovecot-lmtpd"), site.place / "dovecot.out"
    compiler = program("sievec", "dovecot-sieve")
    owner = getpwnam("mail")
    for name in ("mail", "sieve"):
        folder = site.place / name
        folder.mkdir()
        chown(folder, owner.pw_uid, owner.pw_gid)
    config = site.place / "dovecot.conf"
    _write(
        config,
        _DOVECOT,
        place=site.place,
        user=owner.pw_name,
        group=getgrgid(owner.pw_gid).gr_name,
        uid=owner.pw_uid,
        lmtp=lmtp,
    )
    rules = site.place / "sieve" / "rules.sieve"
    rules.write_text(SIEVE)
    _quietly(compiler, "-c", str(config), str(rules))
    socket = site.place / "dovecot" / "lmtp"

    def listens() -> bool:
        return socket.exists() if lmtp == UNIX else greets(site.port)

    with daemon([binary, "-F", "-c", str(config)], log) as process:
        until_ready(process, log, listens)
        yield


@contextmanager
def _postfix(site: Site, more: str) -> Iterator[None]:
    binary = program("postfix", "postfix")
    config = site.place / "postfix"
    for folder in (config, site.place / "queue", site.place / "data"):
        folder.mkdir()
    chown(site.place / "data", "postfix")
    _write(config / "main.cf", _POSTFIX_MAIN, place=site.place, domain=DOMAIN, more=more)
    _write(config / "master.cf", _POSTFIX_MASTER, port=site.port)
    try:
        _quietly(binary, "-c", str(config), "start")
        wait_until(lambda: greets(site.port), "Postfix's greeting")
        yield
    finally:
        run([binary, "-c", str(config), "stop"], capture_output=True, timeout=PATIENCE, check=False)


def _write(file: Path, template: str, **values: object) -> None:
    file.write_text(dedent(template).format(**values))


def _quietly(*command: str) -> None:
    try:
        run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except CalledProcessError as error:
        raise RuntimeError(f"{command[0]}: {error.stdout}{error.stderr}") from error


def _versions() -> str:
    postfix = said_by(program("postconf", "postfix"), "-hd", "mail_version")
    dovecot = said_by(program("dovecot", "dovecot-lmtpd"), "--version")
    return f"Postfix {postfix}, Dovecot {dovecot.split()[0]} with Pigeonhole Sieve"


CLASSIC = Peer(
    name="Postfix + Dovecot + Sieve", versions=_versions, start=started, pace=350, runs=3
)
