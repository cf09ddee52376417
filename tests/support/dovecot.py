"""A real Dovecot on loopback, by the recipe that operators are given."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from grp import getgrgid
from pathlib import Path
from pwd import getpwnam
from tempfile import gettempdir

import msgspec
import pytest

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
def dovecot(place: Path, people: Mapping[str, str]) -> Iterator[Dovecot]:
    """One with mailboxes for ``people``, by name with their passwords."""
    binary = program("dovecot")
    for part in ("imap", "lmtp"):
        program(f"/usr/lib/dovecot/{part}")
    if os.getuid() != 0:
        pytest.skip("Dovecot changes users when it starts: needs root")
    owner = getpwnam("mail")
    group = getgrgid(owner.pw_gid).gr_name
    place.mkdir(mode=0o755)
    # Its users must get through; beside other tests it lies one folder deeper.
    for above in (place, *place.parents):
        if above != Path(gettempdir()) and above.is_relative_to(gettempdir()):
            above.chmod(above.stat().st_mode | 0o011)
    (place / "mail").mkdir()
    os.chown(place / "mail", owner.pw_uid, owner.pw_gid)
    lines = [f"{name}:{{PLAIN}}{word}::::::\n" for name, word in people.items()]
    (place / "people").write_text("".join(lines))
    (place / "people").chmod(0o644)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = RECIPE.read_text()
    text = text.replace("/etc/dovecot/people", f"{place}/people")
    text = text.replace("/run/dovecot/letterbox", f"{place}/letterbox")
    text = text.replace("/var/vmail", f"{place}/mail")
    text = text.replace("=vmail gid=vmail", f"={owner.pw_name} gid={group}")
    text = text.replace("user = letterbox", "user = root")
    text = re.sub(r"(?m)^ssl.*\n", "", text)
    text += _MORE.format(place=place, uid=owner.pw_uid, port=port)
    config, log = place / "dovecot.conf", place / "log"
    config.write_text(text)
    found = Dovecot(place / "letterbox", port, log)
    process = subprocess.Popen(
        [binary, "-F", "-c", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_ready(found, process)
        yield found
    finally:
        process.terminate()
        process.wait(_SECONDS)


def _until_ready(found: Dovecot, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _SECONDS
    while not (found.lmtp.exists() and _listens(found.imap)):
        said = found.log.read_text() if found.log.exists() else ""
        assert process.poll() is None, f"Dovecot did not start:\n{said}"
        assert time.monotonic() < deadline, f"Dovecot is not ready in time:\n{said}"
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
