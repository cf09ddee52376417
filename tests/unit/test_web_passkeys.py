"""Passkeys that are none, challenges that serve once, and those of others."""

import json
from base64 import urlsafe_b64encode

import pytest

from letterbox.ports.store import Commit, Put
from letterbox.records import places
from letterbox.records.coding import encode
from letterbox.records.passkeys import Passkey, _Passkeys
from tests.unit.test_web_settings import open_pages


def answer(challenge: str, kind: str = "webauthn.get") -> str:
    """What a browser would say whose device signs with nothing."""
    said = json.dumps({"type": kind, "challenge": challenge, "origin": "http://127.0.0.1"})
    return json.dumps(
        {
            "id": "AAAA",
            "rawId": "AAAA",
            "type": "public-key",
            "response": {
                "clientDataJSON": urlsafe_b64encode(said.encode()).decode().rstrip("="),
                "authenticatorData": "AAAA",
                "signature": "AAAA",
                "attestationObject": "AAAA",
            },
        }
    )


@pytest.mark.parametrize(
    "given", ["", "{", "[]", "{}", '{"id": 1, "response": {"clientDataJSON": "?"}}', "x" * 30_000]
)
async def test_what_is_no_answer_signs_nobody_in(given):
    async with open_pages() as pages:
        anna = await pages.visitor("anna")
        assert (await anna.post("/settings/passkeys", answer=given)).status == 422
        nobody = pages.stranger()
        assert (await nobody.post("/signin/passkey", page="/signin", answer=given)).status == 422


async def test_an_answer_that_is_signed_by_nobody_is_none():
    async with open_pages() as pages:
        anna = await pages.visitor("anna")
        options = json.loads((await anna.post("/settings/passkeys/options")).text)
        assert options["user"]["name"] == "anna"
        given = answer(options["challenge"], "webauthn.create")
        assert (await anna.post("/settings/passkeys", answer=given)).status == 422
        nobody = pages.stranger()
        options = json.loads((await nobody.post("/signin/passkey/options", page="/signin")).text)
        given = answer(options["challenge"])
        for _ in range(2):
            page = await nobody.post("/signin/passkey", page="/signin", answer=given)
            assert page.status == 422


async def test_passkeys_of_others_are_not_there():
    async with open_pages() as pages:
        house = pages.house
        passkey = Passkey("0" * 32, b"c", b"k", 0, at=house.clock.now(), name="Ben's")
        put = Put(places.PASSKEYS, encode(_Passkeys(b"h", (passkey,))))
        await house.app.store.commit(Commit(places.consumer("ben"), (put,)))
        anna, ben = await pages.visitor("anna"), await pages.visitor("ben")
        for path in (
            f"/settings/passkeys/{passkey.id}/name",
            f"/settings/passkeys/{passkey.id}/remove",
        ):
            assert (await anna.post(path, name="mine")).status == 404
            assert (await pages.stranger().post(path, name="mine")).where == "/signin"
        assert "Ben's" in (await ben.get("/settings")).text
        path = f"/settings/passkeys/{passkey.id}/name"
        assert (await ben.post(path, name="<i>")).status == 303
        assert (await ben.post(f"/settings/passkeys/{passkey.id}/remove")).status == 303
