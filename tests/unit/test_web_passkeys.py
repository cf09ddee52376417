"""Passkeys that are none, challenges that serve once, and those of others."""

import hashlib
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


def client_data(said: str) -> str:
    data = urlsafe_b64encode(said.encode()).decode()
    return json.dumps({"id": "AAAA", "response": {"clientDataJSON": data}})


@pytest.mark.parametrize(
    "given",
    [
        *("", "{", "[]", "{}", '{"id": 1, "response": {"clientDataJSON": "?"}}', "x" * 30_000),
        *('{"id":' + "[" * 18_000, client_data("[" * 9_000)),
    ],
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


#: A device that says what it is in the right place, and gives no key that could be one.
SHAPELESS = {
    "no key": b"\xa0",
    "no curve": b"\xa2\x01\x02\x03\x26",
}


@pytest.mark.parametrize("key", SHAPELESS)
async def test_a_key_that_is_none_is_not_taken(key):
    device = hashlib.sha256(b"127.0.0.1").digest() + b"\x45" + bytes(20) + b"\x00\x01a"
    data = device + SHAPELESS[key]
    attested = b"\xa3cfmtdnonegattStmt\xa0hauthDataX" + bytes([len(data)]) + data
    async with open_pages() as pages:
        anna = await pages.visitor("anna")
        options = json.loads((await anna.post("/settings/passkeys/options")).text)
        given = json.loads(answer(options["challenge"], "webauthn.create"))
        given["response"]["attestationObject"] = urlsafe_b64encode(attested).decode().rstrip("=")
        said = {"type": "webauthn.create", "challenge": options["challenge"]}
        said["origin"] = f"http://{pages.address}"
        coded = urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
        given["response"]["clientDataJSON"] = coded
        page = await anna.post("/settings/passkeys", answer=json.dumps(given))
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
