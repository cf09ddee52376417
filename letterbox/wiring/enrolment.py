"""How vendors come in: registering, proving domains, showing keys, naming endpoints: wired."""

from datetime import timedelta

from letterbox.intake.submitters import Submitters
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.ports.clock import Clock
from letterbox.ports.resolver import Resolver
from letterbox.ports.store import Store
from letterbox.records.claims import Claims
from letterbox.records.credentials import Credentials
from letterbox.records.feed import Feed
from letterbox.records.guesses import Guesses
from letterbox.records.vendors import Vendors
from letterbox.records.webhooks import WebhookRecords
from letterbox.registration import DomainProofs, Endpoints, Registration


class Enrolment:
    """Those who see to it."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        resolver: Resolver,
        vendors: Vendors,
        credentials: Credentials,
        claims: Claims,
        webhooks: WebhookRecords,
        feed: Feed,
    ) -> None:
        section, submission = configuration.vendors, configuration.submission
        self.submitters = Submitters(
            credentials=credentials,
            vendors=vendors,
            guesses=Guesses(
                clock,
                per_place=submission.failures_per_address,
                per_name=submission.failures_per_vendor,
                period=submission.failure_period,
            ),
            clock=clock,
            metrics=metrics,
        )
        self.registration = Registration(
            store=store,
            vendors=vendors,
            credentials=credentials,
            claims=claims,
            webhooks=webhooks,
            clock=clock,
            section=section,
        )
        self.endpoints = Endpoints(
            records=webhooks,
            feed=feed,
            resolver=resolver,
            clock=clock,
            private=configuration.webhooks.allow_private_addresses,
        )
        self.domain_proofs = DomainProofs(
            store=store,
            vendors=vendors,
            claims=claims,
            resolver=resolver,
            clock=clock,
            recheck=timedelta(hours=section.recheck_hours),
            grace=timedelta(days=section.grace_days),
        )
