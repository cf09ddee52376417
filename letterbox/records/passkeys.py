"""Passkeys (WebAuthn): what somebody's devices sign in with. Only public keys are kept."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
import webauthn
from webauthn.helpers import base64url_to_bytes, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from letterbox.ports.clock import Clock
from letterbox.ports.store import Claim, Commit, Delete, Done, Put, Store
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.sessions import Owner

#: Of one owner.
MOST: Final = 20
_LASTS: Final = timedelta(minutes=5)
_LONGEST: Final = 20_000
#: What is raised for what no browser would have sent: not all of it has a name of its own.
_WRONG: Final = (WebAuthnException, KeyError, TypeError, ValueError)


class Site(NamedTuple):
    """Whom a passkey is for: our host name, and the origin of our pages."""

    host: str
    origin: str


class Passkey(msgspec.Struct, frozen=True):
    """One passkey. ``count`` is how often its device says it was used; 0 where it does not."""

    id: str
    credential: bytes
    key: bytes
    count: int
    at: datetime
    name: str = ""
    used: datetime | None = None


class _Passkeys(msgspec.Struct, frozen=True):
    handle: bytes = b""
    passkeys: tuple[Passkey, ...] = ()


class _Whose(msgspec.Struct, frozen=True):
    side: str
    owner: str


class Passkeys:
    """Passkeys over the store. A challenge serves once, for five minutes."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def listed(self, owner: Owner) -> tuple[Passkey, ...]:
        """An owner's passkeys, the oldest first."""
        return (await self._read(owner))[1].passkeys

    # ---- registering ----

    async def invite(self, owner: Owner, site: Site) -> str:
        """What a browser is given to make a passkey with (JSON)."""
        _, row = await self._read(owner)
        options = webauthn.generate_registration_options(
            rp_id=site.host,
            rp_name="letterbox",
            user_name=owner.id,
            # It names nobody: whose a passkey is, we look up by the passkey.
            user_id=row.handle or None,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(p.credential) for p in row.passkeys],
        )
        await self._begin(options.challenge)
        if not row.handle:
            await self._change(owner, lambda rows: rows, handle=options.user.id)
        return webauthn.options_to_json(options)

    async def register(self, owner: Owner, site: Site, answer: str, name: str) -> bool:
        """Take a passkey that a browser has made; false where anything is wrong with it."""
        challenge = await self._challenged(answer)
        if challenge is None or len(await self.listed(owner)) >= MOST:
            return False
        try:
            made = webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=site.host,
                expected_origin=site.origin,
                require_user_verification=True,
            )
        except _WRONG:
            return False
        passkey = Passkey(
            id=_id(made.credential_id),
            credential=made.credential_id,
            key=made.credential_public_key,
            count=made.sign_count,
            at=self._clock.now(),
            name=name,
        )
        whose = Put(places.OWNER, encode(_Whose(owner.side, owner.id)), expect=0)
        (result,) = await self._store.commit(Commit(places.passkey(passkey.id), (whose,)))
        if not isinstance(result, Done):
            return False
        await self._change(owner, lambda rows: (*rows, passkey))
        return True

    async def rename(self, owner: Owner, passkey: str, name: str) -> bool:
        """Call one of an owner's passkeys something else; false where there is none of that id."""
        return await self._replace(
            owner, passkey, lambda row: msgspec.structs.replace(row, name=name)
        )

    async def remove(self, owner: Owner, passkey: str) -> bool:
        """Forget one of an owner's passkeys; false where there is none of that id."""
        if all(row.id != passkey for row in await self.listed(owner)):
            return False
        await self._change(owner, lambda rows: tuple(row for row in rows if row.id != passkey))
        await self._store.commit(Commit(places.passkey(passkey), (Delete(places.OWNER),)))
        return True

    # ---- signing in ----

    async def ask(self, site: Site) -> str:
        """What a browser is given to show a passkey with (JSON), whoever's it is."""
        options = webauthn.generate_authentication_options(
            rp_id=site.host, user_verification=UserVerificationRequirement.REQUIRED
        )
        await self._begin(options.challenge)
        return webauthn.options_to_json(options)

    async def shown(self, site: Site, answer: str) -> Owner | None:
        """Whose passkey was shown; None where anything is wrong with it."""
        challenge = await self._challenged(answer)
        found = await self._whose(answer)
        if challenge is None or found is None:
            return None
        owner, passkey = found
        try:
            verified = webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=site.host,
                expected_origin=site.origin,
                credential_public_key=passkey.key,
                credential_current_sign_count=passkey.count,
                require_user_verification=True,
            )
        except _WRONG:
            return None
        now, count = self._clock.now(), verified.new_sign_count
        there = await self._replace(
            owner, passkey.id, lambda row: msgspec.structs.replace(row, used=now, count=count)
        )
        return owner if there else None

    async def _whose(self, answer: str) -> tuple[Owner, Passkey] | None:
        try:
            credential = base64url_to_bytes(str(_parsed(answer)["id"]))
        except (KeyError, ValueError):
            return None
        document = await self._store.get(places.passkey(_id(credential)), places.OWNER)
        if document is None:
            return None
        whose = decode(document.value, _Whose)
        owner = Owner("vendor" if whose.side == "vendor" else "consumer", whose.owner)
        row = next((p for p in await self.listed(owner) if p.credential == credential), None)
        return (owner, row) if row is not None else None

    # ---- challenges ----

    async def _begin(self, challenge: bytes) -> None:
        claim = Claim(places.CHALLENGE, b"", expires=self._clock.now() + _LASTS)
        await self._store.commit(Commit(places.challenge(challenge), (claim,)))

    async def _challenged(self, answer: str) -> bytes | None:
        """The challenge that an answer is to, if it was ours and nobody has answered it yet."""
        try:
            said = base64url_to_bytes(str(_parsed(answer)["response"]["clientDataJSON"]))
            challenge = parse_client_data_json(said).challenge
        except (RecursionError, *_WRONG):
            return None
        partition = places.challenge(challenge)
        if await self._store.claim(partition, places.CHALLENGE) is None:
            return None
        used = Claim(places.CHALLENGE_USED, b"", expires=self._clock.now() + _LASTS)
        (result,) = await self._store.commit(Commit(partition, (used,)))
        return challenge if isinstance(result, Done) else None

    # ---- the document ----

    async def _read(self, owner: Owner) -> tuple[int, _Passkeys]:
        document = await self._store.get(owner.partition, places.PASSKEYS)
        if document is None:
            return 0, _Passkeys()
        return document.revision, decode(document.value, _Passkeys)

    async def _replace(
        self, owner: Owner, passkey: str, change: Callable[[Passkey], Passkey]
    ) -> bool:
        if all(row.id != passkey for row in await self.listed(owner)):
            return False
        await self._change(
            owner, lambda rows: tuple(change(r) if r.id == passkey else r for r in rows)
        )
        return True

    async def _change(
        self,
        owner: Owner,
        change: Callable[[tuple[Passkey, ...]], tuple[Passkey, ...]],
        *,
        handle: bytes = b"",
    ) -> None:
        while True:
            revision, row = await self._read(owner)
            after = _Passkeys(row.handle or handle, change(row.passkeys))
            put = Put(places.PASSKEYS, encode(after), expect=revision)
            (result,) = await self._store.commit(Commit(owner.partition, (put,)))
            if isinstance(result, Done):
                return


def _id(credential: bytes) -> str:
    return hashlib.sha256(credential).hexdigest()[:32]


def _parsed(answer: str) -> dict[str, Any]:
    if len(answer) > _LONGEST:
        raise ValueError("longer than any")
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except RecursionError:
        raise ValueError("deeper than any") from None
