"""A message as it goes on to where it is read: our trace, our signature and seal, our return path.

What was received goes on byte for byte behind our fields, so that the sender's own signature still
fits, unless its reader wants it without what tells of them. From is its author's either way.
"""

import asyncio
from datetime import datetime
from typing import Protocol

from letterbox.delivery.handing import Content
from letterbox.delivery.render import with_trace
from letterbox.delivery.tracking import Trackers
from letterbox.identity.arc import Chain
from letterbox.identity.loops import Loops
from letterbox.identity.signing import OwnSigner
from letterbox.identity.srs import Srs
from letterbox.model.address import Address
from letterbox.model.record import InboxEntry, MessageRecord
from letterbox.ports.clock import Clock
from letterbox.reading.mail import Mail, Malformed, split, with_crlf
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.secrets import OwnSecret


class Chains(Protocol):
    """Looks at ARC sets (:class:`letterbox.identity.prover.Prover`)."""

    async def chain(self, mail: Mail, now: datetime) -> Chain:
        """What becomes of the sets of a message."""
        ...


class Wire:
    """Prepares messages. ``domain`` is the one of ours that return paths are in."""

    def __init__(
        self,
        *,
        clock: Clock,
        mailboxes: Mailboxes,
        trackers: Trackers,
        secret: OwnSecret,
        chains: Chains,
        signer: OwnSigner | None,
        hostname: str,
        domain: str,
    ) -> None:
        self._clock = clock
        self._mailboxes = mailboxes
        self._trackers = trackers
        self._secret = secret
        self._chains = chains
        self._signer = signer
        self._hostname = hostname
        self._domain = domain

    async def prepared(self, consumer: str, entry: InboxEntry) -> Content | None:
        """The message as it goes on; None where it is not whole any more."""
        record = await self._mailboxes.message(entry.message)
        body = await self._mailboxes.body(entry.message)
        if record is None or body is None or entry.onward is None:
            return None
        loops = Loops(await self._secret.key("loop"), self._hostname)
        # What follows signs it: that it was changed is ours to answer for.
        cleaned = await self._trackers.onward(consumer, entry, entry.onward.to, body)
        fields = [loops.field(consumer)]
        if removed := len(cleaned.found.removed):
            fields.append(f"Letterbox-Removed: {removed}")  # which, says the message's page
        octets = with_trace(record, entry, cleaned.content, self._hostname, onward=fields)
        octets = await self._signed(record, body, octets)
        return Content(octets, await self._path(record, entry.onward.name))

    async def _signed(self, record: MessageRecord, body: bytes, octets: bytes) -> bytes:
        """With our signature, and sealed with what was found where it came in from others.

        What is too large to be signed, with our trace or within narrower limits than those it was
        taken under, goes on without. In a thread, for a large one takes long.
        """
        if self._signer is None:
            return octets
        now, signed = self._clock.now(), octets
        try:
            signed = await asyncio.to_thread(self._signer.sign, octets, now)
            if not record.results:
                return signed  # written here
            received = with_crlf(body) if record.edge == "http" else body
            chain = await self._chains.chain(split(received), now)
            return await asyncio.to_thread(self._signer.seal, signed, record.results, chain, now)
        except Malformed:
            return signed

    async def _path(self, record: MessageRecord, name: str) -> Address | None:
        """Where it comes back to. What nobody was to answer goes on with a null path, too."""
        if record.reverse_path is None:
            return None
        srs = Srs(await self._secret.key("return-path"), self._domain)
        return srs.write(record.reverse_path.rpartition("@")[2], name, self._clock.now())
