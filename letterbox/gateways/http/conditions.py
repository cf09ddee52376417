"""Guards of a change: ``If-Match`` and ``If-None-Match`` (RFC 9110, section 13)."""

from aiohttp import web

from letterbox.gateways.http.call import Call
from letterbox.gateways.http.problems import Problem


def etag(revision: int) -> str:
    """The strong tag of a revision."""
    return f'"{revision}"'


def unchanged(call: Call, revision: int) -> web.Response | None:
    """An answer without the document (304), where the caller has that revision."""
    tag = etag(revision)
    if tag in _tags(call.request.headers.get("If-None-Match", "")):
        return web.Response(status=web.HTTPNotModified.status_code, headers={"ETag": tag})
    return None


def guard(call: Call, revision: int) -> None:
    """Let a change through only where it was made in what stands: ``revision``, 0 for nothing.

    ``If-None-Match: *`` asks that there is nothing yet. Raises a 428 without either field.
    """
    expected = call.request.headers.get("If-Match")
    if expected is None:
        if call.request.headers.get("If-None-Match", "").strip() != "*":
            raise Problem("precondition-required")
        if revision:
            raise changed(revision)
    elif not revision or (expected.strip() != "*" and etag(revision) not in _tags(expected)):
        raise changed(revision)


def changed(revision: int) -> Problem:
    """What was changed is not what stands."""
    if not revision:
        return Problem("changed", "it is not there any more")
    tag = etag(revision)
    return Problem("changed", f"its ETag is {tag} now", headers={"ETag": tag})


def _tags(field: str) -> set[str]:
    """The strong tags of a list; ours hold no comma."""
    return {tag.strip() for tag in field.split(",")}
