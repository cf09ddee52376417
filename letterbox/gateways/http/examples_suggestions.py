"""Examples of suggestions and of adopting one."""

from typing import Any, Final

from letterbox.gateways.http.forms import Items
from letterbox.gateways.http.suggestions import AdoptAnswer, AdoptForm, SuggestionItem

_PRUNERS: Final = {
    "piece": "vendor",
    "id": "greenleaf",
    "before": None,
    "after": {"vendor": "greenleaf", "accepts": ["service", "offer"]},
}
_SUGGESTION: Final = {
    "id": "5f0c6a1be2d94783a0b1c94e7d3f2816",
    "name": "company",
    "sentence": "Allow Greenleaf Garden: service, offer; of them what fits your interests",
    "changes": [_PRUNERS],
    "effect": {"about": 30, "come": 12, "wait": 0, "refused": 18, "unjudged": 0},
}
SUGGESTIONS: Final[dict[Any, Any]] = {
    Items[SuggestionItem]: {"items": [_SUGGESTION], "after": None},
    AdoptForm: {"value": {"vendor": "greenleaf", "accepts": ["service"]}},
    AdoptAnswer: {
        "id": "5f0c6a1be2d94783a0b1c94e7d3f2816",
        "before": 7,
        "after": 8,
        "changes": [_PRUNERS],
    },
}
