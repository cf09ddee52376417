"""A real Dovecot receives by LMTP, by the recipe; the standard library's client reads the inbox."""

import asyncio
import email
import email.policy
import imaplib
from email.message import EmailMessage
from pathlib import Path

import pytest

from letterbox.configuration import load
from letterbox.model.configuration import Configuration, OnwardSection
from tests.support.dovecot import RECIPE, Dovecot, dovecot
from tests.support.house import mail, open_house, signed

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
onward = [{ to = "mailbox" }]
  [[consumer.interest]]
  id = "pruners"
  keywords = { any = ["pruner"] }
  [[consumer.vendor]]
  vendor = "greenleaf"
  accepts = ["service", "offer"]

[[consumer]]
id = "carl"
addresses = ["carl@letterbox.example"]
onward = [{ to = "mailbox" }]
  [[consumer.vendor]]
  vendor = "greenleaf"
"""
ANNA, WORD = "anna@letterbox.example", "geheim"


def read(server: Dovecot) -> list[EmailMessage]:
    """What anna finds in her inbox."""
    with imaplib.IMAP4("127.0.0.1", server.imap) as client:
        client.login(ANNA, WORD)
        client.select("INBOX", readonly=True)
        _, (numbers,) = client.search(None, "ALL")
        found = [client.fetch(number.decode(), "(RFC822)")[1][0] for number in numbers.split()]
    return [email.message_from_bytes(raw, policy=email.policy.default) for _, raw in found]


@pytest.fixture(scope="module")
def server():
    with dovecot({ANNA: WORD}) as server:
        yield server


async def test_a_mail_app_reads_the_filtered_inbox(server: Dovecot) -> None:
    configuration = Configuration(
        public_url="https://letterbox.example",
        onward=OnwardSection(lmtp=f"unix:{server.lmtp}"),
    )
    async with open_house(PEOPLE, configuration=configuration) as house:
        kinds = {"Pruners for spring": "offer", "Shoes": "offer", "Your order": "service"}
        for number, (subject, kind) in enumerate(kinds.items()):
            text = "A pruner for €20.\r\n" if "Pruner" in subject else "Nothing more.\r\n"
            content = mail(subject, number=number, text=text, Letterbox_Kind=kind)
            await house.send(signed(content), ANNA)
        await house.work()
        page = await house.app.mailboxes.inbox("anna", after=None, limit=9)
        states = [each.onward.state for each in page.items]
        assert states == ["done", "done"], server.log.read_text()
        # One that Dovecot does not know stays here, and says why.
        await house.send(signed(content), "carl@letterbox.example")
        await house.work()
        (entry, _) = sorted(
            (await house.app.mailboxes.inbox("carl", after=None, limit=9)).items,
            key=lambda each: each.is_ours,
        )
        assert entry.onward.why == "refused"
        assert entry.onward.detail.startswith("550 5.1.1")
    found = await asyncio.to_thread(read, server)
    assert sorted(message["Subject"] for message in found) == ["Pruners for spring", "Your order"]
    for message in found:
        assert message["From"] == "Shop <shop@greenleaf.example>"
        assert message["Return-Path"].startswith("<SRS0=")
        assert "dkim=pass" in message["Authentication-Results"]


def test_letterboxs_side_of_the_recipe_is_sound() -> None:
    path = RECIPE.with_name("before-dovecot.letterbox.toml")
    configuration = load(str(path), {})
    socket = Path(configuration.onward.lmtp.removeprefix("unix:"))
    assert f"unix_listener {socket}" in RECIPE.read_text()
