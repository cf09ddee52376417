"""An amount in a currency."""

import re
from decimal import Decimal
from typing import Annotated

import msgspec

# As it would be written out: an exponent fits in few characters and stands for millions of them.
_AMOUNT = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")

Currency = Annotated[
    str,
    msgspec.Meta(
        # Python's $ also matches before a last line end; a schema's (ECMA-262) does not.
        pattern=r"^[A-Z]{3}$(?!\n)",
        description='a currency of ISO 4217, such as "EUR"',
    ),
]


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price. ``amount`` is in whole units of ``currency`` (ISO 4217), never negative.

    It is below a billion and has six decimals at most. Raises ValueError for any other.
    """

    amount: Decimal
    currency: Currency

    def __post_init__(self) -> None:
        """Checked on decoding, too."""
        if not _AMOUNT.fullmatch(str(self.amount)):
            raise ValueError(
                "amount: a number from 0 to below a billion, with six decimals at most"
            )

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"
