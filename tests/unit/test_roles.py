"""What a process of each role opens, and whether it works."""

import pytest

from letterbox.adapters.clock import SystemClock
from letterbox.adapters.memory import MemoryStore
from letterbox.app import App
from letterbox.model.configuration import (
    AdminSection,
    Configuration,
    FilterSection,
    HttpSection,
    ListenSection,
    SmtpSection,
    StoreSection,
    SubmissionSection,
)
from letterbox.model.role import Role
from letterbox.records import places
from tests.support.plain import shipment
from tests.support.signing import Zone

ANY = "127.0.0.1:0"
EVERYWHERE = Configuration(
    http=HttpSection(listen=ANY),
    smtp=SmtpSection(listen=ANY),
    lmtp=ListenSection(listen=ANY),
    submission=SubmissionSection(listen=ANY),
    filter=FilterSection(listen=ANY, next_hop="127.0.0.1:10026"),
    admin=AdminSection(listen=ANY),
    store=StoreSection(url="memory:"),
)
MAIL = {"smtp", "lmtp", "submission", "filter", "admin"}


@pytest.mark.parametrize(
    ("role", "doors", "works"),
    [
        (Role.ALL, MAIL | {"http"}, True),
        (Role.GATEWAY, MAIL, False),
        (Role.WEB, {"http", "admin"}, False),
        (Role.WORKER, {"admin"}, True),
        (Role.KEEPER, {"admin"}, True),
        (Role.SERVING, MAIL | {"http"}, False),
    ],
)
async def test_a_role_has_its_doors_and_its_work(role, doors, works):
    store = MemoryStore(SystemClock())
    app = App(
        EVERYWHERE,
        store=store,
        bodies=store,
        clock=SystemClock(),
        resolver=Zone({}),
        shipment=shipment(),
        role=role,
    )
    assert set(await app.start()) == doors
    # Who works sees to it first that the old is forgotten.
    assert bool(await store.claim(places.DIRECTORY, "sweep") is not None) is works
    await app.stop()
    await store.close()
