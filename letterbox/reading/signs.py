"""The words by which mail shows what sort of mail it is, where nobody says: a table, read once."""

from typing import Final

import msgspec

from letterbox.model.taxonomy import SearchWords


class Sign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Phrases for one sort of mail: those that say it by themselves, and those that join them."""

    strong: SearchWords = SearchWords()
    weak: SearchWords = SearchWords()


class Signs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tables of ``config/signs.toml``, explained there."""

    service: Sign = Sign()
    advert: Sign = Sign()
    editorial: Sign = Sign()
    leaving: tuple[str, ...] = ()
    footer: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset()


NO_SIGNS: Final = Signs()


def read_signs(content: bytes) -> Signs:
    """The tables of a file. Raises msgspec.ValidationError where it is not of their form."""
    return msgspec.toml.decode(content, type=Signs)
