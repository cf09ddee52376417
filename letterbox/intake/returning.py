"""What comes back of mail that was handed on: refused by its next server, or round again to us."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from letterbox.intake.bounces import Bounces
from letterbox.intake.rounds import Rounds
from letterbox.metrics import Metrics
from letterbox.model.configuration import Configuration
from letterbox.model.record import InboxEntry
from letterbox.ports.clock import Clock
from letterbox.reading.mail import Limits
from letterbox.records.elsewhere import Elsewhere


class Returning(NamedTuple):
    """Both ways of it."""

    bounces: Bounces
    rounds: Rounds


def returning(
    configuration: Configuration,
    elsewhere: Elsewhere,
    *,
    clock: Clock,
    limits: Limits,
    metrics: Metrics,
    bounced: Callable[[str, InboxEntry], Awaitable[None]],
) -> Returning:
    """Both, wired. ``bounced`` is told whose mail has come back, and which."""
    bounces = Bounces(
        secret=elsewhere.secret,
        clock=clock,
        records=elsewhere.onward,
        limits=limits,
        domain=configuration.return_domain,
        metrics=metrics,
        bounced=bounced,
    )
    return Returning(bounces, Rounds(elsewhere.secret, configuration.hostname))
