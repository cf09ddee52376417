"""The registered vendors that preferences speak of."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from letterbox.model.address import fold_domain
from letterbox.model.preferences import DayException, Interest, Pause, Preferences, Window
from letterbox.wishes.mistakes import Mistake
from letterbox.wishes.names import name_of

_ID = "the id of a vendor"
_OR_DOMAIN = f"{_ID}, or the domain of one that is not registered"
_OTHERWISE = f'{_ID}, or domain = "…" for one that is not registered'


class NamedVendor(NamedTuple):
    """A name that a registered vendor must have: where it stands, and what may stand there."""

    path: str
    name: str
    allowed: str

    @property
    def known_by(self) -> tuple[str, str]:
        """What makes it the same one in another document: its list, and the name as compared."""
        return self.path.partition("[")[0], name_of(self.name)

    def unknown(self, guess: str = "") -> Mistake:
        """What is wrong where no vendor has the name; ``guess`` says which may be meant."""
        mistake = f"there is no vendor {self.name!r}{guess}"
        return Mistake(path=self.path, mistake=mistake, allowed=self.allowed)


def named_vendors(preferences: Preferences) -> Iterator[NamedVendor]:
    """Every name of a vendor, but for domains, which may be anybody's.

    A name that is blank is left out: the check of the document names it.
    """
    for nth, rule in enumerate(preferences.vendor):
        if rule.vendor is not None and rule.vendor.strip():
            yield NamedVendor(f"vendor[{nth}].vendor", rule.vendor, _OTHERWISE)
    for path, name in _in_lists(preferences):
        if name.strip() and not ("." in name and fold_domain(name) is not None):
            yield NamedVendor(path, name, _OR_DOMAIN)


def _in_lists(preferences: Preferences) -> Iterator[tuple[str, str]]:
    """Every name where a domain may stand, too."""
    lists: tuple[tuple[str, Sequence[Interest | Window | Pause | DayException]], ...] = (
        ("interest", preferences.interest),
        ("window", preferences.window),
        ("pauses", preferences.pauses),
        ("exceptions", preferences.exceptions),
    )
    for field, entries in lists:
        for nth, entry in enumerate(entries):
            for at, name in enumerate(entry.vendors):
                yield f"{field}[{nth}].vendors[{at}]", name
    for nth, each in enumerate(preferences.expecting):
        if each.vendor is not None:
            yield f"expecting[{nth}].vendor", each.vendor
    for nth, bound in enumerate(preferences.bound_addresses):
        if bound.vendor is not None:
            yield f"addresses[{nth}].vendor", bound.vendor
