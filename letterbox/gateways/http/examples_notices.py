"""Examples of what the letterbox tells a consumer of itself, and by which channels."""

from typing import Any, Final

from letterbox.gateways.http.forms import Items
from letterbox.gateways.http.notices import (
    ChannelItem,
    ChannelTried,
    DigestItem,
    DigestSent,
    NewChannel,
    PushKey,
)

_AT: Final = "2026-11-23T12:00:00Z"
_CHANNEL: Final = {
    "id": "019ab0c1f8004c7d93e25b6a1f0d8e42",
    "kind": "webhook",
    "url": "https://hooks.example/letterbox",
    "created": _AT,
    "label": "the lamp in the hall",
    "last": _AT,
}

NOTICES: Final[dict[Any, Any]] = {
    DigestItem: {"next": "2026-11-23T17:00:00Z", "to": "anna@elsewhere.example", "last": None},
    DigestSent: {"outcome": "sent"},
    NewChannel: {
        "kind": "webhook",
        "url": "https://hooks.example/letterbox",
        "label": "the lamp in the hall",
    },
    ChannelItem: _CHANNEL | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="},
    Items[ChannelItem]: {"items": [_CHANNEL], "after": None},
    ChannelTried: {"arrived": True, "status": 204},
    PushKey: {
        "key": "BNMtJ2xHrZq5sV4yFf0Yb0B0J8g0a2m1oD4w7kqNw1TqZ3mD3yqzJ8bYV0bWkQ7cZ8b1yYv0cJr9m0y3dQ8"
    },
}
