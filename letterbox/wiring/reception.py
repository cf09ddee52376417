"""Taking messages in, and saying ahead what would become of one: wired."""

from datetime import timedelta

from letterbox.feedback.disclosure import Disclosure
from letterbox.identity.prover import Prover
from letterbox.intake import Intake
from letterbox.intake.operator import OperatorMailbox
from letterbox.intake.preflight import Preflight
from letterbox.intake.returning import Returning
from letterbox.intake.settle import Settlement
from letterbox.intake.strangers import Strangers
from letterbox.intake.through import PassesOn, Through
from letterbox.judge import Judge
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.ports.clock import Clock
from letterbox.ports.store import Bodies, Store
from letterbox.reading.facts import Reader
from letterbox.records.consumers import Consumers
from letterbox.records.ledger import Ledger
from letterbox.records.rates import Rates
from letterbox.records.vendors import Vendors


class Reception:
    """The one call of every gateway that brings mail, and the one of those who ask ahead."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        store: Store,
        bodies: Bodies,
        clock: Clock,
        metrics: Metrics,
        consumers: Consumers,
        vendors: Vendors,
        judge: Judge,
        ledger: Ledger,
        prover: Prover,
        disclosure: Disclosure,
        reader: Reader,
        returning: Returning,
        behind: PassesOn,
    ) -> None:
        retention = configuration.retention
        refused = timedelta(days=retention.refused)
        self.intake = Intake(
            store=store,
            clock=clock,
            prover=prover,
            vendors=vendors,
            settlement=Settlement(
                store=store,
                bodies=bodies,
                consumers=consumers,
                judge=judge,
                ledger=ledger,
                disclosure=disclosure,
                rounds=returning.rounds,
                retention=refused,
            ),
            through=Through(
                behind,
                clock,
                store=store,
                bodies=bodies,
                consumers=consumers,
                judge=judge,
                ledger=ledger,
                disclosure=disclosure,
                rounds=returning.rounds,
                retention=refused,
            ),
            strangers=Strangers(
                store=store,
                consumers=consumers,
                disclosure=disclosure,
                kept=timedelta(days=retention.strangers),
            ),
            operator=OperatorMailbox(
                store=store,
                bodies=bodies,
                disclosure=disclosure,
                # <postmaster> without a domain is written to the host itself (RFC 5321, 4.5.1).
                domains=configuration.our_domains | {configuration.hostname},
                per_hour=configuration.limits.operator_messages_per_hour,
                retention=refused,
                claims=timedelta(days=retention.claims),
            ),
            bounces=returning.bounces,
            disclosure=disclosure,
            metrics=metrics,
            rates=Rates(clock, configuration.limits.messages_per_vendor_second),
            hostname=configuration.hostname,
            reader=reader,
        )
        self.preflight = Preflight(
            store=store,
            clock=clock,
            prover=prover,
            vendors=vendors,
            judge=judge,
            disclosure=disclosure,
            reader=reader,
            hostname=configuration.hostname,
            per_day=configuration.probes.preflights_per_day,
            most=configuration.smtp.max_size,
        )
