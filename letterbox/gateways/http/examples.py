"""One example for every type of body; a test decodes each of them as its type."""

from typing import Any

from letterbox.feedback.events import FeedItem
from letterbox.gateways.http.examples_notices import NOTICES
from letterbox.gateways.http.examples_onward import HANDED_ON, ONWARD
from letterbox.gateways.http.examples_relations import RELATIONS
from letterbox.gateways.http.examples_starting import STARTING
from letterbox.gateways.http.examples_suggestions import SUGGESTIONS
from letterbox.gateways.http.forms import (
    AdvertisingAnswer,
    Answer,
    ChangeItem,
    DecisionItem,
    Erasing,
    HeldAnswer,
    HeldItem,
    HeldWord,
    InboxItem,
    Items,
    Marks,
    NewMessage,
    Nothing,
    ReplayForm,
    StrangersItem,
    UndoAnswer,
    UndoForm,
    UnwantedAnswer,
    UnwantedWord,
)
from letterbox.gateways.http.keys import KeyItem, NewKey, Rotation
from letterbox.gateways.http.pieces import PieceItem
from letterbox.gateways.http.preflight import PreflightAnswer
from letterbox.gateways.http.stats import Stats
from letterbox.gateways.http.vendor import (
    DomainItem,
    NewcomerItem,
    NewDomain,
    NewVendor,
    ReplyForm,
    VendorItem,
)
from letterbox.gateways.http.webhooks import (
    DeliveryItem,
    NewWebhook,
    Tried,
    WebhookChange,
    WebhookItem,
    WebhookRotation,
)
from letterbox.hindsight import Replayed
from letterbox.model.preferences import BoundAddress, Interest, Preferences, VendorRule, Window
from letterbox.records.changes import Change

_ID = "019ab0c1f8004c7d93e25b6a1f0d8e42"
_REFERENCE = "5f0c6a1be2d94783a0b1c94e7d3f2816"
_AT = "2026-11-23T12:00:00Z"

_REASON = {
    "code": "price-above-limit",
    "class": "choice",
    "title": "The price is above the limit",
    "final": False,
    "url": f"https://letterbox.example/r/{_REFERENCE}",
    "detail": "The price is above the limit",
    "remedies": ["at most 150.00 EUR"],
}
_ENTRY = {
    "id": _ID,
    "at": _AT,
    "vendor": "greenleaf",
    "sender": "news@greenleaf.example",
    "recipient": "anna@letterbox.example",
    "subject": "Pruners for spring",
    "kind": "offer",
    "interests": ["garden-tools"],
    "size": 4096,
    "read": False,
    "onward": HANDED_ON,
    "flags": [
        {
            "code": "forwarded",
            "sentence": "It was passed on: that it is from greenleaf.example, "
            "mail.school.example says.",
            "facts": {"by": "mail.school.example", "domain": "greenleaf.example"},
        }
    ],
    "handed": {"at": _AT, "said": "250 2.0.0 Ok: queued as 4c0ffee", "taken": True},
}
_DOMAIN = {
    "domain": "greenleaf.example",
    "state": "pending",
    "basis": "dns",
    "record": {
        "name": "_letterbox-challenge.greenleaf.example",
        "type": "TXT",
        "value": f"letterbox-verification={_REFERENCE}",
    },
}
_KEY = {
    "prefix": "lbk_1a2B3c4D",
    "label": "newsletter tool",
    "scopes": ["send"],
    "issued": _AT,
    "used": _AT,
}
_WEBHOOK = {
    "id": _ID,
    "url": "https://hooks.greenleaf.example/letterbox",
    "created": _AT,
    "signing": "hmac",
    "events": ["message.refused", "message.released"],
}
_DECISION = {
    "id": _ID,
    "at": _AT,
    "message": _ID,
    "vendor": "Greenleaf Garden",
    "sender": "news@greenleaf.example",
    "recipient": "anna@letterbox.example",
    "subject": "Pruners for spring",
    "kind": "offer",
    "verdict": "refuse",
    "reason": "price-above-limit",
    "until": None,
    "sentence": "169.95 EUR is above your limit of 150.00 EUR for garden-tools.",
    "findings": [
        {
            "filter": "interest",
            "verdict": "refuse",
            "reason": "price-above-limit",
            "facts": {
                "interest": "garden-tools",
                "price": "169.95 EUR",
                "limit": "150.00 EUR",
            },
        }
    ],
    "preferences_version": 7,
}

_INTEREST = {
    "id": "garden-tools",
    "categories": ["home-garden/garden-tools"],
    "max_price": {"amount": "150.00", "currency": "EUR"},
}
_WINDOW = {"days": ["sat", "sun"], "from": "09:00", "until": "12:00", "kinds": ["offer"]}
_VENDOR = {"vendor": "greenleaf", "accepts": ["service", "offer"], "tells": "remedy"}
_BOUND = {"address": "anna+garden@letterbox.example", "vendor": "greenleaf"}

_CHANGE = {
    "id": "5f0c6a1be2d9",
    "sentence": "garden-tools: up to 170.00 EUR",
    "changes": [
        {
            "piece": "interest",
            "id": "garden-tools",
            "before": _INTEREST,
            "after": _INTEREST | {"max_price": {"amount": "170", "currency": "EUR"}},
        }
    ],
    "others": 3,
    "unjudged": 0,
    "days": 30,
}


def _listed(name: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"items": [{"id": name, "etag": '"7"', "value": value}], "after": None}


EXAMPLES: dict[Any, Any] = {
    NewMessage: {
        "to": ["anna@letterbox.example"],
        "kind": "offer",
        "subject": "Pruners for spring",
        "text": "The good ones, for 149.95.",
        "reference": "spring-2027/anna",
        "offer": {
            "categories": ["home-garden/garden-tools"],
            "title": "Bypass pruner",
            "brand": "Felix",
            "price": {"amount": "149.95", "currency": "EUR"},
            "region": "NL",
            "keywords": ["pruner"],
            "valid_from": "2027-03-01",
            "valid_until": "2027-03-31",
        },
    },
    Answer: {
        "id": _ID,
        "results": [
            {
                "to": "anna@letterbox.example",
                "verdict": "refuse",
                "reference": _REFERENCE,
                "reason": _REASON,
                "your_reference": "spring-2027/anna",
            }
        ],
    },
    Preferences: {
        "addresses": [
            "anna@letterbox.example",
            {"address": "anna+garden@letterbox.example", "vendor": "greenleaf"},
        ],
        "timezone": "Europe/Amsterdam",
        "language": "nl",
        "limit": {"messages": 20, "per": "week"},
        "digest": {"at": ["09:00", "18:00"], "days": ["mon", "fri"]},
        "notify": {
            "about": ["personal", "waiting"],
            "quiet": [{"from": "22:00", "until": "08:00"}],
        },
        "interest": [
            {
                "id": "garden-tools",
                "categories": ["home-garden/garden-tools"],
                "keywords": {"any": ["snoeischaar", "pruner"]},
                "max_price": {"amount": "150.00", "currency": "EUR"},
                "from": "2027-03-01",
                "until": "2027-05-31",
            }
        ],
        "window": [{"days": ["sat", "sun"], "from": "09:00", "until": "12:00", "kinds": ["offer"]}],
        "vendor": [{"vendor": "greenleaf", "accepts": ["service", "offer"], "tells": "remedy"}],
    },
    Interest: _INTEREST,
    Window: _WINDOW,
    VendorRule: _VENDOR,
    BoundAddress: _BOUND,
    Items[PieceItem[Interest]]: _listed("garden-tools", _INTEREST),
    Items[PieceItem[Window]]: _listed("~5f0c6a1be2d9", _WINDOW),
    Items[PieceItem[VendorRule]]: _listed("greenleaf", _VENDOR),
    Items[PieceItem[BoundAddress]]: _listed("anna+garden@letterbox.example", _BOUND),
    Items[Change]: {
        "items": [
            {
                "revision": 8,
                "at": _AT,
                "by": "consumer",
                "pieces": [
                    {
                        "piece": "interest",
                        "id": "garden-tools",
                        "before": {"id": "garden-tools"},
                        "after": _INTEREST,
                    }
                ],
            }
        ],
        "after": None,
    },
    Items[InboxItem]: {"items": [_ENTRY], "after": None},
    InboxItem: _ENTRY,
    Marks: {"read": True},
    Items[HeldItem]: {
        "items": [{**_ENTRY, "until": "2026-11-28T08:00:00Z", "why": "window-closed"}],
        "after": None,
    },
    Nothing: {},
    HeldWord: {"relationship": {"accepts": ["service", "offer"], "scope": "everything"}},
    HeldAnswer: {"id": _ID, "answer": "release"},
    AdvertisingAnswer: {
        "id": _ID,
        "sentence": "You take no service mail from Greenleaf Garden.",
        "before": {"vendor": "greenleaf", "accepts": ["service", "offer"]},
        "after": {"vendor": "greenleaf", "accepts": ["offer"]},
    },
    UnwantedWord: {"because": "never-asked", "unsubscribe": True},
    UnwantedAnswer: {
        "id": _ID,
        "sentence": "You locked out Greenleaf Garden: never asked for.",
        "before": {"vendor": "greenleaf"},
        "after": {"vendor": "greenleaf", "standing": "blocked", "because": "never-asked"},
        "reported": True,
        "unsubscribing": True,
    },
    Items[DecisionItem]: {"items": [_DECISION], "after": None},
    DecisionItem: _DECISION,
    Items[ChangeItem]: {"items": [_CHANGE], "after": None},
    UndoForm: {"change": "5f0c6a1be2d9"},
    UndoAnswer: {"id": _ID, "decision": _DECISION, "changes": []},
    ReplayForm: {
        "days": 7,
        "changes": [{"piece": "interest", "id": "garden-tools", "after": _INTEREST}],
    },
    Replayed: {
        "days": 7,
        "messages": 31,
        "then": {"deliver": 9, "refuse": 22},
        "now": {"deliver": 12, "refuse": 19},
        "more_in": 3,
        "fewer_in": 0,
        "unjudged": 0,
        "differences": [
            {
                "decision": _ID,
                "at": _AT,
                "vendor": "Greenleaf Garden",
                "subject": "Pruners for spring",
                "then": {"verdict": "refuse", "reason": "price-above-limit"},
                "now": {"verdict": "deliver", "reason": None},
            }
        ],
        "truncated": False,
    },
    Items[StrangersItem]: {
        "items": [{"day": "2026-11-23", "reason": "dkim-missing", "count": 4}],
        "after": None,
    },
    NewVendor: {
        "id": "greenleaf",
        "name": "Greenleaf Garden",
        "domains": ["greenleaf.example"],
    },
    NewcomerItem: {
        "id": "greenleaf",
        "name": "Greenleaf Garden",
        "key": "lbk_1a2B3c4D_…",
        "domains": [_DOMAIN],
    },
    VendorItem: {
        "id": "greenleaf",
        "name": "Greenleaf Garden",
        "reply": "report",
        "domains": [_DOMAIN],
        "messages_per_second": 100,
        "agreed": {"at": _AT, "key": "lbk_1a2B3c4D"},
    },
    ReplyForm: {"reply": "report", "agreed": True},
    PreflightAnswer: {
        "left_today": 199,
        "form": {"fits": True, "notes": []},
        "proof": None,
        "read": {
            "kind": "offer",
            "kind_origin": "declared",
            "categories": ["home-garden/garden-tools"],
            "categories_origin": "declared",
            "offers": [{"origin": "declared", "price": {"amount": "169.95", "currency": "EUR"}}],
        },
        "effects": [],
        "recipients": [
            {
                "to": "anna@letterbox.example",
                "verdict": "refuse",
                "reason": _REASON | {"url": "https://letterbox.example/reasons/price-above-limit"},
            }
        ],
    },
    Stats: {
        "from": "2026-11-22",
        "to": "2026-11-23",
        "items": [
            {
                "day": "2026-11-23",
                "of": "answer",
                "verdict": "refuse",
                "class": "choice",
                "reason": "price-above-limit",
                "count": 4,
            }
        ],
        "answers": {"refuse": 4},
        "held": {},
    },
    NewDomain: {"domain": "greenleaf.example"},
    DomainItem: _DOMAIN,
    Items[DomainItem]: {"items": [_DOMAIN], "after": None},
    NewKey: {"label": "newsletter tool", "scopes": ["send"], "days": 365},
    Rotation: {"overlap_hours": 24},
    KeyItem: _KEY | {"key": "lbk_1a2B3c4D_…"},
    Items[KeyItem]: {"items": [_KEY], "after": None},
    NewWebhook: {
        "url": "https://hooks.greenleaf.example/letterbox",
        "events": ["message.refused", "message.released"],
    },
    WebhookChange: {"url": "https://hooks.greenleaf.example/moved"},
    WebhookRotation: {"overlap_hours": 24},
    WebhookItem: _WEBHOOK | {"secret": "whsec_…"},
    Items[WebhookItem]: {"items": [_WEBHOOK], "after": None},
    Tried: {"delivered": True, "status": 204, "milliseconds": 112},
    Items[DeliveryItem]: {
        "items": [
            {
                "at": _AT,
                "event": _ID,
                "type": "message.refused",
                "attempt": 2,
                "outcome": "failed",
                "status": 503,
                "milliseconds": 112,
                "detail": "it answered 503",
            }
        ],
        "after": None,
    },
    Items[FeedItem]: {
        "items": [
            {
                "id": _ID,
                "type": "message.refused",
                "at": _AT,
                "message": _ID,
                "recipient": "anna@letterbox.example",
                "verdict": "refuse",
                "reason": _REASON,
                "reference": _REFERENCE,
                "your_reference": "spring-2027/anna",
            }
        ],
        "after": "17",
    },
    Erasing: {"state": "erasing"},
    **RELATIONS,
    **STARTING,
    **NOTICES,
    **ONWARD,
    **SUGGESTIONS,
}
