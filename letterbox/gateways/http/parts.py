"""What the gateway needs of the house."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from letterbox.administration.export import Exporting
from letterbox.delivery.breaches import Breaches
from letterbox.delivery.complaints import Complaints
from letterbox.delivery.digests import Digests
from letterbox.delivery.erasure import Erasure
from letterbox.delivery.notifier import Notifier
from letterbox.delivery.objecting import Objecting
from letterbox.delivery.reconnect import Reconnecting
from letterbox.delivery.relations import Advertised
from letterbox.delivery.requests import Requests
from letterbox.delivery.tracking import Trackers
from letterbox.delivery.webhooks import Webhooks
from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.explanation import Explanations
from letterbox.feedback.objecting import Letters
from letterbox.feedback.sentences import Sentences
from letterbox.feedback.spoken import Spoken
from letterbox.hindsight import Replay, Suggestions, Undo
from letterbox.identity import Domains
from letterbox.intake import Received, Submission
from letterbox.intake.preflight import Preflight
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.model.envelope import Envelope
from letterbox.model.preferences import VendorRule
from letterbox.model.reason import Registry
from letterbox.model.record import InboxEntry, Word
from letterbox.ports.clock import Clock
from letterbox.ports.store import Bodies, Store
from letterbox.records.activity import ActivityLog
from letterbox.records.categories import Categories
from letterbox.records.channels import Channels
from letterbox.records.claims import Claims
from letterbox.records.consumers import Consumers
from letterbox.records.credentials import Credentials
from letterbox.records.elsewhere import Elsewhere
from letterbox.records.feed import Feed
from letterbox.records.imports import Imports
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.objections import Objections
from letterbox.records.tallies import Tallies
from letterbox.records.vendors import Vendors
from letterbox.records.webhooks import WebhookRecords
from letterbox.registration import DomainProofs, Endpoints, Keys, Registration
from letterbox.starting import Adoption, Expectations, Sieve, Uploads
from letterbox.wishes import Taxonomy


class Receiver(Protocol):
    """Takes messages in (:class:`letterbox.intake.Intake`)."""

    async def receive(
        self, envelope: Envelope, content: bytes, submission: Submission | None = None
    ) -> Received:
        """Take a message; what is returned is durable. Raises ``KeyReused``."""
        ...


class Holds(Protocol):
    """Lets go of what waits (:class:`letterbox.delivery.release.Holds`)."""

    async def answer(self, consumer: str, name: str, *, yes: bool) -> bool:
        """The consumer's word about a held message; false where there is no such message."""
        ...


class Relations(Protocol):
    """Sets relationships from messages (:class:`letterbox.delivery.relations.Relations`)."""

    async def answer(
        self, consumer: str, name: str, *, word: Word, rule: VendorRule
    ) -> VendorRule | None:
        """A word about a held message, with a relationship; None where there is no such message.

        Raises :class:`letterbox.records.consumers.Refused`.
        """
        ...

    async def advertising(self, consumer: str, name: str) -> Advertised | None:
        """A message was advertising; None where it is not in the inbox."""
        ...


class Handing(Protocol):
    """Hands mail on (:class:`letterbox.delivery.handing.HandingOver`)."""

    async def retry(self, consumer: str, name: str) -> InboxEntry | None:
        """Try a message again, now; None where there is no such message.

        Raises :class:`letterbox.records.onward.NothingToRetry`.
        """
        ...


class Parts(NamedTuple):
    """Everything the routes reach.

    ``public_url`` gives our own address without a final slash; it is known once we listen.
    """

    intake: Receiver
    consumers: Consumers
    vendors: Vendors
    credentials: Credentials
    keys: Keys
    mailboxes: Mailboxes
    bodies: Bodies
    feed: Feed
    webhooks: Webhooks
    webhook_records: WebhookRecords
    endpoints: Endpoints
    tallies: Tallies
    preflight: Preflight
    store: Store
    holds: Holds
    erasure: Erasure
    exporting: Exporting
    relations: Relations
    trackers: Trackers
    complaints: Complaints
    handing: Handing
    elsewhere: Elsewhere
    objecting: Objecting
    objections: Objections
    breaches: Breaches
    letters: Letters
    reconnecting: Reconnecting
    requests: Requests
    activity: ActivityLog
    digests: Digests
    notifier: Notifier
    channels: Channels
    undo: Undo
    replay: Replay
    suggestions: Suggestions
    explanations: Explanations
    disclosure: Disclosure
    spoken: Spoken
    registry: Registry
    sentences: Sentences
    taxonomy: Taxonomy
    categories: Categories
    registration: Registration
    domain_proofs: DomainProofs
    claims: Claims
    domains: Domains
    clock: Clock
    metrics: Metrics
    configuration: Configuration
    adoption: Adoption
    imports: Imports
    uploads: Uploads
    sieve: Sieve
    expectations: Expectations
    public_url: Callable[[], str]
