"""``/v1/me/suggestions``: rules to adopt, by what came and what of it was opened."""

from typing import Any

import msgspec
from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Form, Items
from letterbox.gateways.http.preferences import refusals
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.hindsight import Effect, Suggestion
from letterbox.records.changes import PieceChange, value_of
from letterbox.records.pieces import Sort, Value
from letterbox.wishes import Mistake


class SuggestionItem(msgspec.Struct, frozen=True):
    """A change of wishes, and what would become of the messages that it is about.

    ``name`` says which sort of change; ``sentence`` says it in the consumer's language.
    """

    id: str
    name: str
    sentence: str
    changes: tuple[PieceChange, ...]
    effect: Effect


class AdoptForm(Form, frozen=True):
    """``value``: the piece as it is wanted instead of as it was suggested."""

    value: dict[str, Any] | None = None


class AdoptAnswer(msgspec.Struct, frozen=True):
    """What was changed: the preferences had the revision ``before`` and have ``after`` now."""

    id: str
    before: int
    after: int
    changes: tuple[PieceChange, ...]


async def list_suggestions(call: Call) -> web.Response:
    """What to adopt, what explains most first."""
    observed = await call.parts.suggestions.of(call.owner)
    if observed is None:
        raise Problem("not-found")
    language = observed.stored.preferences.language
    say = call.parts.explanations.change
    items = tuple(
        SuggestionItem(
            id=each.id,
            name=each.edit.name,
            sentence=say(each.edit.name, each.edit.facts, language),
            changes=each.changes,
            effect=each.effect,
        )
        for each in observed.suggestions
    )
    return answer(Items(items=items, after=None))


async def adopt(call: Call) -> web.Response:
    """Make a suggestion what counts."""
    form = await call.form_if_any(AdoptForm) or AdoptForm()
    found = await call.parts.suggestions.find(call.owner, call.item)
    if found is None:
        raise Problem("not-found")
    value = None if form.value is None else _value(found, form.value)
    try:
        with refusals():
            adopted = await call.parts.suggestions.adopt(call.owner, found.id, value=value)
    except ValueError as error:
        raise mistaken(_mistake(str(error))) from None
    if adopted is None:
        raise Problem("not-found")
    return answer(
        AdoptAnswer(
            id=found.id, before=adopted.before, after=adopted.after, changes=adopted.changes
        )
    )


def _value(found: Suggestion, given: dict[str, Any]) -> Value:
    try:
        return value_of(msgspec.convert(found.piece[0], Sort), given)
    except msgspec.ValidationError as error:
        raise mistaken(_mistake(str(error))) from None


def _mistake(what: str) -> Mistake:
    allowed = "the piece that the suggestion is about, with other fields"
    return Mistake(path="value", mistake=what, allowed=allowed)


ROUTES = (
    Route(
        "GET",
        "/v1/me/suggestions",
        "consumer",
        list_suggestions,
        "Rules to adopt, by what came and was opened, with what each would do",
        gives={JSON: Items[SuggestionItem]},
        problems=(404,),
    ),
    Route(
        "POST",
        "/v1/me/suggestions/{id}",
        "consumer",
        adopt,
        "Adopt a suggestion, as it is or with another value of its piece",
        takes={JSON: AdoptForm},
        gives={JSON: AdoptAnswer},
        fields=("Idempotency-Key",),
        problems=(404, 408, 412, 413, 415, 422),
    ),
)
