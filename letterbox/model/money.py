"""An amount in a currency."""

from decimal import Decimal
from typing import Annotated

import msgspec

_TOO_MUCH = Decimal(10) ** 9

Currency = Annotated[
    str,
    msgspec.Meta(pattern="^[A-Z]{3}$", description='a currency of ISO 4217, such as "EUR"'),
]


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price. ``amount`` is in whole units of ``currency`` (ISO 4217), never negative."""

    amount: Decimal
    currency: Currency

    def __post_init__(self) -> None:
        """Checked on decoding: a number written as one, neither negative nor endless."""
        if not self.amount.is_finite() or not 0 <= self.amount < _TOO_MUCH:
            raise ValueError("amount: a number from 0 to below a billion")

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"
