"""The embedded store, over SQLite."""

from letterbox.adapters.sqlite.keeper import Keeper
from letterbox.adapters.sqlite.schema import NotAStore, SchemaTooNew
from letterbox.adapters.sqlite.store import SqliteStore

__all__ = ["Keeper", "NotAStore", "SchemaTooNew", "SqliteStore"]
