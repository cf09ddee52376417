"""Examples of what consumers see of what was told, and of asking to come back."""

from typing import Any, Final

from letterbox.gateways.http.activity import ActivityItem
from letterbox.gateways.http.forms import Items
from letterbox.gateways.http.requests import Reconnect, ReconnectAnswer, RequestItem
from letterbox.gateways.http.told import PreviewItem

_ID: Final = "019ab0c1f8004c7d93e25b6a1f0d8e42"
_REFERENCE: Final = "5f0c6a1be2d94783a0b1c94e7d3f2816"
_AT: Final = "2026-11-23T12:00:00Z"
_REASON: Final = {
    "code": "choice",
    "class": "choice",
    "title": "The recipient does not want this",
    "final": False,
    "url": f"https://letterbox.example/r/{_REFERENCE}",
}
_REQUEST = {
    "id": _ID,
    "at": _AT,
    "vendor": "greenleaf",
    "name": "Greenleaf Garden",
    "recipient": "anna@letterbox.example",
    "accepts": ["at most 1 per month"],
    "note": "We had you on two lists, and have mended that.",
    "state": "waiting",
    "until": "2026-12-07T23:00:00Z",
    "sentence": "Greenleaf Garden asks to come back. "
    "You can answer up to and including Monday 7 December; no answer is a no.",
    "becomes": {"vendor": "greenleaf", "limit": {"messages": 1, "per": "month"}},
}

RELATIONS: Final[dict[Any, Any]] = {
    Reconnect: {"accept": True, "note": "We had you on two lists, and have mended that."},
    ReconnectAnswer: {"reference": _REFERENCE, "state": "asked", "until": "2026-12-07"},
    RequestItem: _REQUEST,
    Items[RequestItem]: {"items": [_REQUEST], "after": None},
    Items[ActivityItem]: {
        "items": [
            {
                "id": _ID,
                "at": _AT,
                "type": "decision",
                "vendor": "greenleaf",
                "name": "Greenleaf Garden",
                "recipient": "anna@letterbox.example",
                "told": [
                    {
                        "channel": "feed",
                        "verdict": "refuse",
                        "reference": _REFERENCE,
                        "reason": _REASON,
                    }
                ],
                "text": [],
                "decision": _ID,
            }
        ],
        "after": None,
    },
    PreviewItem: {
        "decision": _ID,
        "tells": "class",
        "line": "550 5.7.1 choice: The recipient does not want this. "
        f"https://letterbox.example/r/{_REFERENCE}",
        "result": {
            "to": "anna@letterbox.example",
            "verdict": "refuse",
            "reference": _REFERENCE,
            "reason": {
                "code": "choice",
                "class": "choice",
                "title": "The recipient does not want this",
                "final": False,
                "url": f"https://letterbox.example/r/{_REFERENCE}",
            },
        },
        "events": [],
    },
}
