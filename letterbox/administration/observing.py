"""A consumer who only watches: switched on and off, and what there is to adopt."""

from collections.abc import Mapping
from typing import Literal

from msgspec import structs

from letterbox.administration.failed import Failed
from letterbox.administration.taking import Answer, Arguments, Command, plain, taking
from letterbox.administration.unknown import unknown
from letterbox.feedback.explanation import Explanations
from letterbox.hindsight import Suggestions
from letterbox.model.preferences import Mode
from letterbox.ports.clock import Clock
from letterbox.records.consumers import Conflict, Consumers, Refused

_MODES: Mapping[str, Mode] = {"on": "observe", "off": "filter"}


class Observe(Arguments, frozen=True):
    """A consumer, and whether they only watch from now on."""

    consumer: str
    switch: Literal["on", "off"]


class Suggest(Arguments, frozen=True):
    """A consumer."""

    consumer: str


class ObservingCommands:
    """``observe`` and ``suggestions``."""

    def __init__(
        self,
        consumers: Consumers,
        suggestions: Suggestions,
        explanations: Explanations,
        clock: Clock,
    ) -> None:
        self._consumers = consumers
        self._suggestions = suggestions
        self._explanations = explanations
        self._clock = clock
        self.table: Mapping[str, Command] = {
            "observe": taking(Observe, self._observe),
            "suggestions": taking(Suggest, self._suggest),
        }

    async def _observe(self, asked: Observe) -> Answer:
        name, now = asked.consumer, self._clock.now()
        stored = await self._consumers.stored(name)
        if stored is None:
            raise await unknown(self._consumers, name)
        after = structs.replace(stored.preferences, mode=_MODES[asked.switch])
        try:
            await self._consumers.replace(name, after, expect=stored.revision, now=now)
        except Conflict:
            raise Failed(f"{name} has changed something at this moment; try again") from None
        except Refused as refused:
            raise Failed(f"what {name} has declared cannot be: {refused}") from None
        return {"consumer": name, "mode": after.mode}

    async def _suggest(self, asked: Suggest) -> Answer:
        observed = await self._suggestions.of(asked.consumer)
        if observed is None:
            raise await unknown(self._consumers, asked.consumer)
        say, language = self._explanations.change, observed.stored.preferences.language
        items = [
            {
                "id": each.id,
                "name": each.edit.name,
                "sentence": say(each.edit.name, each.edit.facts, language),
                "changes": plain(each.changes),
                "effect": plain(each.effect),
            }
            for each in observed.suggestions
        ]
        return {"consumer": asked.consumer, "messages": observed.messages, "items": items}
