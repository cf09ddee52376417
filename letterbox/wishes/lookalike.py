"""Who looks like one of a consumer's vendors, and is another. Pure.

Compiled once for a consumer's vendors; a lookup costs a few hash look-ups however many there
are: skeletons are compared whole, and labels one edit apart share a form with one letter deleted
(Garbe's symmetric deletion).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import idna

from letterbox.model.address import fold_domain, is_below
from letterbox.model.flag import Flag
from letterbox.wishes.skeleton import letters, skeleton, skeletons

#: Shorter names are looked for as the whole display name alone, and not within a label.
_LEAST_NAME: Final = 4
#: Shorter labels are too often one letter apart by chance.
_LEAST_LABEL: Final = 5
_MOST_WORDS: Final = 32
_MOST_LABELS: Final = 10
_MOST_SHOWN: Final = 4

_WORD = re.compile(r"[^\W_]+")
_HOST = re.compile(r"[^\s@/:;,<>()\[\]\"'|]+\.[^\s@/:;,<>()\[\]\"'|]{2,}")

Organization = Callable[[str], str]


class Known(NamedTuple):
    """A vendor of the consumer's. ``names`` it goes by, its ``domains`` folded."""

    id: str
    name: str
    names: tuple[str, ...]
    domains: tuple[str, ...]


class Resemblance(NamedTuple):
    """The vendor a domain is confused with, and which of its domains."""

    vendor: Known
    domain: str


class _Own(NamedTuple):
    vendor: Known
    domain: str
    organization: str
    label: str


def shown(domain: str) -> str:
    """A domain as people read it, and in A-labels where that is another (RFC 5890)."""
    if "xn--" not in domain:
        return domain
    try:
        written = idna.decode(domain)
    except UnicodeError:
        return domain
    return f"{written} ({domain})"


class Lookalikes:
    """One consumer's vendors, made ready for the question whether a sender looks like one.

    ``organization`` gives the domain somebody registered, of a folded one; ``is_everybodys`` says
    of a mailbox provider's that whoever writes there has not chosen it to look like another.
    """

    def __init__(
        self,
        vendors: Iterable[Known],
        organization: Organization,
        is_everybodys: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._organization = organization
        self._is_everybodys = is_everybodys
        self._names: dict[str, Known] = {}
        #: How names begin: what does not is no name.
        self._heads: set[str] = set()
        self._longest = 0
        self._domains: dict[str, _Own] = {}
        self._labels: dict[str, _Own] = {}
        # By hash: the letters themselves are compared afterwards.
        self._near: dict[int, list[_Own]] = {}
        for vendor in vendors:
            self._learn(vendor)

    def _learn(self, vendor: Known) -> None:
        for name in vendor.names:
            for form in skeletons(name):
                self._names.setdefault(form, vendor)
                self._heads.add(form[:_LEAST_NAME])
                self._longest = max(self._longest, len(form))
        for domain in vendor.domains:
            organization = self._organization(domain)
            label = registered_label(organization)
            own = _Own(vendor, domain, organization, letters(label))
            self._domains.setdefault(domain, own)
            for form in skeletons(label):
                self._labels.setdefault(form, own)
            if len(own.label) >= _LEAST_LABEL:
                for form in _deletions(own.label):
                    self._near.setdefault(hash(form), []).append(own)

    def flags(self, names: Sequence[str], domain: str, sender: str) -> tuple[Flag, ...]:
        """What to flag of a sender that is none of the vendors.

        ``names`` are those it goes by (its display name, and the one it is registered under),
        ``domain`` its own one (folded), ``sender`` its vendor id: a vendor does not look like
        itself, under whichever of its domains.
        """
        if not self._names and not self._domains:
            return ()
        found: list[Flag] = []
        for name in dict.fromkeys(names):
            named = self._named(name)
            if named is not None and not _is(named, domain, sender):
                facts = {"name": name, "resembles": named.name, "domain": shown(domain)}
                found.append(Flag(code="lookalike-name", facts=dict(facts)))
                break
        near = None if self._is_everybodys(domain) else self.near(domain)
        if near is not None and not _is(near.vendor, domain, sender):
            written = {
                "domain": shown(domain),
                "resembles": near.vendor.name,
                "theirs": shown(near.domain),
            }
            found.append(Flag(code="lookalike-domain", facts=dict(written)))
        return tuple(found)

    def near(self, domain: str) -> Resemblance | None:
        """The vendor's domain that a folded one is confused with; None where it is none's."""
        organization = self._organization(domain)
        for own in self._candidates(domain, organization):
            if own.organization != organization:
                return Resemblance(own.vendor, own.domain)
        return None

    def _candidates(self, domain: str, organization: str) -> Iterator[_Own]:
        label = registered_label(organization)
        for form in skeletons(label):
            if form in self._labels:
                yield self._labels[form]
        seen = letters(label)
        if len(seen) >= _LEAST_LABEL:
            for form in _deletions(seen):
                for own in self._near.get(hash(form), ()):
                    if _one_apart(seen, own.label):
                        yield own
        if "-" in label:
            yield from self._within(label)
        if domain != organization:
            yield from self._before(domain)

    def _within(self, label: str) -> Iterator[_Own]:
        """Labels of vendors to which words were added by hyphens."""
        for run in _runs(label.split("-")[:_MOST_LABELS]):
            form = skeleton("".join(run))
            if len(form) >= _LEAST_NAME and form in self._labels:
                yield self._labels[form]

    def _before(self, domain: str) -> Iterator[_Own]:
        """Domains of vendors that stand before another's: ``greenleaf.example.evil.test``."""
        for run in _runs(domain.split(".")[:_MOST_LABELS]):
            if len(run) > 1 and (own := self._domains.get(".".join(run))):
                yield own

    def _named(self, name: str) -> Known | None:
        """The vendor whose name or domain a display name shows."""
        for form in skeletons(name):
            if form in self._names:
                return self._names[form]
        words = [skeletons(word) for word in _WORD.findall(name)[:_MOST_WORDS]]
        for start in range(len(words)):
            if (found := self._from(words, start)) is not None:
                return found
        for host in _HOST.findall(name)[:_MOST_SHOWN]:
            if (found := self._shown(host.strip("."))) is not None:
                return found
        return None

    def _from(self, words: list[frozenset[str]], start: int) -> Known | None:
        """The vendor whose name the words from ``start`` on are."""
        plain = all(len(forms) < 2 for forms in words)  # noqa: PLR2004 - one form alone
        for pick in (min,) if plain else (min, max):
            joined = ""
            for forms in words[start:]:
                joined += pick(forms, default="")
                if len(joined) < _LEAST_NAME:
                    continue
                if len(joined) > self._longest or joined[:_LEAST_NAME] not in self._heads:
                    break
                if joined in self._names:
                    return self._names[joined]
        return None

    def _shown(self, host: str) -> Known | None:
        domain = fold_domain(host.lower())
        while domain:
            if domain in self._domains:
                return self._domains[domain].vendor
            domain = domain.partition(".")[2]
        return None


def _is(vendor: Known, domain: str, sender: str) -> bool:
    """Whether a sender is this vendor: by its id, or a domain of its own, above or below."""
    return vendor.id == sender or any(
        is_below(domain, own) or is_below(own, domain) for own in vendor.domains
    )


def registered_label(organization: str) -> str:
    """The label that was registered, in letters (a U-label, RFC 5890), of a folded domain."""
    label = organization.partition(".")[0]
    if not label.startswith("xn--"):
        return label
    try:
        return idna.decode(label)
    except UnicodeError:
        pass
    # No name that may be registered everywhere, but some programs show it all the same.
    try:
        return label.removeprefix("xn--").encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _deletions(word: str) -> set[str]:
    """A word, and all that is left of it without one letter."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


def _one_apart(one: str, other: str) -> bool:
    """Whether one letter was put in, left out, changed, or two neighbours changed places."""
    shorter = min(len(one), len(other))
    start = 0
    while start < shorter and one[start] == other[start]:
        start += 1
    end = 0
    while end < shorter - start and one[-1 - end] == other[-1 - end]:
        end += 1
    left, right = one[start : len(one) - end], other[start : len(other) - end]
    return max(len(left), len(right)) <= 1 or (len(left) == 2 and left == right[::-1])  # noqa: PLR2004


def _runs(parts: list[str]) -> Iterator[list[str]]:
    """Neighbouring parts, fewer than all of them, in order."""
    for start in range(len(parts)):
        for stop in range(start + 1, len(parts) + 1):
            if stop - start < len(parts):
                yield parts[start:stop]
