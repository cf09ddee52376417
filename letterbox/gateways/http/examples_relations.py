"""Examples of what consumers see of what was told, and of asking to come back."""

from typing import Any, Final

from letterbox.gateways.http.activity import ActivityItem
from letterbox.gateways.http.cleaned import CleanedItem
from letterbox.gateways.http.forms import Items
from letterbox.gateways.http.objections import (
    ObjectedAnswer,
    ObjectionDetail,
    ObjectionItem,
    ObjectWord,
)
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
_EVIDENCE = {
    "decision": _ID,
    "received": _AT,
    "sender": "news@greenleaf.example",
    "recipient": "anna@letterbox.example",
    "subject": "Spring is here",
    "kind": "newsletter",
    "domain": "greenleaf.example",
    "how": "dkim",
    "message_id": "mailing-7@greenleaf.example",
    "results": "letterbox.example; dkim=pass header.d=greenleaf.example",
    "sha256": "3f1c2b0a9d8e7f60514233445566778899aabbccddeeff00112233445566aabb",
}
_OBJECTION = {
    "id": _ID,
    "at": _AT,
    "vendor": "greenleaf",
    "name": "Greenleaf Garden",
    "domains": ["greenleaf.example"],
    "service": True,
    "evidence": _EVIDENCE,
    "asked": {
        "way": "one-click",
        "outcome": "taken",
        "to": "https://off.greenleaf.example/u/7",
        "answer": "200",
        "at": _AT,
    },
    "breaches": 1,
    "last": "2026-11-30T09:00:00Z",
}

RELATIONS: Final[dict[Any, Any]] = {
    CleanedItem: {
        "id": _ID,
        "grade": "careful",
        "text": "Pruners from 24.95: https://greenleaf.example/pruners",
        "html": '<a href="https://greenleaf.example/pruners">Pruners from 24.95</a>',
        "images": 3,
        "links": 2,
        "parameters": 1,
        "findings": [
            {
                "what": "parameter",
                "removed": True,
                "why": "parameter",
                "host": "greenleaf.example",
                "address": "mc_eid=9f2c41d07a",
                "name": "mc_eid",
            },
            {
                "what": "link",
                "removed": False,
                "why": "unsubscribe",
                "host": "greenleaf.example",
                "address": "https://greenleaf.example/unsubscribe?e=9f2c41d07a",
                "name": "",
            },
        ],
        "more": 0,
        "untouched": [],
    },
    Reconnect: {"accept": True, "note": "We had you on two lists, and have mended that."},
    ReconnectAnswer: {"reference": _REFERENCE, "state": "asked", "until": "2026-12-07"},
    RequestItem: _REQUEST,
    Items[RequestItem]: {"items": [_REQUEST], "after": None},
    ObjectWord: {"because": "never-asked", "service": True},
    ObjectedAnswer: {
        "id": _ID,
        "sentence": "You take no newsletters from Greenleaf Garden.",
        "before": {"vendor": "greenleaf"},
        "after": {"vendor": "greenleaf", "accepts": ["service"]},
        "made": True,
        "objection": {
            key: value
            for key, value in _OBJECTION.items()
            if key not in {"last", "asked", "breaches"}
        }
        | {
            "asked": {
                "way": "one-click",
                "outcome": "owed",
                "to": "https://off.greenleaf.example/u/7",
            },
            "breaches": 0,
        },
    },
    Items[ObjectionItem]: {"items": [_OBJECTION], "after": None},
    ObjectionDetail: _OBJECTION
    | {"came": [_EVIDENCE | {"received": "2026-11-30T09:00:00Z", "subject": "More spring"}]},
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
