"""Killed between what the mail server behind took and our own commit: nothing is lost."""

import asyncio
import smtplib
from pathlib import Path

from tests.support.behind import NextHopServer, next_hop
from tests.support.house import mail
from tests.support.processes import Letterbox, ending

ANNA = "anna@letterbox.example"
CONFIGURATION = """\
hostname = "letterbox.example"
[http]
listen = "127.0.0.1:0"
[smtp]
listen = ""
trusted_peers = [{{ address = "127.0.0.0/8", asserts = "from" }}]
[filter]
listen = "127.0.0.1:0"
next_hop = "{behind}"
[log]
format = "json"
"""
PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  domain = "greenleaf.example"
  scope = "everything"
  accepts = ["personal"]
"""


def send(letterbox: Letterbox, number: int) -> int:
    """How a message is answered; 0 where there is no answer."""
    try:
        with smtplib.SMTP(*letterbox.address("filter"), timeout=20) as client:
            client.sendmail("news@greenleaf.example", [ANNA], mail(number=number))
    except smtplib.SMTPServerDisconnected:
        return 0
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_code
    return 250


async def test_killed_once_it_was_taken_behind_us_it_is_twice_there_at_worst(tmp_path):
    async with next_hop() as behind:
        await asyncio.to_thread(killed_and_sent_again, tmp_path, behind, asyncio.get_running_loop())
        numbers = sorted(number_of(came.content) for came in behind.came)
    # The first one twice; those that were answered once each.
    assert numbers == [1, 1, 2]


def killed_and_sent_again(
    folder: Path, behind: NextHopServer, loop: asyncio.AbstractEventLoop
) -> None:
    with ending(Letterbox(folder, CONFIGURATION.format(behind=behind.address))) as letterbox:
        letterbox.start()
        assert letterbox.apply(PEOPLE).returncode == 0
        process = letterbox.process
        assert process is not None
        # It has been taken, and the answer to that is yet to be said.
        behind.at_end = process.kill
        assert send(letterbox, 1) == 0
        process.wait(20)
        loop.call_soon_threadsafe(setattr, behind, "at_end", lambda: None)
        letterbox.start()
        assert letterbox.ask("export", "anna")["inbox"] == []
        assert send(letterbox, 1) == 250
        assert send(letterbox, 2) == 250
        # What was answered has been written down, and is known again after the next cut.
        letterbox.kill()
        letterbox.start()
        assert send(letterbox, 1) == send(letterbox, 2) == 250
        exported = letterbox.ask("export", "anna")
    assert len(exported["inbox"]) == 2
    assert all(entry["handed"]["taken"] for entry in exported["inbox"])


def number_of(content: bytes) -> int:
    return int(content.partition(b"Message-ID: <")[2].partition(b"@")[0])
