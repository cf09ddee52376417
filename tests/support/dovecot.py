"""A real Dovecot on loopback, by the recipe that operators are given."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from grp import getgrgid
from pathlib import Path
from pwd import getpwnam, struct_passwd
from tempfile import TemporaryDirectory

import msgspec
import pytest

from tests.support.ports import free_port
from tests.support.programs import program

RECIPE = Path(__file__).parents[2] / "deploy" / "recipes" / "before-dovecot.conf"
_SECONDS = 20
#: What a test has otherwise than the recipe: its places, one user, a free port, and no TLS.
_MORE = """
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/log
listen = 127.0.0.1
ssl = no
first_valid_uid = {uid}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


class Dovecot(msgspec.Struct):
    """``lmtp`` is where it takes mail, ``imap`` the port where people read it."""

    lmtp: Path
    imap: int
    log: Path


@contextmanager
def dovecot(people: Mapping[str, str]) -> Iterator[Dovecot]:
    """One with mailboxes for ``people``, by name with their passwords."""
    with mail_place("imap", "lmtp") as (place, owner):
        group = getgrgid(owner.pw_gid).gr_name
        lines = [f"{name}:{{PLAIN}}{word}::::::\n" for name, word in people.items()]
        (place / "people").write_text("".join(lines))
        (place / "people").chmod(0o644)
        port = free_port()
        text = RECIPE.read_text()
        text = text.replace("/etc/dovecot/people", f"{place}/people")
        text = text.replace("/run/dovecot/letterbox", f"{place}/letterbox")
        text = text.replace("/var/vmail", f"{place}/mail")
        text = text.replace("=vmail gid=vmail", f"={owner.pw_name} gid={group}")
        text = text.replace("user = letterbox", "user = root")
        text = re.sub(r"(?m)^ssl.*\n", "", text)
        text += _MORE.format(place=place, uid=owner.pw_uid, port=port)
        found = Dovecot(place / "letterbox", port, place / "log")
        with running(place, text, lambda: found.lmtp.exists() and listens(port)):
            yield found


@contextmanager
def mail_place(*parts: str) -> Iterator[tuple[Path, struct_passwd]]:
    """A folder in which Dovecot reaches its mail, and whose the mail is.

    Not one of a test's own, which nobody else may enter: Dovecot drops its rights. Where it, or a
    part of it, is not installed the test fails; only root can run it.
    """
    for part in parts:
        program(f"/usr/lib/dovecot/{part}")
    if os.getuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("Dovecot changes users when it starts: run the tests as root")
        pytest.skip("Dovecot changes users when it starts: needs root")
    owner = getpwnam("mail")
    with TemporaryDirectory(prefix="letterbox-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        (place / "mail").mkdir()
        os.chown(place / "mail", owner.pw_uid, owner.pw_gid)
        yield place, owner


@contextmanager
def running(place: Path, text: str, ready: Callable[[], bool]) -> Iterator[None]:
    """A Dovecot that is configured so, from when it is ready; its log is ``place / "log"``."""
    config, log = place / "dovecot.conf", place / "log"
    config.write_text(text)
    process = subprocess.Popen(
        [program("dovecot"), "-F", "-c", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _SECONDS
        while not ready():
            said = log.read_text() if log.exists() else ""
            assert process.poll() is None, f"Dovecot did not start:\n{said}"
            assert time.monotonic() < deadline, f"Dovecot is not ready in time:\n{said}"
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(_SECONDS)


def listens(port: int) -> bool:
    """Whether somebody does on the loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
