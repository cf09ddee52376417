"""The limit of descriptors: raised as far as it may be, and said where it is too low."""

import resource

import pytest

from letterbox.descriptors import make_room
from letterbox.model.configuration import Configuration, HttpSection, SmtpSection

ENDLESS = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "sessions", "found", "warned"),
    [
        (1024, 65536, 100, 1024, False),  # enough as it is
        (1024, 65536, 4000, 6456, False),
        (1024, ENDLESS, 4000, 6456, False),
        (1024, 4096, 4000, 4096, True),
        (ENDLESS, ENDLESS, 4000, ENDLESS, False),
        (8192, 8192, 4000, 8192, False),
    ],
)
def test_it_is_raised_as_far_as_it_may(monkeypatch, capsys, soft, hard, sessions, found, warned):
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    http = HttpSection(max_connections=2000 if sessions == 4000 else 100)
    configuration = Configuration(smtp=SmtpSection(max_sessions=sessions), http=http)
    assert make_room(configuration) == found
    assert limits[-1] == (found, hard)
    assert ("few-descriptors" in capsys.readouterr().out) is warned
