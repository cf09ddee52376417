"""What objects are called where they are kept: spread over 4,096 folders, and plain to read."""

from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote

#: Octets of a name, percent-encoded: file systems take 255 for the whole of it.
_LONGEST: Final = 200
_ENDING: Final = ".eml"


def path_of(name: str) -> str:
    """Folder and file of an object. Raises ValueError for a name that is too long."""
    quoted = quote(name, safe="")
    if len(quoted) > _LONGEST:
        raise ValueError(f"the name of an object has {len(quoted)} octets, {_LONGEST} at most")
    return f"{sha256(name.encode()).hexdigest()[:3]}/{quoted}{_ENDING}"


def name_of(path: str) -> str | None:
    """The name of the object that lies there; None for what is no object of ours."""
    file = path.rpartition("/")[2]
    name = unquote(file.removesuffix(_ENDING))
    return name if file.endswith(_ENDING) and path_of(name) == path else None
