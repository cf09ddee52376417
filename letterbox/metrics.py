"""What is counted, for whoever watches (Prometheus)."""

from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """The broker's metrics. Labels are few and fixed: never a vendor, never a person."""

    def __init__(self) -> None:
        # When each count began: twice the lines, and nobody asks. The library knows no smaller way.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        # CPU, memory and descriptors of this process, under the names that every program has.
        ProcessCollector(registry=self.registry)
        self.recipients = Counter(
            "letterbox_recipients",
            "Decisions, one for each recipient of a message",
            ["edge", "verdict", "reason"],
            registry=self.registry,
        )
        self.messages = Counter(
            "letterbox_messages", "Messages taken in", ["edge", "proof"], registry=self.registry
        )
        self.octets = Counter(
            "letterbox_message_octets", "Size of messages", ["edge"], registry=self.registry
        )
        self.seconds = Histogram(
            "letterbox_intake_seconds",
            "From the end of a message to its answer",
            ["edge"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        # What each message and session counts, with the values of its labels: finding it anew costs
        # more than counting.
        self.recipient = cache(self.recipients.labels)
        self.message = cache(self.messages.labels)
        self.octet = cache(self.octets.labels)
        self.second = cache(self.seconds.labels)
        self.sessions = Gauge(
            "letterbox_sessions", "Open sessions", ["edge"], registry=self.registry
        )
        self.session = cache(self.sessions.labels)
        self.authentications = Counter(
            "letterbox_authentications",
            "Keys shown at the submission port",
            ["outcome"],
            registry=self.registry,
        )
        self.released = Counter(
            "letterbox_released",
            "Held messages decided again",
            ["verdict"],
            registry=self.registry,
        )
        self.relayed = Counter(
            "letterbox_feedback_relayed", "Events carried to feeds", registry=self.registry
        )
        self.feedback_lag = Histogram(
            "letterbox_feedback_lag_seconds",
            "From the commit that owes an event to the vendor's feed",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.rounds = Counter(
            "letterbox_worker_rounds",
            "How often a worker looked for what is due and owed",
            registry=self.registry,
        )
        self.due_lag = Histogram(
            "letterbox_due_lag_seconds",
            "From when something was due until it is begun",
            ["work"],
            buckets=(*_SECONDS, 60, 300, 3600),
            registry=self.registry,
        )
        self.outbox_age = Gauge(
            "letterbox_outbox_age_seconds",
            "How long the first event that is owed has waited",
            registry=self.registry,
        )

        self.handed_on = Counter(
            "letterbox_handed_on",
            "What the mail server behind said to mail for one recipient",
            ["outcome"],
            registry=self.registry,
        )
        self.reports = Counter(
            "letterbox_reports",
            "What became of reports by mail, and how often one had to wait",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.onward = Counter(
            "letterbox_onward",
            "What became of mail that is handed on, and how often some had to wait",
            ["by", "outcome"],
            registry=self.registry,
        )
        self.unsubscriptions = Counter(
            "letterbox_unsubscriptions",
            "Requests to end subscriptions, and how often one had to wait",
            ["way", "outcome"],
            registry=self.registry,
        )
        self.objections = Counter(
            "letterbox_objections",
            "Objections to advertising, and messages that came in spite of one",
            ["event"],
            registry=self.registry,
        )
        self.webhooks = Counter(
            "letterbox_webhooks",
            "Calls of vendors' endpoints that told an event, or tried to",
            ["outcome"],
            registry=self.registry,
        )
        self.notices = Counter(
            "letterbox_notices",
            "Calls of consumers' channels that gave notice, or tried to",
            ["channel", "outcome"],
            registry=self.registry,
        )
        self.certificate_expiry = Gauge(
            "letterbox_certificate_expiry_timestamp_seconds",
            "When the certificate that is shown ends, since 1970; 0 where there is none",
            registry=self.registry,
        )

    def text(self) -> bytes:
        """Everything, in the Prometheus text format."""
        return generate_latest(self.registry)
