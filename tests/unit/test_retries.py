"""When a call that failed is made again: seconds, minutes, hours, three days, and no more."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from msgspec.structs import replace

from letterbox.feedback.retries import Failed, after_failure, after_success, enabled
from letterbox.model.webhook import Aside, Progress

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def failed(sequence=1, *, at=NOW, aside=None, later=timedelta(0), gone=False, jitter=0.5):
    return Failed(sequence, aside, at, later, gone, jitter)


def down(progress: Progress, *, jitter: float, until: timedelta) -> list[tuple[datetime, str]]:
    """Every try of the head, while nothing arrives, with what came of it."""
    tries = []
    at = NOW
    while at - NOW <= until:
        progress, outcome = after_failure(
            progress, failed(progress.cursor + 1, at=at, jitter=jitter)
        )
        tries.append((at, outcome))
        if outcome != "failed":
            break
        at = progress.next or at
    return tries


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_the_first_retries_come_soon(jitter):
    first, _ = after_failure(Progress(cursor=0), failed(jitter=jitter))
    wait = first.next - NOW
    assert timedelta(seconds=2.5) <= wait <= timedelta(seconds=7.5)
    second, _ = after_failure(first, failed(at=first.next, jitter=jitter))
    assert timedelta(seconds=30) <= second.next - first.next <= timedelta(minutes=5)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_it_backs_off_over_three_days_and_ends_there(jitter):
    progress = replace(Progress(cursor=0), may_set_aside=False)
    tries = down(progress, jitter=jitter, until=10 * DAY)
    assert tries[-1] == (NOW + 3 * DAY, "disabled")
    assert {outcome for _, outcome in tries[:-1]} == {"failed"}
    waits = [b - a for (a, _), (b, _) in pairwise(tries[:-1])]
    assert waits == sorted(waits)
    assert max(waits) <= timedelta(hours=9)
    assert len(tries) < 40


def test_jitter_parts_those_who_failed_together():
    waits = {after_failure(Progress(cursor=0), failed(jitter=j / 10))[0].next for j in range(10)}
    assert len(waits) == 10


@pytest.mark.parametrize("jitter", [0.0, 0.999])
def test_an_event_keeps_the_others_waiting_for_an_hour(jitter):
    tries = down(Progress(cursor=0), jitter=jitter, until=HOUR)
    assert tries[-1] == (NOW + HOUR, "set-aside")
    assert {outcome for _, outcome in tries[:-1]} == {"failed"}


def test_one_is_set_aside_until_something_arrives():
    late = NOW + 2 * HOUR
    progress = Progress(cursor=0, failures=4, failing=NOW, silent=NOW)
    progress, outcome = after_failure(progress, failed(1, at=late))
    assert (outcome, progress.cursor, progress.next) == ("set-aside", 1, None)
    assert [aside.sequence for aside in progress.asides] == [1]
    for hours in (2, 2.5, 2.9):
        progress, outcome = after_failure(progress, failed(2, at=NOW + hours * HOUR))
        assert (outcome, progress.cursor) == ("failed", 1)
    progress = after_success(progress, 2, None, NOW + 3 * HOUR)
    assert progress.may_set_aside
    # Whatever failed with the rest is tried at once, when the receiver is there again.
    assert [aside.next for aside in progress.asides] == [NOW + 3 * HOUR]
    # And then it goes its own way, however much else arrives.
    aside = progress.asides[0]
    progress, _ = after_failure(progress, failed(1, at=NOW + 9 * HOUR, aside=aside))
    own = progress.asides[0].next
    progress = after_success(progress, 3, None, NOW + 9 * HOUR)
    assert [aside.next for aside in progress.asides] == [own]


def test_one_that_was_set_aside_is_given_up_after_three_days():
    aside = Aside(sequence=1, failing=NOW, next=NOW + 3 * DAY, failures=20)
    progress = Progress(cursor=9, asides=(aside,))
    progress, outcome = after_failure(progress, failed(1, at=NOW + 3 * DAY, aside=aside))
    assert (outcome, progress.asides, progress.cursor) == ("given-up", (), 9)


def test_so_many_are_set_aside_and_no_more():
    asides = tuple(Aside(n, NOW, NOW + DAY, 5) for n in range(20))
    progress = Progress(cursor=30, failures=9, failing=NOW - DAY, asides=asides, silent=NOW)
    progress, outcome = after_failure(progress, failed(31, at=NOW))
    assert (outcome, len(progress.asides), progress.cursor) == ("failed", 20, 30)
    assert progress.next > NOW


@pytest.mark.parametrize("sort", ["head", "aside"])
def test_who_is_gone_is_called_no_more_and_keeps_its_place(sort):
    aside = Aside(sequence=1, failing=NOW, next=NOW, failures=1)
    progress = Progress(cursor=4, asides=(aside,))
    tried = failed(5, gone=True) if sort == "head" else failed(1, gone=True, aside=aside)
    progress, outcome = after_failure(progress, tried)
    assert (outcome, progress.cursor, progress.asides) == ("disabled", 4, (aside,))


def test_what_a_receiver_asks_for_holds_for_all_that_is_sent_there():
    progress, _ = after_failure(Progress(cursor=0), failed(later=2 * HOUR))
    assert progress.not_before == NOW + 2 * HOUR
    assert after_success(progress, 1, None, NOW).not_before is None


def test_enabled_again_it_begins_anew_where_it_stopped():
    aside = Aside(sequence=1, failing=NOW - 3 * DAY, next=NOW + DAY, failures=30)
    progress = Progress(
        cursor=4,
        failures=9,
        failing=NOW - 3 * DAY,
        next=NOW + DAY,
        asides=(aside,),
        may_set_aside=False,
        silent=NOW - 3 * DAY,
        not_before=NOW + DAY,
        lines=70,
    )
    begun = enabled(progress, NOW)
    assert begun == Progress(cursor=4, asides=(Aside(1, NOW, NOW, 0),), lines=70)
    assert after_failure(begun, failed(5))[1] == "failed"
