"""Pages for consumers and vendors: read models, templates, forms. No rule is written here."""

from letterbox.web.parts import Parts
from letterbox.web.room import Room

__all__ = ["Parts", "Room"]
