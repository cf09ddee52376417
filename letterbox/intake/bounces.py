"""What was handed on and comes back: to a return path of ours, with a null path of its own.

It is known by a hash that only we can make, before anything is proven of its sender, as mail to the
postmaster is. It is shown to whose mail it was, and goes no further: its sender hears nothing of
where a consumer reads mail. Whatever else comes to such an address is answered as any stranger's.
"""

from collections.abc import Awaitable, Callable

import structlog

from letterbox.identity.srs import Srs
from letterbox.intake.settle import Arrival
from letterbox.metrics import Metrics
from letterbox.model.address import Address
from letterbox.model.record import InboxEntry
from letterbox.model.told import Told
from letterbox.ports.clock import Clock
from letterbox.reading.bounce import is_report, undelivered
from letterbox.reading.mail import Limits, Mail
from letterbox.records.names import new_reference
from letterbox.records.onward import OnwardRecords
from letterbox.records.secrets import OwnSecret

log = structlog.get_logger("letterbox.onward")


class Bounces:
    """Takes them. ``domain`` is the one of ours that return paths are in.

    ``bounced`` is told whose mail has come back, and which.
    """

    def __init__(
        self,
        *,
        secret: OwnSecret,
        clock: Clock,
        records: OnwardRecords,
        limits: Limits,
        domain: str,
        metrics: Metrics,
        bounced: Callable[[str, InboxEntry], Awaitable[None]],
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._records = records
        self._limits = limits
        self._domain = domain
        self._metrics = metrics
        self._bounced = bounced

    async def names(
        self, arrival: Arrival, recipients: tuple[Address, ...], mail: Mail
    ) -> dict[Address, str]:
        """Under which names it was handed on what this message brings back; none for any other."""
        if arrival.envelope.reverse_path is not None or arrival.submission is not None:
            return {}
        if all(address.domain != self._domain for address in recipients):
            return {}
        srs = Srs(await self._secret.key("return-path"), self._domain)
        read = {address: srs.read(address, self._clock.now()) for address in recipients}
        found = {address: name for address, name in read.items() if name is not None}
        if not found or self._says(mail):
            return found
        return {}

    def _says(self, mail: Mail) -> bool:
        return is_report(mail, self._limits) or undelivered(mail, self._limits) is not None

    async def take(self, names: dict[Address, str], mail: Mail) -> dict[Address, Told]:
        """Write down that it came back; the answer is the same where nobody minds any more."""
        if not names:
            return {}
        why = undelivered(mail, self._limits)
        told: dict[Address, Told] = {}
        for address, name in names.items():
            reference = new_reference()
            if why is not None:
                await self._came_back(name, why)
            told[address] = Told(
                verdict="deliver",
                reference=reference,
                reply=250,
                enhanced="2.0.0",
                text=f"delivered {reference}",
            )
        return told

    async def _came_back(self, name: str, why: str) -> None:
        consumer = await self._records.whose(name)
        entry = await self._records.came_back(name, why)
        if consumer is None or entry is None:
            return
        self._metrics.onward.labels("mail", "bounced").inc()
        log.info("onward-bounced", consumer=consumer, entry=entry.id, detail=why)
        await self._bounced(consumer, entry)
