"""What hands mail on to where people read it, wired."""

from collections.abc import Callable, Iterator
from typing import Final

from letterbox.delivery.confirming import Confirming
from letterbox.delivery.worker import Duty
from letterbox.feedback.sentences import Sentences
from letterbox.identity.signing import OwnSigner
from letterbox.model.configuration import Configuration
from letterbox.ports.clock import Clock
from letterbox.ports.courier import MailCourier
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.consumers import Consumers
from letterbox.records.destinations import Destinations

#: Letters that ask for a confirmation and are on the way at once.
_LETTERS: Final = 10


class Onward:
    """Those who see to it, and the duties of theirs that come due."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        store: Store,
        clock: Clock,
        mail: MailCourier,
        signer: OwnSigner | None,
        consumers: Consumers,
        destinations: Destinations,
        sentences: Sentences,
        public_url: Callable[[], str],
    ) -> None:
        self.confirming = Confirming(
            store=store,
            clock=clock,
            destinations=destinations,
            consumers=consumers,
            courier=mail,
            signer=signer,
            sentences=sentences,
            hostname=configuration.hostname,
            public_url=public_url,
        )

    def duties(self) -> Iterator[Duty]:
        """Each waits for servers of others."""
        yield Duty("consumer", places.CONFIRMING, self.confirming.send, beside=_LETTERS)
