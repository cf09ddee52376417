"""What the pages need of the house."""

from collections.abc import Callable
from typing import NamedTuple

from letterbox.administration.export import Exporting
from letterbox.delivery.acting import Acting
from letterbox.delivery.breaches import Breaches
from letterbox.delivery.complaints import Complaints
from letterbox.delivery.digests import Digests
from letterbox.delivery.erasure import Erasure
from letterbox.delivery.handing import HandingOver
from letterbox.delivery.notifier import Notifier
from letterbox.delivery.objecting import Objecting
from letterbox.delivery.reconnect import Reconnecting
from letterbox.delivery.relations import Relations
from letterbox.delivery.release import Holds
from letterbox.delivery.requests import Requests
from letterbox.delivery.tracking import Trackers
from letterbox.delivery.webhooks import Webhooks
from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.explanation import Explanations
from letterbox.feedback.objecting import Letters
from letterbox.feedback.sentences import Sentences
from letterbox.feedback.spoken import Spoken
from letterbox.hindsight import Fits, Replay, Suggestions, Undo
from letterbox.identity.domains import Domains
from letterbox.intake.preflight import Preflight
from letterbox.model.configuration import Configuration
from letterbox.model.reason import Registry
from letterbox.model.taxonomy import Taxonomy
from letterbox.ports.clock import Clock
from letterbox.ports.store import Store
from letterbox.records.actions import Actions
from letterbox.records.activity import ActivityLog
from letterbox.records.channels import Channels
from letterbox.records.claims import Claims
from letterbox.records.consumers import Consumers
from letterbox.records.elsewhere import Elsewhere
from letterbox.records.feed import Feed
from letterbox.records.imports import Imports
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.objections import Objections
from letterbox.records.passkeys import Passkeys
from letterbox.records.passwords import Passwords
from letterbox.records.sessions import Sessions
from letterbox.records.tallies import Tallies
from letterbox.records.vendors import Vendors
from letterbox.records.webhooks import WebhookRecords
from letterbox.registration import DomainProofs, Endpoints, Keys
from letterbox.starting import Adoption, Expectations, Sieve, Uploads


class Parts(NamedTuple):
    """Everything the pages reach; those of the broker, by the same names.

    ``public_url`` gives our own address without a final slash; it is known once we listen.
    """

    store: Store
    clock: Clock
    configuration: Configuration
    sessions: Sessions
    passwords: Passwords
    passkeys: Passkeys
    consumers: Consumers
    vendors: Vendors
    mailboxes: Mailboxes
    holds: Holds
    erasure: Erasure
    exporting: Exporting
    relations: Relations
    trackers: Trackers
    complaints: Complaints
    handing: HandingOver
    elsewhere: Elsewhere
    objecting: Objecting
    objections: Objections
    breaches: Breaches
    letters: Letters
    requests: Requests
    undo: Undo
    fits: Fits
    replay: Replay
    suggestions: Suggestions
    taxonomy: Taxonomy
    explanations: Explanations
    sentences: Sentences
    disclosure: Disclosure
    activity: ActivityLog
    actions: Actions
    acting: Acting
    digests: Digests
    notifier: Notifier
    channels: Channels
    registry: Registry
    feed: Feed
    tallies: Tallies
    spoken: Spoken
    reconnecting: Reconnecting
    claims: Claims
    domains: Domains
    domain_proofs: DomainProofs
    keys: Keys
    webhooks: Webhooks
    webhook_records: WebhookRecords
    endpoints: Endpoints
    preflight: Preflight
    adoption: Adoption
    imports: Imports
    uploads: Uploads
    sieve: Sieve
    expectations: Expectations
    public_url: Callable[[], str]
