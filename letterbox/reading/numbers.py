"""Numbers by which a sender names one thing of its customer's: an order, a booking, a case."""

import re
from itertools import islice
from typing import Final

MAX_NUMBERS: Final = 10
_MAX_TEXT: Final = 20_000  # characters that are looked at

# Dutch joins the word with what it is the number of: "aanslagnummer", "zaaknummer".
_LABEL: Final = (
    r"order|bestelling|bestel|factuur|invoice|booking|boeking|reservation|reservering|reference"
    r"|referentie|ref|case|ticket|policy|polis|customer|klant|account|registration|tracking|track"
    r"|confirmation|claim|permit|zending|dossier|zaak"
)
_NUMBER: Final = re.compile(
    rf"""(?i)\b(?:
        (?:{_LABEL})(?:\s?(?:number|no\.?|nr\.?|code|id|reference))?
        | [a-z]{{3,20}}(?:nummer|kenmerk) | kenmerk
    )\s?[:\#]{{0,2}}\s{{0,2}}(?=[a-z0-9-]*[0-9]{{3}})[a-z]{{0,4}}-?[0-9][a-z0-9-]{{2,20}}\b""",
    re.VERBOSE,
)


def numbers_in(text: str) -> int:
    """How many such numbers a text names, up to ``MAX_NUMBERS``."""
    return sum(1 for _ in islice(_NUMBER.finditer(text, 0, _MAX_TEXT), MAX_NUMBERS))
