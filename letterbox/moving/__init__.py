"""A whole installation is moved to another store, backed up and restored."""

from letterbox.moving.backup import back_up, check
from letterbox.moving.copy import Copied, Report, Unequal, copy

__all__ = ["Copied", "Report", "Unequal", "back_up", "check", "copy"]
