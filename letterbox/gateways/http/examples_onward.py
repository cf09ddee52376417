"""Examples of mailboxes elsewhere, and of what became of handing mail on."""

from typing import Any, Final

from letterbox.gateways.http.destinations import DestinationItem, NewDestination
from letterbox.gateways.http.forms import Items

_ADDRESS: Final = "anna@provider.example"
_DESTINATION: Final = {
    "id": "0d5c1f2a9b8e47c3a6f0e1d2c3b4a596",
    "kind": "mail",
    "address": _ADDRESS,
    "added_at": "2026-11-23T12:00:00Z",
    "confirmed_at": None,
    "letter": "sent",
}
#: How the handing on of a message stands that waits for another try.
HANDED_ON: Final = {
    "to": _ADDRESS,
    "state": "owed",
    "sentence": "It is on its way to anna@provider.example, which has not taken it yet; "
    "it is tried again. The server said: 452 4.2.2 mailbox full",
    "since": "2026-11-23T12:00:00Z",
    "attempts": 2,
    "at": "2026-11-23T12:05:00Z",
    "next": "2026-11-23T12:20:00Z",
    "detail": "452 4.2.2 mailbox full",
}

ONWARD: Final[dict[Any, Any]] = {
    NewDestination: {"address": _ADDRESS},
    DestinationItem: _DESTINATION,
    Items[DestinationItem]: {"items": [_DESTINATION], "after": None},
}
