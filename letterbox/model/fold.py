"""Text as it is compared: without case and accents."""

import unicodedata


def fold(text: str) -> str:
    """Take case and accents away: ``Crème`` becomes ``creme``. Spaces and signs stay."""
    if text.isascii():
        return text.lower()
    # Twice, for what decomposes into capitals (the sign for a trade mark).
    bare = unicodedata.normalize("NFKD", text.casefold()).casefold()
    return "".join(filter(_is_no_mark, bare))


def _is_no_mark(character: str) -> bool:
    return not unicodedata.combining(character)
