"""What the pages need of the house."""

from collections.abc import Callable
from typing import NamedTuple

from letterbox.delivery.complaints import Complaints
from letterbox.delivery.relations import Relations
from letterbox.delivery.release import Holds
from letterbox.delivery.requests import Requests
from letterbox.feedback.explanation import Explanations
from letterbox.feedback.sentences import Sentences
from letterbox.hindsight import Fits, Replay, Undo
from letterbox.model.configuration import Configuration
from letterbox.model.reason import Registry
from letterbox.model.taxonomy import Taxonomy
from letterbox.ports.clock import Clock
from letterbox.ports.store import Store
from letterbox.records.consumers import Consumers
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.sessions import Sessions
from letterbox.records.vendors import Vendors


class Parts(NamedTuple):
    """Everything the pages reach; those of the broker, by the same names.

    ``public_url`` gives our own address without a final slash; it is known once we listen.
    """

    store: Store
    clock: Clock
    configuration: Configuration
    sessions: Sessions
    consumers: Consumers
    vendors: Vendors
    mailboxes: Mailboxes
    holds: Holds
    relations: Relations
    complaints: Complaints
    requests: Requests
    undo: Undo
    fits: Fits
    replay: Replay
    taxonomy: Taxonomy
    explanations: Explanations
    sentences: Sentences
    registry: Registry
    public_url: Callable[[], str]
