"""How numbers, days and kinds of mail are said in a sentence, in English and Dutch."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import msgspec

from letterbox.model.verdict import Fact

_MOST_NAMED: Final = 3


class Wording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language of ``config/wording.toml``."""

    numbers: tuple[str, ...]
    ordinals: tuple[str, ...]
    ordinal: str
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    and_: str = msgspec.field(name="and")
    one: Mapping[str, str]
    many: Mapping[str, str]
    article: Mapping[str, str]
    explanation: Mapping[str, str]
    misses: Mapping[str, str]
    change: Mapping[str, str]
    #: The sentence of each flag, by its code.
    flag: Mapping[str, str]
    #: What the consumer is told of what went wrong in their name, or waits for their answer.
    notice: Mapping[str, str]
    #: What the consumer's own digest and the notices to their channels say.
    own: Mapping[str, str]

    def say(self, fact: Fact, form: str, facts: Mapping[str, Fact]) -> str | None:
        """A fact in one of the forms a pattern may ask for; None where it has no such form.

        ``count``: "two"; ``ordinal``: "third"; ``counted``: "two offers", of the ``kinds`` among
        the facts; ``day``: "Saturday 6 June"; ``weekday``; ``article``: "an offer"; ``list``:
        "a, b and c"; ``misses``: what an interest lacks.
        """
        match form, fact:
            case "count", int(n):
                return self._number(n)
            case "ordinal", int(n):
                return self._ordinal(n)
            case "counted", int(n):
                return f"{self._number(n)} {self._what(facts.get('kinds'), n)}"
            case (("day" | "weekday"), str(text)):
                return self._day(text, form)
            case "article", str(kind):
                return self.article.get(kind, kind)
            case "list", list(names):
                return self.listed([str(name) for name in names])
            case "misses", list(names):
                return self.listed([self._miss(str(name), facts) for name in names])
            case _:
                return None

    def listed(self, names: list[str]) -> str:
        """Names as people list them."""
        if len(names) < 2:  # noqa: PLR2004 - one alone has no "and"
            return "".join(names)
        return f"{', '.join(names[:-1])} {self.and_} {names[-1]}"

    def _miss(self, name: str, facts: Mapping[str, Fact]) -> str:
        """What an interest lacks; how dear it may be where that was written down."""
        limit = facts.get("limit")
        if name == "price-above-limit" and isinstance(limit, str):
            return self.misses["price-above"].format(limit=limit)
        return self.misses.get(name, name)

    def _number(self, n: int) -> str:
        return self.numbers[n] if 0 <= n < len(self.numbers) else str(n)

    def _ordinal(self, n: int) -> str:
        if 1 <= n <= len(self.ordinals):
            return self.ordinals[n - 1]
        return self.ordinal.format(n=n)

    def _what(self, kinds: Fact, n: int) -> str:
        words = self.one if n == 1 else self.many
        names = [str(kind) for kind in kinds] if isinstance(kinds, list) else []
        if not names or len(names) >= _MOST_NAMED:
            return words["message"]
        return self.listed([words.get(name, name) for name in names])

    def _day(self, text: str, form: str) -> str | None:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return None
        weekday = self.weekdays[day.weekday()]
        return weekday if form == "weekday" else f"{weekday} {day.day} {self.months[day.month - 1]}"


def read_wording(content: bytes) -> Mapping[str, Wording]:
    """The wording of each language. Raises ValueError with the mistake."""
    return msgspec.toml.decode(content, type=dict[str, Wording])
