"""Proving that a domain is a vendor's: by a TXT record, looked up again from time to time."""

from datetime import timedelta
from typing import Literal, NamedTuple

import msgspec
import structlog

from letterbox.identity.domains import Domains
from letterbox.model.address import fold_domain, is_below
from letterbox.model.configuration import Configuration
from letterbox.model.told import Event, EventType
from letterbox.model.vendor import DomainClaim
from letterbox.ports.clock import Clock
from letterbox.ports.resolver import Answer, Resolver, ResolverTrouble
from letterbox.ports.store import Claim, Commit, Emit, Operation, Schedule, Store, Unschedule
from letterbox.records import claims, places
from letterbox.records.claims import Claims
from letterbox.records.coding import encode
from letterbox.records.feed import Owed
from letterbox.records.names import new_id
from letterbox.records.vendors import MOST_LABELS, DomainTaken, Holder, Vendors

#: Beside the domain's own records, so that it may be delegated, and under a name of our own.
_LABEL = "_letterbox-challenge"
_VALUE = "letterbox-verification="
_AFTER_TROUBLE = timedelta(hours=1)
_DAY = timedelta(days=1)
_WHILE_FAILING = timedelta(hours=6)
_MOST_RECORDS = 50  # of one answer that are looked at

#: ``absent``: no such record. ``contested``: another vendor's record is there still, or the
#: operator gave the domain to another. ``trouble``: the DNS gave no answer.
Outcome = Literal["proven", "absent", "contested", "trouble"]

log = structlog.get_logger("letterbox.registration")


class HolderSuspended(Exception):
    """The operator has suspended the vendor, which cannot shed that with its domain."""


class Verified(NamedTuple):
    """What came of looking for a record. ``detail`` is for the vendor.

    ``found`` is what stands at the name of a record that is ``absent``.
    """

    outcome: Outcome
    claim: DomainClaim
    detail: str = ""
    found: tuple[str, ...] = ()


class Fit(NamedTuple):
    """A domain, and what is wrong with it: nothing where ``mistake`` is empty."""

    domain: str
    mistake: str
    allowed: str


def record_name(domain: str) -> str:
    """The name at which the record stands that proves a domain."""
    return f"{_LABEL}.{domain}"


def record_value(claim: DomainClaim) -> str:
    """The text of the TXT record that proves a claim."""
    return f"{_VALUE}{claim.token}"


def fit(text: str, domains: Domains, configuration: Configuration) -> Fit:
    """A domain that a vendor says is its own, folded, and why it cannot be."""
    domain = fold_domain(text) or text
    ours = configuration.our_domains | {configuration.hostname}
    wrong = domains.why_no_vendors(domain, ours)
    if wrong is None and domain.count(".") >= MOST_LABELS:
        wrong = f"{domain} has more than {MOST_LABELS} labels", "a domain above it"
    if wrong is None and any(is_below(domain, own) for own in ours):
        wrong = f"{domain} lies below a domain of this letterbox", "a domain of the vendor's"
    return Fit(domain, *(wrong or ("", "")))


class DomainProofs:
    """Claims of domains: made, verified, looked up again, given up.

    ``recheck`` is how often a proven domain is looked up again, ``grace`` how long its record
    may be missing.
    """

    def __init__(
        self,
        *,
        store: Store,
        vendors: Vendors,
        claims: Claims,
        resolver: Resolver,
        clock: Clock,
        recheck: timedelta,
        grace: timedelta,
    ) -> None:
        self._store = store
        self._vendors = vendors
        self._claims = claims
        self._resolver = resolver
        self._clock = clock
        self._recheck = recheck
        self._grace = grace

    async def verify(self, vendor: str, claim: DomainClaim) -> Verified:
        """Look for the record of a claim, and give the vendor the domain if it is there."""
        try:
            texts = await self._texts(claim)
            if record_value(claim) not in texts:
                return Verified("absent", claim, found=texts)
            holder = await self._vendors.holder(claim.domain)
            foreign = holder.vendor not in {"", vendor}
            if foreign and holder.domain == claim.domain:
                contested = await self._contested(vendor, claim, holder)
                if contested is not None:
                    return contested
        except ResolverTrouble as trouble:
            return Verified("trouble", claim, str(trouble))
        if foreign and holder.domain != claim.domain:
            # A part of what somebody else has: theirs to know, and not to forbid.
            await self._dispute(holder.vendor, vendor, claim.domain)
        had = holder.vendor if holder.domain == claim.domain else ""
        return await self._prove(vendor, claim, had)

    async def _prove(self, vendor: str, claim: DomainClaim, had: str) -> Verified:
        """Give the domain to a vendor; ``had`` is who had it when the records were looked at."""
        now = self._clock.now()
        proven = claims.found(claim, now)
        also: list[Operation] = [claims.put(proven)]
        if claim.state != "proven":
            also.append(self._event(vendor, "domain.proven", claim.domain))
        lost = await self._losing(had, claim.domain) if had not in {"", vendor} else ()
        again = now + self._recheck
        try:
            await self._vendors.prove(
                vendor, claim.domain, again, also=also, taken_from=had, lost=lost
            )
        except DomainTaken:
            detail = "it has passed to another vendor just now; verify again"
            return Verified("contested", claim, detail)
        if claim.state != "proven" or had != vendor:
            log.info("domain-proven", vendor=vendor, domain=claim.domain, before=had)
        return Verified("proven", proven)

    async def _contested(self, vendor: str, claim: DomainClaim, holder: Holder) -> Verified | None:
        """What stands against a second claim, whose record is there; None where nothing does.

        The domain passes on when the record of the one who has it is gone. Both are told.
        """
        theirs = await self._claims.find(holder.vendor, claim.domain)
        if await self._is_suspended(holder.vendor):
            log.warning("domain-suspended", domain=claim.domain, claimant=vendor)
            return Verified(
                "contested", claim, "it does not pass on by itself now; ask the operator"
            )
        if holder.basis == "dns" and (theirs is None or not await self._is_there(theirs)):
            return None
        log.warning("domain-contested", domain=claim.domain, holder=holder.vendor, claimant=vendor)
        await self._dispute(holder.vendor, vendor, claim.domain)
        await self._dispute(vendor, holder.vendor, claim.domain)
        if holder.basis == "operator":
            return Verified(
                "contested", claim, "the operator has given it to another vendor; ask the operator"
            )
        return Verified(
            "contested",
            claim,
            "another vendor's record is there, too; take that one away, and verify again",
        )

    async def recheck(self, domain: str) -> None:
        """Look for the record of a proven domain again, as is due now."""
        holder = await self._vendors.holder(domain, anew=True)
        claim = await self._claims.find(holder.vendor, domain) if holder.vendor else None
        if holder.domain != domain or holder.basis != "dns" or claim is None:
            await self._again(domain, None)
            return
        now = self._clock.now()
        try:
            there = await self._is_there(claim)
        except ResolverTrouble as trouble:
            # Nothing follows from it: the claim stays what it is.
            log.info("domain-not-rechecked", domain=domain, error=str(trouble))
            await self._again(domain, _AFTER_TROUBLE)
            return
        if there:
            await self._claims.change(holder.vendor, claims.found(claim, now))
            await self._again(domain, self._recheck)
            return
        missing = claims.failing(claim, now)
        since = missing.failing or now
        if now - since >= self._grace and not await self._is_suspended(holder.vendor):
            await self._lose(holder.vendor, missing)
            return
        if claim.failing is None:
            await self._tell(holder.vendor, "domain.failing", domain)
        await self._claims.change(holder.vendor, missing)
        await self._again(domain, min(_WHILE_FAILING, self._recheck))

    async def give_up(self, vendor: str, domain: str) -> bool:
        """A vendor gives up a claim, and the domain with it; false where it has made none.

        Raises :class:`HolderSuspended` where it has proven it, and is suspended.
        """
        claim = await self._claims.find(vendor, domain)
        if claim is None:
            return False
        if claim.state != "pending" and await self._is_suspended(vendor):
            raise HolderSuspended(domain)
        drop = claims.drop(domain)
        if not await self._vendors.disprove(vendor, domain, drop):
            await self._store.commit(Commit(places.vendor(vendor), (drop,)))
        return True

    # ---- what changes

    async def _lose(self, vendor: str, claim: DomainClaim) -> None:
        """The record has been missing for too long: the domain is nobody's again."""
        log.warning("domain-lost", vendor=vendor, domain=claim.domain)
        lost = await self._losing(vendor, claim.domain)
        await self._vendors.disprove(vendor, claim.domain, *lost)

    async def _losing(self, vendor: str, domain: str) -> tuple[Operation, ...]:
        """What is written down at a vendor that loses a domain: it has to prove it anew."""
        operations: list[Operation] = [self._event(vendor, "domain.lost", domain)]
        claim = await self._claims.find(vendor, domain)
        if claim is not None:
            pending = msgspec.structs.replace(claim, state="pending", failing=None)
            operations.append(claims.put(pending))
        return tuple(operations)

    async def _is_suspended(self, name: str) -> bool:
        vendor = await self._vendors.get(name)
        return vendor is not None and vendor.suspended is not None

    async def _again(self, domain: str, after: timedelta | None) -> None:
        """Look again later; None: never."""
        operation: Operation = Unschedule(key=places.RECHECK, expect=False)
        if after is not None:
            operation = Schedule(key=places.RECHECK, at=self._clock.now() + after)
        await self._store.commit(Commit(places.domain(domain), (operation,)))

    async def _dispute(self, vendor: str, other: str, domain: str) -> None:
        """Tell a vendor that another says the same of a domain; once a day, however often."""
        name = f"contested/{domain}/{other}"
        once = Claim(name=name, value=b"", expires=self._clock.now() + _DAY)
        event = self._event(vendor, "domain.contested", domain)
        await self._store.commit(Commit(places.vendor(vendor), (once, event)))

    async def _tell(self, vendor: str, kind: EventType, domain: str) -> None:
        await self._store.commit(
            Commit(places.vendor(vendor), (self._event(vendor, kind, domain),))
        )

    def _event(self, vendor: str, kind: EventType, domain: str) -> Emit:
        """What puts an event into a vendor's feed, by the way that all go."""
        now = self._clock.now()
        event = Event(id=new_id(now), type=kind, at=now, domain=domain)
        return Emit(encode(Owed(vendor=vendor, event=event, at=now)))

    async def _is_there(self, claim: DomainClaim) -> bool:
        """Whether the record of a claim is published. Raises ResolverTrouble."""
        return record_value(claim) in await self._texts(claim)

    async def _texts(self, claim: DomainClaim) -> tuple[str, ...]:
        """What is published where the record of a claim belongs. Raises ResolverTrouble."""
        answer: Answer = await self._resolver.ask(record_name(claim.domain), "TXT")
        return tuple(
            text.strip().decode("utf-8", "replace")
            for text in answer.values[:_MOST_RECORDS]
            if isinstance(text, bytes)
        )
