"""The second look at preferences: what their types alone cannot tell to be wrong."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import tzinfo
from difflib import get_close_matches
from itertools import chain, islice
from typing import Final, Protocol

from letterbox.model.address import Address, fold_domain, parse_address
from letterbox.model.kind import RULED_KINDS, Kind
from letterbox.model.preferences import (
    KEEP,
    MAILBOX,
    DayException,
    Digest,
    Interest,
    Limit,
    Limits,
    Notify,
    OnwardRule,
    Pause,
    Preferences,
    VendorRule,
    Window,
)
from letterbox.model.taxonomy import Taxonomy
from letterbox.reading.words import split
from letterbox.wishes.calendar import minutes
from letterbox.wishes.expecting import key_of
from letterbox.wishes.mistakes import (
    Mistake,
    in_order,
    no_address,
    no_vendor,
    quoted,
    too_many,
    unique,
)
from letterbox.wishes.names import name_of, other_side

#: How much one consumer may declare, so that a decision about it stays bounded work.
MOST: Final = {
    "addresses": 200,
    "pauses": 200,
    "exceptions": 400,
    "expecting": 50,
    "interest": 500,
    "window": 200,
    "vendor": 10_000,
    "onward": 10,
}
#: Words, brands and the like within one list of an interest.
MOST_IN_LIST: Final = 1000

#: Named at once: to guess what was meant takes time, and nobody reads more.
_MOST_MISTAKES: Final = 100
#: The longest name of a time zone has 32 characters.
_LONGEST_ZONE: Final = 64
#: Signing domains that one relationship may trust.
_MOST_WAYS: Final = 10

_DAYS_END: Final = "24:00"
_WITHOUT_SERVICE: Final = "offer, newsletter, personal"


class Domains(Protocol):
    """What a domain is, apart from what the DNS says (:class:`letterbox.identity.Domains`)."""

    def is_public_suffix(self, domain: str) -> bool:
        """Whether anybody may register below the domain."""
        ...

    def is_mailbox_provider(self, domain: str) -> bool:
        """Whether anybody can have a mailbox there."""
        ...


def check(
    preferences: Preferences,
    *,
    zone_of: Callable[[str], tzinfo | None],
    zones: Callable[[], Iterable[str]],
    taxonomy: Taxonomy,
    domains: Domains,
) -> tuple[Mistake, ...]:
    """The mistakes in preferences, in the order of the fields, at most 100; none in sound ones.

    ``zone_of`` finds a time zone by name, or None; from ``zones`` a mistyped one is guessed.
    Whose the addresses are is not looked at.
    """
    found = chain(
        _too_much(preferences),
        _addresses(preferences),
        _zone(preferences.timezone, zone_of, zones),
        _pauses(preferences),
        _exceptions(preferences),
        _expecting(preferences, domains),
        _limits("limit", preferences.limit),
        _own_mail(preferences.digest, preferences.notify),
        _interests(preferences.interest, taxonomy),
        _windows(preferences.window),
        _rules(preferences.vendor, domains),
        _onward(preferences.onward),
    )
    return tuple(islice(found, _MOST_MISTAKES))


def _too_much(preferences: Preferences) -> Iterator[Mistake]:
    for field, most in MOST.items():
        if len(getattr(preferences, field)) > most:
            yield too_many(field, most)


def _addresses(preferences: Preferences) -> Iterator[Mistake]:
    if not preferences.addresses:
        yield Mistake(path="addresses", mistake="there is none", allowed="at least one address")
    seen: set[str] = set()
    for nth, (entry, bound) in enumerate(
        zip(preferences.addresses, preferences.bound_addresses, strict=True)
    ):
        path = f"addresses[{nth}]" if isinstance(entry, str) else f"addresses[{nth}].address"
        address = parse_address(bound.address)
        if address is None:
            yield no_address(path, bound.address)
        else:
            exact = Address(local=address.local.lower(), domain=address.domain)
            yield from unique(path, str(exact), "address", seen)
        if bound.vendor is not None and not bound.vendor.strip():
            yield no_vendor(f"addresses[{nth}].vendor", bound.vendor)


def _zone(
    name: str,
    zone_of: Callable[[str], tzinfo | None],
    zones: Callable[[], Iterable[str]],
) -> Iterator[Mistake]:
    if len(name) > _LONGEST_ZONE or zone_of(name) is None:
        allowed = "a name of the IANA time zone database, such as Europe/Amsterdam"
        if near := get_close_matches(name[:_LONGEST_ZONE], list(zones()), n=1):
            allowed += f"; did you mean {near[0]}?"
        yield Mistake(
            path="timezone", mistake=f"there is no time zone {quoted(name)}", allowed=allowed
        )


def _pauses(preferences: Preferences) -> Iterator[Mistake]:
    for nth, pause in enumerate(preferences.pauses):
        yield from in_order(f"pauses[{nth}].until", pause.from_, pause.until)
        yield from _spoken_of(f"pauses[{nth}]", pause)


def _exceptions(preferences: Preferences) -> Iterator[Mistake]:
    for nth, exception in enumerate(preferences.exceptions):
        path = f"exceptions[{nth}]"
        if exception.from_ is not None and exception.until is not None:
            yield from _times(path, exception.from_, exception.until)
        elif exception.from_ is not None or exception.until is not None:
            given, missing = ("from", "until") if exception.from_ else ("until", "from")
            yield Mistake(
                path=f"{path}.{missing}",
                mistake=f"there is a time {given} which, and none {missing} which",
                allowed="both times, or neither where nothing may arrive that day",
            )
        yield from _spoken_of(path, exception)


def _expecting(preferences: Preferences, domains: Domains) -> Iterator[Mistake]:
    seen: set[str] = set()
    own = {bound.address.lower() for bound in preferences.bound_addresses}
    for nth, each in enumerate(preferences.expecting):
        path = f"expecting[{nth}]"
        if (each.vendor is None) == (each.address is None):
            named = "vendor and address" if each.vendor is not None else "nobody"
            allowed = "exactly one of vendor, address"
            yield Mistake(path=path, mistake=f"it names {named}", allowed=allowed)
            continue
        if each.vendor is not None and not each.vendor.strip():
            yield no_vendor(f"{path}.vendor", each.vendor)
        elif each.vendor is not None and "." in each.vendor:
            yield from _domain(f"{path}.vendor", each.vendor, domains)
        elif each.address is not None and each.address.lower() not in own:
            mistake = f"{quoted(each.address)} is none of the addresses"
            yield Mistake(path=f"{path}.address", mistake=mistake, allowed="one of addresses")
        yield from unique(path, key_of(each), "expectation of", seen)
        if each.until <= each.from_:
            allowed = f"later than {each.from_.isoformat()}"
            yield Mistake(path=f"{path}.until", mistake="it is over at once", allowed=allowed)


def _times(path: str, start: str, end: str) -> Iterator[Mistake]:
    if start == _DAYS_END:
        yield Mistake(path=f"{path}.from", mistake="no day begins there", allowed="00:00-23:59")
    elif minutes(start) == minutes(end):
        yield Mistake(
            path=f"{path}.until",
            mistake=f"the window is empty: it ends at {end}, when it begins",
            allowed="another time; 00:00 until 24:00 is a whole day",
        )


def _spoken_of(path: str, rule: Window | Pause | DayException) -> Iterator[Mistake]:
    """The kinds and vendors that a window, a pause or a day exception speaks of."""
    if Kind.SERVICE in rule.kinds:
        yield Mistake(
            path=f"{path}.kinds",
            mistake="service mail is never subject to windows",
            allowed=_WITHOUT_SERVICE,
        )
    yield from _vendors(f"{path}.vendors", rule.vendors)


def _vendors(path: str, vendors: Sequence[str]) -> Iterator[Mistake]:
    if len(vendors) > MOST_IN_LIST:
        yield too_many(path, MOST_IN_LIST)
    for at, vendor in enumerate(vendors):
        if not name_of(vendor).strip():
            yield no_vendor(f"{path}[{at}]", vendor)


def _own_mail(digest: Digest | None, notify: Notify | None) -> Iterator[Mistake]:
    """When a digest comes, and when no notice does."""
    seen: set[str] = set()
    for nth, clock in enumerate(digest.at if digest else ()):
        path = f"digest.at[{nth}]"
        if clock == _DAYS_END:
            yield Mistake(path=path, mistake="no day begins there", allowed="00:00-23:59")
        yield from unique(path, clock, "time", seen)
    for nth, quiet in enumerate(notify.quiet if notify else ()):
        yield from _times(f"notify.quiet[{nth}]", quiet.from_, quiet.until)


def _limits(path: str, limits: Limits | None) -> Iterator[Mistake]:
    """One limit, or a list of them in which no two count the same."""
    if limits is None or isinstance(limits, Limit):
        yield from _limit(path, limits)
        return
    seen: set[tuple[str, frozenset[Kind]]] = set()
    for nth, limit in enumerate(limits):
        place = f"{path}[{nth}]"
        yield from _limit(place, limit)
        counted = (limit.per, frozenset(limit.kinds or RULED_KINDS))
        if counted in seen:
            yield Mistake(
                path=place,
                mistake=f"there is a limit per {limit.per} for the same kinds already",
                allowed="one limit for each period and kinds",
            )
        seen.add(counted)


def _limit(path: str, limit: Limit | None) -> Iterator[Mistake]:
    if limit is not None and Kind.SERVICE in limit.kinds:
        yield Mistake(
            path=f"{path}.kinds",
            mistake="service mail does not count towards a limit",
            allowed=f"{_WITHOUT_SERVICE}; for service mail of one vendor there is service_limit",
        )


def _interests(interests: Sequence[Interest], taxonomy: Taxonomy) -> Iterator[Mistake]:
    seen: set[str] = set()
    for nth, interest in enumerate(interests):
        path = f"interest[{nth}]"
        yield from unique(f"{path}.id", interest.id, "interest", seen)
        words = {f"keywords.{name}": getattr(interest.keywords, name) for name in _WORD_LISTS}
        words["brands"] = interest.brands
        for field, texts in {**words, **{f: getattr(interest, f) for f in _NAME_LISTS}}.items():
            if len(texts) > MOST_IN_LIST:
                yield too_many(f"{path}.{field}", MOST_IN_LIST)
        yield from _categories(f"{path}.categories", interest.categories, taxonomy)
        for field, texts in words.items():
            yield from _words(f"{path}.{field}", texts)
        yield from _vendors(f"{path}.vendors", interest.vendors)
        yield from in_order(f"{path}.until", interest.from_, interest.until)


_WORD_LISTS: Final = ("any", "all", "none")
_NAME_LISTS: Final = ("categories", "regions")


def _categories(path: str, categories: Sequence[str], taxonomy: Taxonomy) -> Iterator[Mistake]:
    for at, category in enumerate(categories):
        if category not in taxonomy.nodes:
            near = taxonomy.nearest(category)
            yield Mistake(
                path=f"{path}[{at}]",
                mistake=f"there is no category {category!r}",
                allowed="an id of the taxonomy" + (f"; did you mean {near}?" if near else ""),
            )


def _words(path: str, texts: Sequence[str]) -> Iterator[Mistake]:
    for at, text in enumerate(texts):
        if not split(text):
            yield Mistake(
                path=f"{path}[{at}]",
                mistake=f"{text!r} has no letter or digit, so nothing would ever match it",
                allowed="a word or phrase",
            )


def _windows(windows: Sequence[Window]) -> Iterator[Mistake]:
    seen: set[str] = set()
    for nth, window in enumerate(windows):
        path = f"window[{nth}]"
        if window.id is not None:
            yield from unique(f"{path}.id", window.id, "window", seen)
        yield from _times(path, window.from_, window.until)
        yield from _spoken_of(path, window)


def _rules(rules: Sequence[VendorRule], domains: Domains) -> Iterator[Mistake]:
    seen: set[str] = set()
    for nth, rule in enumerate(rules):
        path = f"vendor[{nth}]"
        yield from _other_side(path, rule, domains, seen)
        yield from _rule(path, rule, domains)


def _other_side(path: str, rule: VendorRule, domains: Domains, seen: set[str]) -> Iterator[Mistake]:
    """Who the relationship is with: exactly one name, well formed, once."""
    named = [field for field in ("vendor", "domain", "address") if getattr(rule, field)]
    if len(named) != 1:
        yield Mistake(
            path=path,
            mistake="it names " + (" and ".join(named) if named else "nobody"),
            allowed="exactly one of vendor, domain, address",
        )
        return
    path = f"{path}.{named[0]}"
    if rule.address and parse_address(rule.address) is None:
        yield no_address(path, rule.address)
    elif rule.domain:
        yield from _domain(path, rule.domain, domains)
    elif rule.vendor and not rule.vendor.strip():
        yield no_vendor(path, rule.vendor)
    yield from unique(path, other_side(rule), "relationship with", seen)


def _domain(path: str, text: str, domains: Domains) -> Iterator[Mistake]:
    """A domain that some vendor can be the only one behind."""
    name = fold_domain(text)
    if name is None or "." not in name:
        yield Mistake(
            path=path, mistake=f"{text!r} is no domain", allowed="a domain such as shop.example"
        )
    elif domains.is_public_suffix(name):
        yield Mistake(
            path=path,
            mistake=f"{name} is a public suffix: anybody may register a name below it",
            allowed=f"a registered domain, such as shop.{name}",
        )
    elif domains.is_mailbox_provider(name):
        yield Mistake(
            path=path,
            mistake=f"{name}'s authors are people of all kinds",
            allowed=f'one of them, as address = "someone@{name}"',
        )


def _rule(path: str, rule: VendorRule, domains: Domains) -> Iterator[Mistake]:
    if not rule.accepts:
        yield Mistake(
            path=f"{path}.accepts",
            mistake="nothing would be accepted",
            allowed='at least one kind; to take nothing at all, standing = "blocked"',
        )
    if rule.standing != "blocked":
        for field in ("because", "remedy"):
            if getattr(rule, field) is not None:
                yield Mistake(
                    path=f"{path}.{field}",
                    mistake=f"the standing is {rule.standing}",
                    allowed='only with standing = "blocked"',
                )
    yield from _limits(f"{path}.limit", rule.limit)
    if rule.remedy is not None:
        yield from _limit(f"{path}.remedy.limit", rule.remedy.limit)
    if rule.service_limit is not None and rule.service_limit.kinds:
        yield Mistake(
            path=f"{path}.service_limit.kinds",
            mistake="it speaks of service mail alone",
            allowed="no kinds",
        )
    yield from in_order(f"{path}.until", rule.from_, rule.until)
    yield from _ways(f"{path}.via", rule.via, domains)


def _onward(rules: Sequence[OnwardRule]) -> Iterator[Mistake]:
    """Where mail goes on to: each kind to one place."""
    seen: set[str] = set()
    for nth, rule in enumerate(rules[: MOST["onward"]]):
        path = f"onward[{nth}]"
        if rule.to not in {KEEP, MAILBOX} and parse_address(rule.to) is None:
            yield Mistake(
                path=f"{path}.to",
                mistake=f"{quoted(rule.to)} is no mail address",
                allowed="a confirmed mailbox such as anna@provider.example, "
                f'"{MAILBOX}" or "{KEEP}"',
            )
        for kind in rule.kinds or ("all the others",):
            yield from unique(f"{path}.kinds", str(kind), "place for", seen)


def _ways(path: str, ways: Sequence[str], domains: Domains) -> Iterator[Mistake]:
    """Signing domains that may speak for another: each of somebody who knows whom it signs for."""
    if len(ways) > _MOST_WAYS:
        yield too_many(path, _MOST_WAYS)
    seen: set[str] = set()
    for nth, text in enumerate(ways[: _MOST_WAYS + 1]):
        place, name = f"{path}[{nth}]", fold_domain(text)
        if name is None or "." not in name:
            yield Mistake(
                path=place,
                mistake=f"{quoted(text)} is no domain",
                allowed="the domain that signs the mail (d= in its DKIM-Signature), "
                "such as k1.platform.example",
            )
        elif domains.is_public_suffix(name):
            yield Mistake(
                path=place,
                mistake=f"{name} is a public suffix: anybody may sign with a name below it",
                allowed=f"a registered domain, such as platform.{name}",
            )
        elif domains.is_mailbox_provider(name):
            yield Mistake(
                path=place,
                mistake=f"{name} signs for everybody who has a mailbox there",
                allowed="the domain of a platform that knows its senders, "
                "such as k1.platform.example",
            )
        else:
            yield from unique(place, name, "domain", seen)
