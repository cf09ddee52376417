"""The rules, one to a file: each a pure function of the case.

To add one: write ``apply(case) -> Finding`` beside a ``NAME``, put it into ``ORDER``, register
its reasons in ``config/reasons.toml`` and its cases in ``tests/cases/``.
"""

from filters import address_binding, interest, kind, limit, offer, relationship, window
from letterbox.model.case import Filter

#: Who, then what, then when: of several refusals the first in this order is the one told.
ORDER: tuple[Filter, ...] = tuple(
    Filter(name=rule.NAME, apply=rule.apply)
    for rule in (address_binding, relationship, kind, interest, offer, limit, window)
)
