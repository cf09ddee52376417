"""Suggestions become relationships: all that were chosen, as one change of the preferences."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec
from msgspec import structs

from letterbox.model.preferences import VendorRule
from letterbox.model.proposal import Choice, Found, Proposal
from letterbox.model.sender import VendorRef
from letterbox.records.changes import By, Conflict
from letterbox.records.consumers import Consumers, Refused
from letterbox.records.pieces import Stored
from letterbox.records.vendors import Vendors
from letterbox.wishes import Mistake
from letterbox.wishes.proposals import Whose, chosen, propose, same_side

_ATTEMPTS: Final = 5
#: Domains that are looked up at once.
_AT_ONCE: Final = 100
_ROW: Final = re.compile(r"vendor\[(\d+)\]")


class NotAdopted(msgspec.Struct, frozen=True):
    """A choice that could not be carried out, by the proposal's key, and why."""

    key: str
    why: str


class Adopted(msgspec.Struct, frozen=True):
    """What became of choices. ``revision`` is that of the preferences now.

    ``changed`` and ``unchanged`` are the keys of proposals: those whose relationship is another
    now, and those that were as chosen already, or left.
    """

    revision: int
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[NotAdopted, ...]


class Adoption:
    """Makes suggestions of what was found, and relationships of suggestions."""

    def __init__(
        self,
        *,
        consumers: Consumers,
        vendors: Vendors,
        organizational: Callable[[str], str],
        is_mailbox_provider: Callable[[str], bool],
    ) -> None:
        self._consumers = consumers
        self._vendors = vendors
        self.whose = Whose(organizational, is_mailbox_provider)

    async def proposals(
        self, consumer: str, found: Mapping[str, Found], *, apart: bool = False
    ) -> list[Proposal]:
        """What is suggested to a consumer by what was found, whoever wrote most first.

        ``apart``: persons stay persons, also where their domain is a company's.
        """
        organizational = self.whose.organizational
        domains = {organizational(key.rpartition("@")[2]) for key in found} | {
            key for key in found if "@" not in key
        }
        holders: dict[str, VendorRef] = {}
        named = sorted(domains)
        for begin in range(0, len(named), _AT_ONCE):
            some = named[begin : begin + _AT_ONCE]
            rules = (VendorRule(domain=domain) for domain in some)
            held = await asyncio.gather(*map(self._vendors.across, rules))
            holders |= {d: each for d, each in zip(some, held, strict=True) if each.registered}
        wishes = await self._consumers.wishes(consumer)
        return propose(found, wishes=wishes, whose=self.whose, holders=holders, apart=apart)

    async def adopt(
        self,
        consumer: str,
        proposals: Iterable[Proposal],
        choices: Mapping[str, Choice],
        *,
        now: datetime,
        expect: int | None = None,
        by: By = "consumer",
    ) -> Adopted:
        """Carry out choices, by the keys of proposals: one change, so that one way back undoes it.

        What cannot be is named, and the rest is done. ``expect`` is the revision of the
        preferences that was seen, None for any. Raises :class:`Conflict`, and :class:`Refused`
        where what is wrong is nothing that was chosen.
        """
        known = {each.key: each for each in proposals}
        failed = [
            NotAdopted(key, "nothing of that name was found") for key in choices if key not in known
        ]
        wanted = {key: (known[key], choice) for key, choice in choices.items() if key in known}
        for attempt in range(_ATTEMPTS):
            stored = await self._consumers.stored(consumer)
            if stored is None:
                raise Conflict(0)
            try:
                return await self._adopt(consumer, stored, wanted, failed, expect, by, now)
            except Conflict:
                if expect is not None or attempt == _ATTEMPTS - 1:
                    raise
        raise Conflict(0)

    async def _adopt(
        self,
        consumer: str,
        stored: Stored,
        wanted: Mapping[str, tuple[Proposal, Choice]],
        failed: Iterable[NotAdopted],
        expect: int | None,
        by: By,
        now: datetime,
    ) -> Adopted:
        failed, wanted = list(failed), dict(wanted)
        while True:
            planned = _Plan(stored.preferences.vendor)
            for key, (proposal, choice) in wanted.items():
                planned.take(key, proposal, choice)
            preferences = structs.replace(stored.preferences, vendor=tuple(planned.rules))
            try:
                revision = await self._consumers.revise(
                    consumer,
                    preferences,
                    expect=stored.revision if expect is None else expect,
                    now=now,
                    by=by,
                )
            except Refused as refused:
                wrong = planned.wrong(refused.mistakes)
                if not wrong:
                    raise
                failed += [NotAdopted(key, why) for key, why in wrong.items()]
                wanted = {key: each for key, each in wanted.items() if key not in wrong}
                continue
            left = tuple(key for key in wanted if key not in planned.rows)
            return Adopted(revision, tuple(planned.rows), left, tuple(failed))


class _Plan:
    """The relationships as they become. ``rows`` are the places of those that change, by key."""

    def __init__(self, rules: Iterable[VendorRule]) -> None:
        self.rules = list(rules)
        self.rows: dict[str, int] = {}

    def take(self, key: str, proposal: Proposal, choice: Choice) -> None:
        """Have one more choice carried out."""
        at = next((n for n, rule in enumerate(self.rules) if same_side(rule, proposal)), None)
        before = None if at is None else self.rules[at]
        after = chosen(proposal, choice, before)
        if after is None or after == before:
            return
        if at is None:
            at = len(self.rules)
            self.rules.append(after)
        else:
            self.rules[at] = after
        self.rows[key] = at

    def wrong(self, mistakes: Iterable[Mistake]) -> dict[str, str]:
        """Why choices cannot be, by their keys; of others nothing is said.

        Where there is no room for all, the last ones find none.
        """
        keys = {row: key for key, row in self.rows.items()}
        found: dict[str, str] = {}
        for mistake in mistakes:
            row = _ROW.match(mistake.path)
            if row and (key := keys.get(int(row[1]))):
                found[key] = f"{mistake.mistake}; allowed: {mistake.allowed}"
            elif mistake.path == "vendor" and keys:
                found[keys[max(keys)]] = f"{mistake.mistake}; allowed: {mistake.allowed}"
        return found
