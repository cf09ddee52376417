"""A real IMAP server (Dovecot) on loopback, with one mailbox that only TLS leads to."""

import imaplib
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from grp import getgrgid
from pathlib import Path

import msgspec

from tests.support.dovecot import listens, mail_place, running
from tests.support.ports import free_port
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
def imap_server() -> Iterator[ImapServer]:
    """One of its own."""
    with mail_place("imap") as (place, owner):
        chain = make_chain(place)
        port = free_port()
        text = _CONFIGURATION.format(
            place=place,
            chain=chain,
            user=owner.pw_name,
            group=getgrgid(owner.pw_gid).gr_name,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            password=PASSWORD,
            port=port,
        )
        with running(place, text, lambda: listens(port)):
            yield ImapServer(port, chain)
