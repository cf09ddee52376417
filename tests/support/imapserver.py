"""A real IMAP server (Dovecot) on loopback, with one mailbox that only TLS leads to."""

import imaplib
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from grp import getgrgid
from pathlib import Path
from pwd import getpwnam

import msgspec
import pytest

from tests.support.programs import program
from tests.support.tls import make_chain

USER, PASSWORD = "anna", "correct-horse"
_SECONDS = 20
_CONFIGURATION = """
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/log
listen = 127.0.0.1
protocols = imap
ssl = required
ssl_cert = <{chain}
ssl_key = <{chain}
disable_plaintext_auth = no
mail_location = maildir:{place}/mail
mail_uid = {user}
mail_gid = {group}
first_valid_uid = {uid}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={place}/mail
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
"""


class ImapServer(msgspec.Struct):
    """Where it is, and the certificates that it is known by."""

    port: int
    chain: Path

    def session(self) -> imaplib.IMAP4_SSL:
        """Somebody who has logged in."""
        context = ssl.create_default_context(cafile=str(self.chain))
        session = imaplib.IMAP4_SSL("127.0.0.1", self.port, ssl_context=context, timeout=_SECONDS)
        session.login(USER, PASSWORD)
        return session

    def put(self, mails: Iterable[bytes], folder: str = "INBOX") -> None:
        """Have mails arrive in a folder, which is made where it is not there."""
        with self.session() as session:
            session.create(folder)
            for mail in mails:
                done, _ = session.append(folder, "", "", mail.replace(b"\n", b"\r\n"))
                assert done == "OK"


@contextmanager
def imap_server(place: Path) -> Iterator[ImapServer]:
    """One of its own, below ``place``."""
    binary = program("dovecot")
    program("/usr/lib/dovecot/imap")
    if os.getuid() != 0:
        pytest.skip("Dovecot changes users when it starts: needs root")
    owner = getpwnam("mail")
    for above in (place, *place.parents):
        mode = above.stat().st_mode
        if mode & 0o011 != 0o011:  # it drops its rights, and must still reach what lies below
            above.chmod(mode | 0o011)
    (place / "mail").mkdir()
    os.chown(place / "mail", owner.pw_uid, owner.pw_gid)
    chain = make_chain(place)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = place / "dovecot.conf"
    config.write_text(
        _CONFIGURATION.format(
            place=place,
            chain=chain,
            user=owner.pw_name,
            group=getgrgid(owner.pw_gid).gr_name,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            password=PASSWORD,
            port=port,
        )
    )
    process = subprocess.Popen(
        [binary, "-F", "-c", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_ready(place / "log", port, process)
        yield ImapServer(port, chain)
    finally:
        process.terminate()
        process.wait(_SECONDS)


def _until_ready(log: Path, port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        said = log.read_text() if log.exists() else ""
        assert process.poll() is None, f"Dovecot did not start:\n{said}"
        assert time.monotonic() < deadline, f"Dovecot is not ready in time:\n{said}"
        time.sleep(0.02)
