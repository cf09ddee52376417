"""How well undeclared mail is read: kinds, main categories, prices and last days.

    python -m bench.reading [--shown all|open|blind]

The mails of ``tests/mails`` and, where it is there, of the shared collection are read with
nothing declared, and compared with what people said of them (``tests/mails/expected.toml``).
Prints the figures and every miss.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from letterbox.model.address import Address
from letterbox.model.kind import Kind
from letterbox.model.message import Categories
from letterbox.model.sender import Proven
from letterbox.model.taxonomy import upwards
from letterbox.reading.facts import MailFacts, Reader
from letterbox.reading.header import Author, author
from letterbox.reading.mail import split, with_crlf
from letterbox.shipment import unpack

ROOT = Path(__file__).parents[1]
WRITTEN = ROOT / "tests" / "mails"
EXPECTED = WRITTEN / "expected.toml"
SHARED = ROOT.parent / "shared" / "mail"
_NOBODY = Address(local="someone", domain="sender.example")


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person says a mail is. ``also_…`` are what another might say with good reason.

    ``category`` is empty where it is about no one thing; ``price`` holds at most the first five
    prices asked; ``blind``: said before any of our code had read the mail.
    """

    file: str
    kind: Kind
    category: str
    why: str
    also_kind: Kind | None = None
    also_category: tuple[str, ...] = ()
    price: tuple[str, ...] = ()
    until: str = ""
    blind: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """A mail as it was read, beside what was expected."""

    expected: Expected
    kind: Kind
    categories: Categories
    prices: tuple[str, ...]
    until: str

    @property
    def kind_is_right(self) -> bool:
        """It is the one kind that was said, or the other with good reason."""
        return self.kind in {self.expected.kind, self.expected.also_kind}

    @property
    def main(self) -> str:
        """The main category it reads as, empty for none."""
        return next(iter(self.categories.ids), "")

    @property
    def category_is_right(self) -> bool:
        """The main category is the one expected, or lies above or below it."""
        accepted = (self.expected.category, *self.expected.also_category)
        return any(_are_related(self.main, each) for each in accepted)

    @property
    def category_is_exact(self) -> bool:
        """The main category is the very one that was said first."""
        return self.main == self.expected.category

    @property
    def wrong_prices(self) -> list[str]:
        """Prices read that nobody said; unknown where more are asked than were written down."""
        many = len(self.expected.price) >= 5
        return [] if many else [each for each in self.prices if each not in self.expected.price]


def measure(shared: Path = SHARED) -> list[Outcome]:
    """Read every mail that somebody labelled; those of the shared collection where it is there."""
    shipment = unpack()
    reader = Reader(taxonomy=shipment.taxonomy, tables=shipment.tables)
    outcomes = []
    for expected in expectations():
        path = (shared if "/" in expected.file else WRITTEN) / expected.file
        if path.exists():
            outcomes.append(_read(reader, expected, with_crlf(path.read_bytes())))
    return outcomes


def expectations() -> tuple[Expected, ...]:
    """What was said of each mail. Raises msgspec.ValidationError where the file is not so."""
    return msgspec.convert(
        tomllib.loads(EXPECTED.read_text(encoding="utf-8"))["mail"], tuple[Expected, ...]
    )


def _read(reader: Reader, expected: Expected, raw: bytes) -> Outcome:
    mail = split(raw)
    named = author(mail)
    address = named.address if isinstance(named, Author) else _NOBODY
    facts: MailFacts = reader.read(mail, Proven(domain=address.domain, how="peer", author=address))
    until = {offer.valid_until for offer in facts.offers if offer.valid_until}
    return Outcome(
        expected=expected,
        kind=facts.kind,
        categories=facts.categories,
        prices=tuple(str(offer.price) for offer in facts.offers if offer.price),
        until=min(until).isoformat() if until else "",
    )


def _are_related(one: str, other: str) -> bool:
    return one == other or one in upwards(other) or other in upwards(one)


def report(outcomes: Iterable[Outcome]) -> list[str]:
    """The figures, then a line for each miss."""
    every = list(outcomes)
    return [*_figures("all", every), *_figures("blind", [o for o in every if o.expected.blind])]


def _figures(name: str, outcomes: list[Outcome]) -> list[str]:
    total = len(outcomes) or 1
    kinds = sum(o.kind_is_right for o in outcomes)
    named = [o for o in outcomes if o.main]
    right = sum(o.category_is_right for o in named)
    absent = len(outcomes) - len(named)
    sure = [o for o in named if o.categories.sure]
    until = [o for o in outcomes if o.until or o.expected.until]
    rows = (
        ("kind right", kinds, f"{sum(o.kind == o.expected.kind for o in outcomes)} the first said"),
        ("main category right", right, f"{sum(o.category_is_exact for o in named)} to the letter"),
        ("absent", absent, f"{sum(not o.expected.category for o in outcomes)} have none"),
        ("right or absent", right + absent, ""),
        ("surely wrong", sum(not o.category_is_right for o in sure), f"of {len(sure)} sure"),
    )
    lines = [f"{name}: {len(outcomes)} mails"]
    lines += [f"  {row:20} {n:4} {n / total:7.1%}  {more}".rstrip() for row, n, more in rows]
    prices = sum(len(o.prices) for o in outcomes)
    wrong = sum(len(o.wrong_prices) for o in outcomes)
    lines.append(f"  prices: {prices} read, {wrong} of them wrong")
    missed = sum(not o.until for o in until)
    wrong = sum(bool(o.until) and o.until != o.expected.until for o in until)
    lines.append(f"  last days: {len(until) - missed} read, {wrong} wrong; {missed} not read")
    return lines


def misses(outcomes: Iterable[Outcome]) -> list[str]:
    """A line for each thing that was read otherwise than a person said."""
    lines = []
    for o in outcomes:
        said = []
        if not o.kind_is_right:
            said.append(f"kind {o.kind}, not {o.expected.kind}")
        if o.main and not o.category_is_right:
            sure = "surely " if o.categories.sure else ""
            said.append(f"{sure}about {o.main}, not {o.expected.category or 'anything'}")
        if o.wrong_prices:
            said.append(f"prices {', '.join(o.wrong_prices)}, not {', '.join(o.expected.price)}")
        if o.until and o.until != o.expected.until:
            said.append(f"until {o.until}, not {o.expected.until or 'any day'}")
        if said:
            lines.append(f"{o.expected.file}: {'; '.join(said)} ({o.expected.why})")
    return lines


def main() -> int:
    """Print the figures of all mails and of the blind ones, and the misses."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shown", choices=("all", "open", "blind"), default="all")
    shown = parser.parse_args().shown
    started = datetime.now(UTC)
    outcomes = measure()
    if not SHARED.exists():
        print(f"without the real mail of {SHARED}, which is not there", file=sys.stderr)
    chosen = [o for o in outcomes if shown in ("all", "blind" if o.expected.blind else "open")]
    seconds = (datetime.now(UTC) - started).total_seconds()
    if shown == "all":
        print("\n".join(report(chosen)))
    else:
        print("\n".join(_figures(shown, chosen)))
    print(f"  {1000 * seconds / (len(outcomes) or 1):.1f} ms a mail\n")
    print("\n".join(misses(chosen)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
