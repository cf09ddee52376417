"""Commits of one call, in order, as every store applies them."""

from collections.abc import Callable, Iterable

from letterbox.ports.store import Commit, Rejected, Result


def apply_in_order(commits: Iterable[Commit], apply: Callable[[Commit], Result]) -> list[Result]:
    """Apply each; leave out one ``with_all`` when one before it was left out."""
    results: list[Result] = []
    rejected: Rejected | None = None
    for commit in commits:
        result = rejected if commit.with_all and rejected else apply(commit)
        if rejected is None and isinstance(result, Rejected):
            rejected = result
        results.append(result)
    return results
