"""Numbers by which a sender names one thing of its customer's: an order, a booking, a case."""

import re
from itertools import islice
from typing import Final

MAX_NUMBERS: Final = 10
_MAX_TEXT: Final = 20_000  # characters that are looked at
_MAX_DIGITS: Final = 100  # runs of digits that are looked at
_BEFORE: Final = 40  # characters before one in which its label stands

_DIGITS: Final = re.compile(r"[0-9]{3,}")
# Dutch joins the word with what it is the number of: "aanslagnummer", "zaaknummer".
_LABEL: Final = re.compile(
    r"""(?ix)\b(?:
        (?:order|bestelling|bestel|factuur|invoice|booking|boeking|reservation|reservering
        |reference|referentie|ref|case|ticket|policy|polis|customer|klant|account|registration
        |tracking|track|confirmation|claim|permit|zending|dossier|zaak)
            (?:\s?(?:number|no\.?|nr\.?|code|id|reference))?
        | [a-z]{3,20}(?:nummer|kenmerk) | kenmerk
    )\s?[:\#]{0,2}\s{0,2}[a-z]{0,4}[0-9-]{0,6}\Z""",
)


def numbers_in(text: str) -> int:
    """How many such numbers a text names, up to ``MAX_NUMBERS``."""
    runs = islice(_DIGITS.finditer(text, 0, _MAX_TEXT), _MAX_DIGITS)
    labelled = (_LABEL.search(text, max(0, at - _BEFORE), at) for at in (r.start() for r in runs))
    return sum(1 for _ in islice(filter(None, labelled), MAX_NUMBERS))
