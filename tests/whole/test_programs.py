"""Programs that nobody here wrote deliver to a running server: swaks and Postfix's smtp-source."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from letterbox.demo.dns import DnsServer
from tests.support.house import mail
from tests.support.processes import FREE_PORTS, Letterbox, serving
from tests.support.programs import program
from tests.support.signing import Signer

SIGNER = Signer(domain="greenleaf.example")
PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  domain = "greenleaf.example"
  scope = "everything"
  accepts = ["personal", "newsletter"]
"""

_PROTOCOLS = {"smtp": "SMTP", "lmtp": "LMTP", "submission": "ESMTP"}


def swaks(letterbox: Letterbox, edge: str, content: bytes, folder: Path, *options: str) -> str:
    """Send with swaks; its transcript."""
    file = folder / "mail.eml"
    file.write_bytes(content.replace(b"\r\n", b"\n"))
    host, port = letterbox.address(edge)
    done = subprocess.run(
        [
            *(program("swaks"), "--server", host, "--port", str(port)),
            *("--protocol", _PROTOCOLS[edge], "--helo", "mail.elsewhere.example"),
            *("--from", "bounces@elsewhere.example", "--to", "anna@letterbox.example"),
            *("--data", f"@{file}", "--timeout", "20"),
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


async def test_swaks_delivers_what_is_signed_and_not_what_was_changed(tmp_path):
    names = DnsServer(SIGNER.records | {"elsewhere.example": {"TXT": ["v=spf1 -all"]}})
    resolver = await names.start()
    try:
        # The server and swaks are programs of their own; only the names are served from here.
        await asyncio.to_thread(signed_and_changed, tmp_path, resolver)
    finally:
        await names.close()


def signed_and_changed(folder: Path, resolver: str) -> None:
    content = SIGNER.sign(mail("Spring sale"))
    unlisted = FREE_PORTS.replace("trusted_peers", "# trusted_peers")
    with serving(folder, f'{unlisted}\n[dns]\nservers = ["{resolver}"]\n') as letterbox:
        assert letterbox.apply(PEOPLE).returncode == 0
        assert "250 2.0.0 delivered " in swaks(letterbox, "smtp", content, folder)
        changed = content.replace(b"Subject: Spring sale", b"Subject: Spring sald")
        transcript = swaks(letterbox, "smtp", changed, folder)
        assert "550 5.7.1 not-accepted: " in transcript
        assert "(dkim-failed)" in transcript
        # The same bytes over LMTP are a resend: the recorded answer, and no second copy.
        assert "250 2.0.0 delivered " in swaks(letterbox, "lmtp", content, folder)
        exported = letterbox.ask("export", "anna")
        assert [entry["subject"] for entry in exported["inbox"]] == ["Spring sale"]


def test_swaks_submits_as_a_vendor_with_its_key(tmp_path):
    people = (
        PEOPLE
        + """
[[vendor]]
id = "greenleaf"
name = "Greenleaf"
domains = ["greenleaf.example"]
"""
    )
    with serving(tmp_path, f'{FREE_PORTS}[submission]\nlisten = "127.0.0.1:0"\n') as letterbox:
        assert letterbox.apply(people).returncode == 0
        key = letterbox.ask("key", "issue", "greenleaf")["key"]
        options = ("--auth", "PLAIN", "--auth-user", "greenleaf", "--auth-password")
        told = swaks(letterbox, "submission", mail("By a tool"), tmp_path, *options, key)
        assert "235 2.7.0" in told
        assert "250 2.0.0 delivered " in told
        wrong = swaks(letterbox, "submission", mail("By a thief"), tmp_path, *options, "guess")
        assert "535 5.7.8" in wrong
        foreign = mail("As another", domain="voltshop.example")
        told = swaks(letterbox, "submission", foreign, tmp_path, *options, key)
        assert "550 5.7.1 author-not-yours" in told
        exported = letterbox.ask("export", "anna")
        assert [entry["subject"] for entry in exported["inbox"]] == ["By a tool"]


@pytest.mark.parametrize("edge", ["smtp", "lmtp"])
def test_smtp_source_delivers_as_a_trusted_peer(tmp_path, edge):
    with serving(tmp_path) as letterbox:
        assert letterbox.apply(PEOPLE).returncode == 0
        host, port = letterbox.address(edge)
        options = ["-L"] if edge == "lmtp" else []
        subprocess.run(
            [
                *(program("smtp-source"), *options, "-s", "5", "-m", "50", "-l", "20000"),
                *("-f", "news@greenleaf.example", "-t", "anna@letterbox.example"),
                f"{host}:{port}",
            ],
            timeout=60,
            check=True,
        )
        assert len(letterbox.ask("export", "anna")["inbox"]) == 50
