"""The whole program on a Redis server, killed on either side."""

import json
import smtplib

import pytest
from redis.crc import key_slot

from letterbox.adapters.redis import keys
from tests.support.house import mail
from tests.support.processes import FREE_PORTS, Letterbox, ending
from tests.support.redis import RedisCluster, RedisServer

PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  domain = "greenleaf.example"
  scope = "everything"
  accepts = ["personal"]
"""


@pytest.fixture(params=["server", "cluster"])
def store(request, tmp_path):
    """The URL of a store, and the server that has the consumer."""
    folder = tmp_path / "redis"
    folder.mkdir()
    redis = RedisServer(folder) if request.param == "server" else RedisCluster(folder)
    try:
        redis.start()
        if isinstance(redis, RedisServer):
            yield redis.url, redis
        else:
            yield redis.url, redis.primary_of(key_slot(keys.documents("consumer/anna")))
    finally:
        redis.close()


def send(letterbox: Letterbox, number: int) -> tuple[int, bytes]:
    with smtplib.SMTP(*letterbox.address("smtp"), timeout=30) as client:
        client.ehlo()
        client.mail("bounces@greenleaf.example")
        client.rcpt("anna@letterbox.example")
        return client.data(mail(f"Number {number}", number=number))


def inbox(letterbox: Letterbox) -> list[str]:
    return sorted(entry["subject"] for entry in letterbox.ask("export", "anna")["inbox"])


def test_what_was_acknowledged_is_there_whoever_is_killed(tmp_path, store):
    url, server = store
    configuration = (
        f"{FREE_PORTS}\n[store]\nurl = '{url}'\npatience = 4\n"
        f"[admin]\nsocket = '{tmp_path}/admin.sock'\n"
    )
    with ending(Letterbox(tmp_path, configuration)) as letterbox:
        assert letterbox.apply(PEOPLE).returncode == 0
        letterbox.start()
        assert send(letterbox, 1)[0] == 250
        server.kill()
        assert send(letterbox, 2)[0] == 451
        server.start()
        assert send(letterbox, 3)[0] == 250
        letterbox.kill()
        letterbox.start()
        assert send(letterbox, 4)[0] == 250
        assert inbox(letterbox) == ["Number 1", "Number 3", "Number 4"]
        assert letterbox.stop() == 0
        assert inbox(letterbox) == ["Number 1", "Number 3", "Number 4"]


@pytest.mark.parametrize(
    ("begins", "place"),
    [
        ("redis://", "127.0.0.1:1/0"),
        ("redis+cluster://", "127.0.0.1:1,127.0.0.1:2"),
        ("redis+sentinel://", "127.0.0.1:1,127.0.0.1:2/letterbox"),
    ],
)
def test_the_password_of_a_store_is_shown_nowhere(tmp_path, begins, place):
    letterbox = Letterbox(
        tmp_path, f"[admin]\nsocket = 'sock'\n[store]\nurl = '{begins}a@b:geheim@{place}'\n"
    )
    shown = letterbox.run("check-config", "--json")
    url = json.loads(shown.stdout)["configuration"]["store"]["url"]
    assert url == f"{begins}***@{place}"
    failed = letterbox.run("export", "anna")
    assert failed.returncode != 0
    assert "does not answer" in failed.stderr
    assert "geheim" not in failed.stderr + failed.stdout + shown.stdout
