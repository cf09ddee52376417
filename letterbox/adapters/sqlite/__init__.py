"""The embedded store, over SQLite."""

from letterbox.adapters.sqlite.schema import NotAStore, SchemaTooNew
from letterbox.adapters.sqlite.store import SqliteStore

__all__ = ["NotAStore", "SchemaTooNew", "SqliteStore"]
