"""What pages say, in each language: catalogues in the gettext format, dates as people write them.

A text is written in English where it is used, and found by that in the files of
``locale/LANGUAGE/``, one for each part of the pages. Nothing is built: catalogues are read at the
start. ``tests/unit/test_web_texts.py`` finds what is missing.
"""

import gettext
import io
from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from importlib import resources
from typing import Final

from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from letterbox.model.language import LANGUAGES
from letterbox.model.preferences import Language

#: How moments are written: today, this year, and before.
_PATTERNS: Final[Mapping[Language, tuple[str, str, str]]] = {
    "en": ("HH:mm", "EEE d MMM, HH:mm", "d MMM yyyy, HH:mm"),
    "nl": ("HH:mm", "EEE d MMM HH:mm", "d MMM yyyy HH:mm"),
}
_DAYS: Final[Mapping[Language, tuple[str, str]]] = {
    "en": ("EEEE d MMMM", "d MMMM yyyy"),
    "nl": ("EEEE d MMMM", "d MMMM yyyy"),
}
#: The domain of the catalogue that the source itself is.
_SOURCE: Final = "en"


def N_(text: str) -> str:  # noqa: N802 - what gettext calls it
    """Mark a text that is said later, by its name in a table: it is found by that."""
    return text


class Texts:
    """One language. A text's places are written ``%(name)s``, and filled with facts."""

    def __init__(self, language: Language, catalogue: gettext.NullTranslations) -> None:
        self.language = language
        self.catalogue = catalogue

    def say(self, text: str, **facts: object) -> str:
        """A text in this language."""
        return self.fill(text, facts) if facts else self.catalogue.gettext(text)

    def fill(self, text: str, facts: Mapping[str, object]) -> str:
        """A text with its places filled. Raises KeyError where a fact is lacking."""
        return self.catalogue.gettext(text) % facts

    def count(self, one: str, many: str, n: int, **facts: object) -> str:
        """A text about ``n`` things; ``%(n)s`` is how many."""
        return self.catalogue.ngettext(one, many, n) % {"n": n, **facts}

    def moment(self, at: datetime, zone: tzinfo, now: datetime) -> str:
        """A moment as short as it is clear in, by the clock of ``zone``."""
        local, today = at.astimezone(zone), now.astimezone(zone)
        hour, day, year = _PATTERNS[self.language]
        if local.date() == today.date():
            pattern = hour
        else:
            pattern = day if local.year == today.year else year
        return format_datetime(local, pattern, tzinfo=zone, locale=self.language)

    def day(self, on: date, today: date) -> str:
        """A day; with its year where that is another."""
        near, far = _DAYS[self.language]
        return format_date(on, near if on.year == today.year else far, locale=self.language)


def load() -> Mapping[Language, Texts]:
    """Every language of the pages."""
    return {language: Texts(language, catalogue(language)) for language in LANGUAGES}


def catalogue(language: Language) -> gettext.NullTranslations:
    """The catalogue of one language; English needs none."""
    if language == _SOURCE:
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def read(language: Language) -> Catalog:
    """What all files of a language say."""
    together = Catalog(locale=language)
    files = (resources.files(__package__) / "locale" / language).iterdir()
    for file in sorted(files, key=lambda each: each.name):
        for message in read_po(io.BytesIO(file.read_bytes()), locale=language):
            if not message.id:
                continue
            if message.id in together:
                raise ValueError(f"{language}/{file.name}: another file says {message.id!r}, too")
            together[message.id] = message
    return together
