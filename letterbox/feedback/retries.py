"""When a call that failed is made again, and when no more. Pure."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec.structs import replace

from letterbox.model.webhook import Aside, DeliveryOutcome, Progress

#: How long an event is tried, and how long an endpoint may be silent.
LAST: Final = timedelta(days=3)
#: How long one event may keep the others waiting.
_PATIENCE: Final = timedelta(hours=1)
#: After the first failure, the second, and so on, the last of them ever after; each is made half
#: as long to half as long again, so that those who failed together do not come back together.
_DELAYS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=3),
    timedelta(minutes=15),
    timedelta(minutes=45),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=6),
)
#: Events of one endpoint that are tried by themselves.
_MOST_ASIDE: Final = 20


class Failed(NamedTuple):
    """A call that failed. ``later`` is what its answer asks to wait, ``gone`` that it was a 410.

    ``aside`` where it was of an event that was set aside; ``jitter`` is from 0 up to 1.
    """

    sequence: int
    aside: Aside | None
    at: datetime
    later: timedelta
    gone: bool
    jitter: float


def after_success(
    progress: Progress, sequence: int, aside: Aside | None, now: datetime
) -> Progress:
    """Progress once an event has arrived."""
    asides = tuple(each for each in progress.asides if each != aside)
    if not progress.may_set_aside:
        # The first to arrive since one was set aside: that may have been all there was to it.
        asides = tuple(replace(each, next=min(each.next, now)) for each in asides)
    arrived = replace(
        progress, asides=asides, may_set_aside=True, silent=None, not_before=None, next=None
    )
    if aside is not None:
        return arrived
    return replace(arrived, cursor=sequence, failures=0, failing=None)


def after_failure(progress: Progress, failed: Failed) -> tuple[Progress, DeliveryOutcome]:
    """Progress once a call has failed, and what that makes of the event, or the endpoint.

    One that is disabled keeps its place.
    """
    now = failed.at
    silent = progress.silent or now
    progress = replace(progress, silent=silent)
    if failed.later:
        progress = replace(progress, not_before=now + failed.later)
    if failed.gone or now - silent >= LAST:
        return progress, "disabled"
    if failed.aside is not None:
        return _aside_failed(progress, failed, failed.aside)
    failures = progress.failures + 1
    failing = progress.failing or now
    again = _again(failures, failed, silent + LAST)
    patience = failing + _PATIENCE
    if progress.may_set_aside and len(progress.asides) < _MOST_ASIDE:
        if now >= patience:
            aside = Aside(sequence=failed.sequence, failing=failing, next=again, failures=failures)
            return _set_aside(progress, aside), "set-aside"
        again = min(again, patience)
    return replace(progress, failures=failures, failing=failing, next=again), "failed"


def _set_aside(progress: Progress, aside: Aside) -> Progress:
    """The next one has its turn; no other is set aside before anything has arrived."""
    return replace(
        progress,
        cursor=aside.sequence,
        failures=0,
        failing=None,
        next=None,
        asides=(*progress.asides, aside),
        may_set_aside=False,
    )


def _aside_failed(
    progress: Progress, failed: Failed, aside: Aside
) -> tuple[Progress, DeliveryOutcome]:
    rest = tuple(each for each in progress.asides if each.sequence != aside.sequence)
    if failed.at - aside.failing >= LAST:
        return replace(progress, asides=rest), "given-up"
    failures = aside.failures + 1
    again = _again(failures, failed, aside.failing + LAST)
    later = replace(aside, failures=failures, next=again)
    return replace(progress, asides=(*rest, later)), "failed"


def enabled(progress: Progress, now: datetime) -> Progress:
    """Progress of an endpoint that is called again: as if nothing had failed yet."""
    asides = tuple(replace(each, failing=now, next=now, failures=0) for each in progress.asides)
    return Progress(cursor=progress.cursor, asides=asides, lines=progress.lines)


def _again(failures: int, failed: Failed, last: datetime) -> datetime:
    """When to try again after so many failures: for the last time at ``last``."""
    delay = _DELAYS[min(failures, len(_DELAYS)) - 1] * (0.5 + failed.jitter)
    return min(failed.at + delay, max(last, failed.at + _DELAYS[0]))
