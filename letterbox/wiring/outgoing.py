"""What leaves the house: reports and complaints by mail, unsubscriptions, calls of endpoints."""

from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version

from letterbox.delivery.complaints import Complaints
from letterbox.delivery.relations import Relations
from letterbox.delivery.reports import Reports
from letterbox.delivery.unsubscribing import Unsubscribing
from letterbox.delivery.webhooks import Webhooks
from letterbox.delivery.worker import Duty
from letterbox.identity.domains import Domains
from letterbox.identity.prover import Prover
from letterbox.keys import own_signer
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.ports.clock import Clock
from letterbox.ports.courier import MailCourier, WebCourier
from letterbox.ports.store import Store
from letterbox.reading.facts import Reader
from letterbox.records import places
from letterbox.records.feed import Feed
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.webhooks import WebhookRecords

#: How many mails of each kind are on the way at once.
_MAIL_SERVERS = 20
#: And how many addresses that end subscriptions are called.
_SUBSCRIPTIONS = 10


class Outgoing:
    """The senders, wired, and the duties of theirs that come due."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        mail: MailCourier,
        web: WebCourier,
        subscriptions: WebCourier,
        prover: Prover,
        domains: Domains,
        relations: Relations,
        mailboxes: Mailboxes,
        reader: Reader,
        feed: Feed,
        webhooks: WebhookRecords,
    ) -> None:
        outbound = configuration.outbound
        signer = own_signer(configuration)
        self._endpoints_at_once = configuration.webhooks.at_once
        self.reports = Reports(
            store=store,
            clock=clock,
            paths=prover,
            domains=domains,
            courier=mail,
            signer=signer,
            hostname=configuration.hostname,
            per_hour=outbound.reports_per_domain_hour,
            lasts=timedelta(hours=outbound.hours),
            metrics=metrics,
        )
        self.complaints = Complaints(
            store=store,
            clock=clock,
            relations=relations,
            mailboxes=mailboxes,
            reader=reader,
            organizational=domains.organizational,
            mail=mail,
            signer=signer,
            hostname=configuration.hostname,
            product=f"letterbox/{version('letterbox')}",
            kept=timedelta(days=configuration.retention.decisions),
            lasts=timedelta(hours=outbound.hours),
            metrics=metrics,
        )
        self.unsubscribing = Unsubscribing(
            store=store,
            clock=clock,
            mail=mail,
            web=subscriptions,
            signer=signer,
            hostname=configuration.hostname,
            lasts=timedelta(hours=outbound.hours),
            metrics=metrics,
        )
        self.webhooks = Webhooks(
            store=store, clock=clock, records=webhooks, feed=feed, courier=web, metrics=metrics
        )

    def duties(self) -> Iterator[Duty]:
        """Each waits for servers of others."""
        reports, complaints = self.reports, self.complaints
        for room, partition in (("message", places.message), ("consumer", places.consumer)):
            yield Duty(room, places.REPORT, reports.of(partition), beside=_MAIL_SERVERS)
        yield Duty("reports", places.FOLDED, reports.send_folded, beside=_MAIL_SERVERS)
        yield Duty("reports", places.FOLDED_BEFORE, reports.forget_folded)
        yield Duty("consumer", places.COMPLAINT, complaints.report, beside=_MAIL_SERVERS)
        end = self.unsubscribing.send
        yield Duty("consumer", places.UNSUBSCRIPTION, end, beside=_SUBSCRIPTIONS)
        yield Duty("vendor", places.WEBHOOK, self.webhooks.deliver, beside=self._endpoints_at_once)
