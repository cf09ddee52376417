"""Administration: what the operator does, whether through the admin socket or directly.

Every command takes and gives plain data, prints nothing and says nothing to the outside.
"""

from typing import TYPE_CHECKING, Any

from letterbox.administration.failed import Failed

if TYPE_CHECKING:
    from letterbox.administration.commands import Administration

__all__ = ["Administration", "Failed"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: a command line that has a running server do its work, or only reads
    # the configuration, does without the broker behind the commands and answers sooner.
    if name != "Administration":
        raise AttributeError(name)
    from letterbox.administration.commands import Administration

    return Administration
