"""URLs of Redis deployments of several servers."""

import pytest

from letterbox.adapters.redis.whole import name_of
from letterbox.model.redis_url import Deployment, parse


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "redis+cluster://redis-0:7000,redis-1",
            Deployment("cluster", tls=False, hosts=(("redis-0", 7000), ("redis-1", 6379))),
        ),
        (
            "rediss+cluster://u%40:p%2F,@[::1]:7000,192.0.2.7:7001/",
            Deployment(
                "cluster",
                tls=True,
                hosts=(("::1", 7000), ("192.0.2.7", 7001)),
                username="u@",
                password="p/,",
            ),
        ),
        (
            "redis+sentinel://:a@b:c@s-0,s-1:26380/my-mail/3",
            Deployment(
                "sentinel",
                tls=False,
                hosts=(("s-0", 26379), ("s-1", 26380)),
                password="a@b:c",
                name="my-mail",
                database=3,
            ),
        ),
        ("redis://h", None),
        ("redis+cluster:h", None),
        ("redis+cluster://", None),
        ("redis+cluster://h:65536", None),
        ("redis+cluster://[::1", None),
        ("redis+cluster://h/0", None),
        ("redis+cluster://h#x", None),
        ("redis+sentinel://h", None),
        ("redis+sentinel://h/", None),
        ("redis+sentinel://h/name/one", None),
    ],
)
def test_a_url_is_read_to_its_end_or_not_at_all(url, expected):
    assert parse(url) == expected


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://u:secret@h", "redis://h:6379/0"),
        ("rediss://:secret@[::1]:7000/3", "rediss://[::1]:7000/3"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis+cluster://u:secret@h-2:7000,h-1", "redis+cluster://h-1:6379,h-2:7000"),
        ("rediss+sentinel://:secret@s:1,[::1]/m/2", "rediss+sentinel://[::1]:26379,s:1/m/2"),
    ],
)
def test_a_store_is_named_without_its_secrets(url, name):
    assert name_of(url) == name
