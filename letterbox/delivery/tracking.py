"""What a consumer reads of a message: without what tells its sender, as far as they want."""

import asyncio
from typing import Final, NamedTuple

import msgspec

from letterbox.model.preferences import Preferences, Tracking, VendorRule
from letterbox.model.record import InboxEntry
from letterbox.model.sender import Proven, domains_of
from letterbox.model.wishes import Relationship
from letterbox.ports.clock import Clock
from letterbox.ports.store import StoreUnavailable
from letterbox.reading.charset import to_text
from letterbox.reading.mail import Limits, Malformed, split, with_crlf
from letterbox.reading.mime import content, parts
from letterbox.reading.trackers import Cleaned, Rules, clean_message
from letterbox.records.consumers import Conflict, Consumers, Stored
from letterbox.records.mailboxes import Mailboxes
from letterbox.wishes import lookup, other_side

_ATTEMPTS: Final = 5


class Sight(NamedTuple):
    """What a sender may see of a message's reader.

    ``grade`` is what holds; ``rule`` the relationship that covers the sender, None for none.
    """

    grade: Tracking
    rule: VendorRule | None


class Readable(NamedTuple):
    """The first text and HTML of a message that are not attached, each None where it has none."""

    text: str | None
    html: str | None


class Trackers:
    """Cleans what is read, and knows by whose wish."""

    def __init__(
        self,
        rules: Rules,
        limits: Limits,
        clock: Clock,
        consumers: Consumers,
        mailboxes: Mailboxes,
    ) -> None:
        self._rules, self._limits, self._clock = rules, limits, clock
        self._consumers, self._mailboxes = consumers, mailboxes

    async def sight(self, consumer: str, entry: InboxEntry) -> Sight:
        """What the sender of a message of the inbox may see. Ours tells nobody anything."""
        if entry.is_ours:
            return Sight("off", None)
        wishes = await self._consumers.wishes(consumer)
        relationship = await self._covering(consumer, entry)
        grade = wishes.tracking_of(relationship, self._clock.now())
        return Sight(grade, relationship.rule if relationship else None)

    async def cleaned(
        self,
        raw: bytes,
        grade: Tracking,
        *,
        recipient: str = "",
        shown: bool = False,
    ) -> Cleaned:
        """A message as ``grade`` wants it; in a thread, for a large one takes long.

        ``recipient`` is the address it came to. ``shown``: it is shown here and handed on to
        nobody, so that what is signed within it is cleaned as well.
        """
        return await asyncio.to_thread(
            clean_message,
            raw,
            self._rules,
            grade,
            readers=(recipient,),
            limits=self._limits,
            signed_too=shown,
        )

    async def onward(self, consumer: str, entry: InboxEntry, to: str, raw: bytes) -> Cleaned:
        """A message as it is handed on there: the very one where it goes on as it came."""
        wishes = await self._consumers.wishes(consumer)
        if not wishes.cleans(to):
            return Cleaned(raw)
        sight = await self.sight(consumer, entry)
        return await self.cleaned(raw, sight.grade, recipient=entry.recipient)

    def readable(self, raw: bytes) -> Readable:
        """What there is to be read in a message, in the form it was written in."""
        try:
            mail = split(with_crlf(raw), self._limits)
            found = [part for part in parts(mail, self._limits) if not part.attached]
        except Malformed:
            return Readable(None, None)
        first: dict[str, str] = {}
        for part in found:
            if part.type in {"text/plain", "text/html"} and part.type not in first:
                most = self._limits.html_bytes
                first[part.type] = to_text(content(mail, part, most), part.charset)
        return Readable(first.get("text/plain"), first.get("text/html"))

    async def consent(
        self, consumer: str, name: str, tracking: Tracking | None
    ) -> VendorRule | None:
        """Say what the sender of a message of the inbox may see; None: as all others.

        Gives the relationship as it is then. None where there is no such entry, or nothing was
        agreed with its sender. Raises StoreUnavailable.
        """
        for _ in range(_ATTEMPTS):
            entry = await self._mailboxes.entry(consumer, name)
            if entry is None or entry.is_ours:
                return None
            stored = await self._consumers.stored(consumer) or Stored(Preferences(), revision=0)
            covering = await self._covering(consumer, entry)
            if covering is None:
                return None
            piece = stored.pieces.get(("vendor", other_side(covering.rule)))
            if piece is None or piece.value != covering.rule:
                self._consumers.forget(consumer)
                continue
            rule = msgspec.structs.replace(covering.rule, tracking=tracking)
            if rule == covering.rule:
                return rule
            try:
                await self._consumers.revise_piece(
                    consumer, piece.key, rule, expect=piece.revision, now=self._clock.now()
                )
            except Conflict:
                self._consumers.forget(consumer)
                continue
            return rule
        raise StoreUnavailable(f"the relationship behind {name} keeps changing")

    async def _covering(self, consumer: str, entry: InboxEntry) -> Relationship | None:
        record = await self._mailboxes.message(entry.message)
        if record is None or not isinstance(record.sender, Proven):
            return None
        wishes = await self._consumers.wishes(consumer)
        domains = domains_of(record.sender, entry.vendor)
        return lookup(wishes, entry.vendor, domains, record.sender.author)
