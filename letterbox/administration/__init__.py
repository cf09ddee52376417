"""Administration: what the operator does, whether through the admin socket or directly.

Every command takes and gives plain data, prints nothing and says nothing to the outside.
"""

from letterbox.administration.commands import Administration
from letterbox.administration.failed import Failed

__all__ = ["Administration", "Failed"]
