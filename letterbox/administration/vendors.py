"""What the operator does about vendors and their keys."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import msgspec

from letterbox.administration.failed import Failed
from letterbox.administration.shape import nearest
from letterbox.administration.taking import Answer, Arguments, Command, Nothing, plain, taking
from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.sentences import safe
from letterbox.model.address import fold_domain
from letterbox.model.vendor import Because, Registered, Scope, Suspension
from letterbox.ports.clock import Clock
from letterbox.records.claims import Claims
from letterbox.records.credentials import PREFIX, Credentials
from letterbox.records.vendors import Vendors
from letterbox.registration import DomainProofs


class IssueKey(Arguments, frozen=True):
    """A key for a vendor. No ``scopes``: all; ``days``: it ends by itself after so many."""

    owner: str
    label: Annotated[str, msgspec.Meta(max_length=100)] = ""
    scopes: tuple[Scope, ...] = ()
    days: Annotated[int, msgspec.Meta(ge=1, le=3650)] | None = None


class Rotate(Arguments, frozen=True):
    """A key that serves on for some hours beside the one that replaces it."""

    prefix: str
    overlap_hours: Annotated[int, msgspec.Meta(ge=0, le=24 * 30)] = 24


class Owner(Arguments, frozen=True):
    """A vendor by its id."""

    vendor: str


class Drop(Arguments, frozen=True):
    """A domain that a vendor has proven, and is to have no more."""

    vendor: str
    domain: str


class Suspend(Arguments, frozen=True):
    """A vendor of which nothing is taken for now; ``because`` is told to it."""

    vendor: str
    because: Because = ""


class VendorCommands:
    """The commands over vendors, their domains and their keys."""

    def __init__(
        self,
        vendors: Vendors,
        credentials: Credentials,
        claims: Claims,
        proofs: DomainProofs,
        disclosure: Disclosure,
        clock: Clock,
    ) -> None:
        self._disclosure = disclosure
        self._proofs = proofs
        self._vendors = vendors
        self._credentials = credentials
        self._claims = claims
        self._clock = clock
        self.table: Mapping[str, Command] = {
            "key issue": taking(IssueKey, self._issue_key),
            "key rotate": taking(Rotate, self._rotate_key),
            "key list": taking(Owner, self._list_keys),
            "vendor list": taking(Nothing, self._list_vendors),
            "vendor show": taking(Owner, self._show_vendor),
            "vendor drop": taking(Drop, self._drop),
            "vendor suspend": taking(Suspend, self._suspend),
            "vendor resume": taking(Owner, self._resume),
        }

    async def _issue_key(self, asked: IssueKey) -> Answer:
        vendor = await self._vendor(asked.owner)
        key = await self._credentials.issue(
            "key",
            vendor.id,
            self._clock.now(),
            lasts=timedelta(days=asked.days) if asked.days else None,
            scopes=tuple(dict.fromkeys(asked.scopes)),
            label=asked.label,
        )
        return {"key": key, "prefix": key[:PREFIX], "vendor": vendor.id}

    async def _rotate_key(self, asked: Rotate) -> Answer:
        prefix = asked.prefix[:PREFIX]
        old = await self._credentials.find(prefix)
        overlap = timedelta(hours=asked.overlap_hours)
        key = None
        if old is not None and old.purpose == "key":
            key = await self._credentials.rotate(prefix, self._clock.now(), overlap=overlap)
        if old is None or key is None:
            raise Failed(
                f"there is no key {prefix} that is good now; letterbox key list names them"
            )
        return {"key": key, "prefix": key[:PREFIX], "vendor": old.owner, "replaces": prefix}

    async def _list_keys(self, asked: Owner) -> Answer:
        vendor = await self._vendor(asked.vendor)
        listed = await self._credentials.listed("key", vendor.id)
        items = [
            {
                "prefix": row.prefix,
                "label": row.label,
                "scopes": list(row.scopes),
                "issued": row.issued,
                "expires": row.expires,
                "used": used,
            }
            for row, used in listed
        ]
        return {"vendor": vendor.id, "items": plain(items)}

    # ---- vendors ----

    async def _vendor(self, name: str) -> Registered:
        vendor = await self._vendors.get(name)
        if vendor is None:
            raise Failed(
                f"there is no vendor {name!r}; letterbox apply makes one from a people file"
                + nearest(name, await self._vendors.all())
            )
        return vendor

    async def _list_vendors(self, _: Nothing) -> Answer:
        found = [await self._vendors.get(name) for name in await self._vendors.all()]
        return {"items": [_vendor_line(vendor) for vendor in found if vendor is not None]}

    async def _show_vendor(self, asked: Owner) -> Answer:
        vendor = await self._vendor(asked.vendor)
        claims = await self._claims.of(vendor.id)
        return _vendor_line(vendor) | {"claims": plain(claims)}

    async def _drop(self, asked: Drop) -> Answer:
        vendor = await self._vendor(asked.vendor)
        domain = fold_domain(asked.domain) or asked.domain
        if domain in vendor.given_domains:
            raise Failed(f"{domain} is in a people file; take it out there, and apply that")
        if not await self._proofs.give_up(vendor.id, domain):
            claimed = [claim.domain for claim in await self._claims.of(vendor.id)]
            raise Failed(f"vendor {vendor.id} has no domain {domain!r}" + nearest(domain, claimed))
        return {"vendor": vendor.id, "domain": domain}

    async def _suspend(self, asked: Suspend) -> Answer:
        vendor = await self._vendor(asked.vendor)
        because = safe(asked.because, 200)
        if vendor.suspended is not None and not because:
            because = vendor.suspended.because
        suspension = Suspension(at=self._clock.now(), because=because)
        reason = self._disclosure.suspended(suspension.why)
        await self._vendors.suspend(vendor.id, suspension, reason=reason)
        return {"vendor": vendor.id, "suspended": True, "because": suspension.because}

    async def _resume(self, asked: Owner) -> Answer:
        vendor = await self._vendor(asked.vendor)
        if vendor.suspended is None:
            raise Failed(f"vendor {vendor.id} is not suspended")
        await self._vendors.suspend(vendor.id, None)
        return {"vendor": vendor.id, "suspended": False}


def _vendor_line(vendor: Registered) -> Answer:
    """A vendor as the operator sees it in a list."""
    suspended = vendor.suspended
    return {
        "id": vendor.id,
        "name": vendor.name,
        "registered": vendor.registered,
        "at": plain(vendor.at),
        "domains": list(vendor.own_domains),
        "suspended": plain(suspended) if suspended else None,
    }
