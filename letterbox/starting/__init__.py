"""Starting: what old mail suggests, and what a person makes of it."""

from letterbox.starting.adoption import Adopted, Adoption, NotAdopted
from letterbox.starting.expecting import Expectations, NotThere, Opened
from letterbox.starting.sieve import Sieve, SieveRead
from letterbox.starting.upload import Uploads

__all__ = [
    "Adopted",
    "Adoption",
    "Expectations",
    "NotAdopted",
    "NotThere",
    "Opened",
    "Sieve",
    "SieveRead",
    "Uploads",
]
