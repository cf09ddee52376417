"""An address given to one vendor is for that vendor alone."""

from letterbox.model.address import fold_domain
from letterbox.model.case import Case
from letterbox.model.verdict import DELIVER, Finding, Refuse

NAME = "address-binding"


def apply(case: Case) -> Finding:
    """Refuse whoever uses an address that was given to another."""
    if case.binding is None:
        return Finding(filter=NAME, verdict=DELIVER)
    owner = fold_domain(case.binding) or case.binding.casefold()
    if owner in case.known_as:
        return Finding(filter=NAME, verdict=DELIVER)
    return Finding(
        filter=NAME,
        verdict=Refuse(reason="address-of-another"),
        facts={"vendor": case.vendor.name, "address": str(case.recipient), "other": case.binding},
    )
