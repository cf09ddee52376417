"""Examples of old mail that was read, and of mail that is expected."""

from typing import Any, Final

from letterbox.gateways.http.forms import Items
from letterbox.gateways.http.starting import (
    Choices,
    Expect,
    ExpectingItem,
    ImportItem,
    ProposalItem,
    Script,
)
from letterbox.records.imports import Source
from letterbox.starting import Adopted, SieveRead

_AT: Final = "2026-11-23T12:00:00Z"
_SOURCE: Final = {
    "sort": "mbox",
    "at": _AT,
    "position": "204800000",
    "done": 204800000,
    "total": 204800000,
    "read": 19706,
    "unread": 294,
    "ended": True,
}
_PROPOSAL: Final = {
    "key": "shop.example",
    "proposal": {
        "domain": "shop.example",
        "address": None,
        "vendor": None,
        "name": "The Shop",
        "kinds": {"service": 3, "offer": 40},
        "count": 43,
        "first": "2025-11-20T08:00:00Z",
        "last": "2026-11-20T08:00:00Z",
        "per_month": 3.6,
        "authors": ["news@mail.shop.example"],
        "signers": [],
        "rule": {
            "domain": "shop.example",
            "accepts": ["service", "offer"],
            "scope": "everything",
            "limit": {"messages": 4, "per": "month"},
        },
        "known": False,
        "standing": None,
    },
}
_EXPECTING: Final = {
    "key": "anna+k7p2m9xw@letterbox.example",
    "expecting": {
        "from": _AT,
        "until": "2026-11-24T12:00:00Z",
        "address": "anna+k7p2m9xw@letterbox.example",
    },
    "over": False,
    "made": None,
}
_ADOPTED: Final = {
    "revision": 12,
    "changed": ["shop.example"],
    "unchanged": [],
    "failed": [{"key": "unheard.example", "why": "nothing of that name was found"}],
}

STARTING: Final[dict[Any, Any]] = {
    ImportItem: {
        "begun": _AT,
        "at": _AT,
        "read": 19706,
        "unread": 294,
        "over": 0,
        "companies": 213,
        "people": 48,
        "sources": [_SOURCE],
    },
    Source: _SOURCE,
    Items[ProposalItem]: {"items": [_PROPOSAL], "after": None},
    Choices: {"choices": {"shop.example": {"do": "limit"}, "unheard.example": {"do": "lock-out"}}},
    Adopted: _ADOPTED,
    Script: {
        "script": 'if address :domain "from" "shop.example" { discard; }',
        "dry_run": False,
    },
    SieveRead: {
        "mapped": [{"line": 1, "key": "shop.example", "do": "lock-out"}],
        "unmapped": [],
        "adopted": _ADOPTED,
    },
    Items[ExpectingItem]: {"items": [_EXPECTING], "after": None},
    Expect: {"address": True, "hours": 24},
    ExpectingItem: {**_EXPECTING, "made": "anna+k7p2m9xw@letterbox.example"},
}
