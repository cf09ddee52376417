"""The whole program with its bodies outside the store, which may be in trouble for a while."""

import asyncio
import json
import smtplib
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.house import mail
from tests.support.objects import KEYS, ObjectServer, object_server
from tests.support.processes import FREE_PORTS, Letterbox, ending

PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  domain = "greenleaf.example"
  scope = "everything"
  accepts = ["personal", "newsletter"]
"""


@pytest.fixture
def keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def send(letterbox: Letterbox, content: bytes) -> int:
    with smtplib.SMTP(*letterbox.address("smtp"), timeout=30) as client:
        client.ehlo()
        client.mail("bounces@greenleaf.example")
        client.rcpt("anna@letterbox.example")
        return client.data(content)[0]


def read(letterbox: Letterbox) -> set[bytes]:
    """What anna reads by the API: each message as it was received."""
    token = letterbox.ask("token", "issue", "anna")["token"]

    def get(path: str) -> bytes:
        url = f"http://{letterbox.addresses['http']}/v1/me/{path}"
        request = Request(url, headers={"Authorization": f"Bearer {token}"})
        with urlopen(request, timeout=30) as answer:
            return answer.read()

    items = json.loads(get("inbox"))["items"]
    return {get(f"inbox/{item['id']}/raw?original=1") for item in items}


@pytest.mark.parametrize("kind", ["dir", "s3"])
async def test_mail_comes_in_by_smtp_and_is_read_by_the_api_as_it_was(tmp_path, kind, keys):
    async with object_server() as server:
        place = Place(server, tmp_path / "shared", kind)
        # The program is waited for in a thread: the server of objects lives on this loop.
        await asyncio.to_thread(used_by_a_program, tmp_path, place)


class Place:
    """Where bodies are kept, which can be in trouble for a while."""

    def __init__(self, server: ObjectServer, folder: Path, kind: str) -> None:
        self._server = server
        self._folder = folder
        self._kind = kind
        folder.mkdir()
        self.section = f"[bodies]\nurl = 'dir:{folder}'\n"
        if kind == "s3":
            self.section = (
                f"[bodies]\nurl = 's3://bodies/box'\nendpoint = '{server.url}'\n"
                "region = 'us-east-1'\npatience = 1\n"
            )

    def breaks(self) -> None:
        self._server.trouble = 503
        self._folder.rename(self._folder.with_name("away"))

    def is_repaired(self) -> None:
        self._server.trouble = None
        self._folder.with_name("away").rename(self._folder)

    def contents(self) -> set[bytes]:
        if self._kind == "s3":
            return {content for content, _ in self._server.kept.values()}
        return {file.read_bytes() for file in self._folder.rglob("*.eml")}


def used_by_a_program(folder: Path, place: Place) -> None:
    small = mail("Small", number=1)
    large = mail("Large", number=2, text="See you on Sunday, then.\r\n" * 20_000)
    with ending(Letterbox(folder, f"{FREE_PORTS}\n{place.section}")) as letterbox:
        assert letterbox.apply(PEOPLE).returncode == 0
        letterbox.start()
        assert is_ready(letterbox)
        assert send(letterbox, small) == 250
        place.breaks()
        assert send(letterbox, large) == 451
        assert not is_ready(letterbox)
        place.is_repaired()
        assert send(letterbox, large) == 250
        assert is_ready(letterbox)
        letterbox.kill()
        letterbox.start()
        assert read(letterbox) == {small, large}
        assert place.contents() >= {small, large}
        assert letterbox.stop() == 0
        assert not any(secret in letterbox.log.read_text() for secret in KEYS.values())


def is_ready(letterbox: Letterbox) -> bool:
    try:
        with urlopen(f"http://{letterbox.addresses['http']}/readyz", timeout=30) as answer:
            return answer.status == 200
    except HTTPError as error:
        return error.code != 503
