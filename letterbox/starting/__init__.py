"""Starting: what old mail suggests, and what a person makes of it."""

from letterbox.starting.adoption import Adopted, Adoption, NotAdopted

__all__ = ["Adopted", "Adoption", "NotAdopted"]
