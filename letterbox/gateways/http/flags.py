"""Flags in the words of the consumer who asks."""

from collections.abc import Callable, Iterable

from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import FlagItem, Flags
from letterbox.model.flag import Flag

Wording = Callable[[Iterable[Flag]], Flags]


async def worded(call: Call, language: str | None = None) -> Wording:
    """How flags are worded in a language, by default the consumer's own."""
    spoken = language or (await call.parts.consumers.wishes(call.owner)).language
    say = call.parts.sentences.flag

    def word(flags: Iterable[Flag]) -> Flags:
        return tuple(FlagItem(each.code, say(each, spoken), dict(each.facts)) for each in flags)

    return word
