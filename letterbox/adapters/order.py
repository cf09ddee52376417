"""Commits of one call, in order, as every store applies them."""

from collections.abc import Callable, Iterable

from letterbox.ports.store import Commit, Rejected, Result


def apply_in_order(commits: Iterable[Commit], apply: Callable[[Commit], Result]) -> list[Result]:
    """Apply each; leave out what is bound to one before it that was left out."""
    results: list[Result] = []
    rejected: Rejected | None = None
    for commit in commits:
        stopped: Result | None = rejected if commit.with_all else None
        if commit.with_previous and results and isinstance(results[-1], Rejected):
            stopped = results[-1]
        result = stopped or apply(commit)
        if rejected is None and isinstance(result, Rejected):
            rejected = result
        results.append(result)
    return results
