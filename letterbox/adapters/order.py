"""Commits of one call, in order, as every store applies them."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from letterbox.ports.store import Commit, Rejected, Result, shard_of


def apply_in_order(commits: Iterable[Commit], apply: Callable[[Commit], Result]) -> list[Result]:
    """Apply each; leave out what is bound to one before it that was left out."""
    results: list[Result] = []
    rejected: Rejected | None = None
    for commit in commits:
        result = _left_out(commit, rejected, results) or apply(commit)
        if rejected is None and isinstance(result, Rejected):
            rejected = result
        results.append(result)
    return results


async def apply_in_runs(
    commits: Sequence[Commit], apply: Callable[[Sequence[Commit]], Awaitable[Sequence[Result]]]
) -> list[Result]:
    """The same where only commits to one shard can be applied together.

    ``apply`` takes a run of them, and leaves out itself what is bound to another of the run.
    """
    results: list[Result] = []
    rejected: Rejected | None = None
    while len(results) < len(commits):
        stopped = _left_out(commits[len(results)], rejected, results)
        if stopped is not None:
            results.append(stopped)
            continue
        results += await apply(_run(commits[len(results) :], rejected))
        rejected = rejected or next((r for r in results if isinstance(r, Rejected)), None)
    return results


def _run(commits: Sequence[Commit], rejected: Rejected | None) -> Sequence[Commit]:
    """The first, and those after it that can be applied with it."""
    shard = shard_of(commits[0].partition)
    count = 1
    for commit in commits[1:]:
        if shard_of(commit.partition) != shard or (rejected and commit.with_all):
            break
        count += 1
    return commits[:count]


def _left_out(
    commit: Commit, rejected: Rejected | None, results: Sequence[Result]
) -> Rejected | None:
    """What leaves a commit out: the first that was rejected, or the one just before it."""
    if commit.with_previous and results and isinstance(results[-1], Rejected):
        return results[-1]
    return rejected if commit.with_all else None
