"""What hands mail on to where people read it, wired."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from letterbox.delivery.confirming import Confirming
from letterbox.delivery.handing import HandingOver, MailboxServer
from letterbox.delivery.inbox_letters import InboxLetters
from letterbox.delivery.patience import Silences
from letterbox.delivery.tracking import Trackers
from letterbox.delivery.wire import Wire
from letterbox.delivery.worker import Duty
from letterbox.feedback.sentences import Sentences
from letterbox.identity.domains import Domains
from letterbox.identity.prover import Prover
from letterbox.keys import own_signer
from letterbox.metrics import Metrics
from letterbox.model.address import Address
from letterbox.model.configuration import Configuration, OnwardSection
from letterbox.ports.clock import Clock
from letterbox.ports.courier import Couriers
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.consumers import Consumers
from letterbox.records.elsewhere import Elsewhere
from letterbox.records.mailboxes import Mailboxes

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
        couriers: Couriers,
        prover: Prover,
        domains: Domains,
        consumers: Consumers,
        mailboxes: Mailboxes,
        trackers: Trackers,
        elsewhere: Elsewhere,
        letters: InboxLetters,
        sentences: Sentences,
        metrics: Metrics,
        public_url: Callable[[], str],
    ) -> None:
        section, signer = configuration.onward, own_signer(configuration)
        mail, mailbox = couriers
        self._at_once = section.at_once
        lasts = timedelta(days=section.days)
        self.confirming = Confirming(
            store=store,
            clock=clock,
            destinations=elsewhere.destinations,
            consumers=consumers,
            courier=mail,
            signer=signer,
            sentences=sentences,
            hostname=configuration.hostname,
            public_url=public_url,
        )
        self.handing = HandingOver(
            clock=clock,
            consumers=consumers,
            destinations=elsewhere.destinations,
            records=elsewhere.onward,
            preparing=Wire(
                clock=clock,
                mailboxes=mailboxes,
                trackers=trackers,
                secret=elsewhere.secret,
                chains=prover,
                signer=signer,
                hostname=configuration.hostname,
                domain=configuration.return_domain,
            ),
            mail=mail,
            server=MailboxServer(mailbox, names_of(section)) if mailbox else None,
            organizational=domains.organizational,
            silences=Silences(store, clock, lasts),
            letters=letters,
            sentences=sentences,
            metrics=metrics,
            lasts=lasts,
        )

    def duties(self) -> Iterator[Duty]:
        """Each waits for servers of others."""
        yield Duty("consumer", places.CONFIRMING, self.confirming.send, beside=_LETTERS)
        yield Duty("consumer", places.ONWARD, self.handing.hand_on, beside=self._at_once)


def names_of(section: OnwardSection) -> Callable[[str, Address | None], str | None]:
    """What a consumer's mailbox is called by the operator's server; None where it cannot be."""

    def name_of(consumer: str, address: Address | None) -> str | None:
        if (given := section.lmtp_users.get(consumer)) is not None:
            return given
        if address is None and "{address}" in section.lmtp_user:
            return None
        # The id first: an address may have "{id}" in it, and would name another's mailbox.
        return section.lmtp_user.replace("{id}", consumer).replace("{address}", str(address))

    return name_of
