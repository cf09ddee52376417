"""What becomes of one address: as it is, without its marks, another in its place, or none."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote

import msgspec

from letterbox.model.fold import fold
from letterbox.reading.trackers.address import (
    LONGEST,
    Address,
    Pair,
    is_file,
    is_token,
    marks_in,
    pairs,
    read_address,
    target_in,
)
from letterbox.reading.trackers.cleaned import Notes, Why
from letterbox.reading.trackers.rules import At, Redirect, Rules

#: One redirect in another; what goes on longer is led on purpose.
_DEEPEST: Final = 8
_WORDS: Final = re.compile(r"[^\W_]+")
_CONTEXT: Final = 200
_SHORT: Final = 3


class Reader(NamedTuple):
    """What is known of who reads: their marks, and their addresses with the digests of them."""

    marks: frozenset[str]
    names: frozenset[str]
    #: Addresses of the web that the message's own header says are to unsubscribe.
    leaving: frozenset[str]


def reader_of(addresses: Iterable[str], leaving: Iterable[str]) -> Reader:
    """What is known of a reader by the mail addresses and by where they unsubscribe."""
    names: set[str] = set()
    for address in {each.strip().lower() for each in addresses if "@" in each}:
        raw = address.encode("utf-8", "replace")
        names.add(address)
        names.add(raw.hex())
        # How senders hash an address into a link, which hides it from nobody.
        names.update(hashlib.new(kind, raw, usedforsecurity=False).hexdigest() for kind in _HASHES)
    read = [found for each in leaving if (found := read_address(each))]
    return Reader(marks_in(read), frozenset(names), frozenset(map(str, read)))


_HASHES: Final = ("md5", "sha1", "sha256")


class Judge:
    """Judges the addresses of one message and notes what it finds.

    ``told`` are targets that the message's text names in the clear, by what is written there.
    """

    def __init__(
        self,
        rules: Rules,
        grade: Literal["careful", "strict"],
        reader: Reader,
        told: Mapping[str, str],
        notes: Notes,
    ) -> None:
        self._rules, self._reader, self._told = rules, reader, told
        self._strict = grade == "strict"
        self._shortest = min(map(len, reader.names), default=LONGEST * LONGEST)
        self._places: dict[str, At] = {}
        self.notes = notes

    # ---- what is followed ----

    def link(
        self, written: str, text: str = "", before: Callable[[], str] = lambda: ""
    ) -> str | None:
        """What stands in a link's place: the same, another, or None where none can.

        ``text`` is what is written on it, ``before`` gives what stands before it.
        """
        address = read_address(written)
        if address is None:
            return written
        self.notes.links += 1
        self.notes.parameters += _count(address)
        if len(written) > LONGEST:
            self._note("link", "too-long", address, removed=self._strict)
            return None if self._strict else written
        if why := self._why_kept(address, text, before):
            self._note("link", why, address, removed=False)
            return written
        return self._followed(written, address, text, 0)

    def _followed(self, written: str, address: Address, text: str, depth: int) -> str | None:
        row = self._at(address).redirect(address.path)
        target = self._target(address, row)
        if row is not None and target is None and _leads_sometimes(row):
            row = None
        if row is not None or target is not None or self._counts_clicks(address):
            if not self._strict:
                if row is not None:
                    self._note("link", "redirect-kept", address, removed=False)
                    return written
            else:
                return self._beyond(address, target, text, depth)
        cleaned = self._without_marks(address)
        if self._strict and self._is_marked(address):
            self._note("link", "token", address, removed=True)
            return None
        if self._strict and any(is_token(each) for each in address.segments):
            self._note("link", "token-in-path", address, removed=False)
        return written if cleaned == address else str(cleaned)

    def _beyond(self, address: Address, target: str | None, text: str, depth: int) -> str | None:
        """Where a redirect leads; None where only its owner knows."""
        told = self._told.get(_said(text)) if target is None else None
        if target is not None and depth < _DEEPEST:
            self._note("link", "redirect", address, removed=True)
        elif told is not None and told != str(address) and depth < _DEEPEST:
            # Not where the text, too, has nothing but the detour.
            self._note("link", "target-in-text", address, removed=True)
            target = told
        else:
            self._note("link", "target-hidden", address, removed=True)
            return None
        beyond = read_address(target)
        return None if beyond is None else self._followed(target, beyond, text, depth + 1)

    def _target(self, address: Address, row: Redirect | None) -> str | None:
        given = address.pairs
        if row is not None:
            for pair in given:
                if pair.name in row.target and (target := target_in(pair.value)):
                    return target
            return _in_path(address, row) if row.in_path else None
        if not self._looks_like_clicks(address):
            return None
        found = (target_in(pair.value) for pair in given if pair.name in self._rules.targets)
        return next((each for each in found if each), None)

    def _looks_like_clicks(self, address: Address) -> bool:
        label = address.host.partition(".")[0].rstrip("0123456789")
        if label in self._rules.click_hosts:
            return True
        path = [each.partition(".")[0].lower() for each in address.segments]
        # The last piece is what is asked for: only a whole word there says that it counts.
        last = path.pop() if path else ""
        words = self._rules.click_paths
        return any(each in words for each in path) or (len(last) > _SHORT and last in words)

    def _counts_clicks(self, address: Address) -> bool:
        """Whether it looks like a counter of clicks, and has nothing to say but a mark."""
        if not self._looks_like_clicks(address):
            return False
        values = [pair.value for pair in address.pairs] + address.segments
        return any(is_token(value) or value in self._reader.marks for value in values)

    def _why_kept(self, address: Address, text: str, before: Callable[[], str]) -> Why | None:
        """Why a link works as it is only, where that is so."""
        rules = self._rules
        if str(address) in self._reader.leaving:
            return "unsubscribe"
        said = _said(text)
        if said in rules.vague:
            said = _said(before()[-_CONTEXT:])
        words = _words(f"{address.host} {address.path}")
        if (
            rules.says_unsubscribe.search(said)
            or not words.isdisjoint(rules.unsubscribe_words)
            or (address.query and not _words(address.query).isdisjoint(rules.unsubscribe_words))
        ):
            return "unsubscribe"
        if rules.says_account.search(said) or not words.isdisjoint(rules.account_words):
            return "account"
        if not any(pair.name in rules.signatures for pair in address.pairs):
            return None
        leads = self._at(address).redirect(address.path) or self._looks_like_clicks(address)
        return None if leads else "signed"

    def _at(self, address: Address) -> At:
        """What the rules know of an address's host; the same few come again and again."""
        found = self._places.get(address.host)
        if found is None:
            found = self._places[address.host] = self._rules.at(address.host)
        return found

    # ---- what is fetched ----

    def fetched(self, written: str, why: Why | None = None) -> str | None:
        """What stands in the place of something fetched as the message is opened.

        ``why`` it is not to be, where that is known already.
        """
        address = read_address(written)
        if address is None:
            return written
        self.notes.images += 1
        self.notes.parameters += _count(address)
        why = why or self._why_not_fetched(written, address)
        if why:
            self._note("image", why, address, removed=True)
            return None
        cleaned = self._without_marks(address)
        return written if cleaned == address else str(cleaned)

    def _why_not_fetched(self, written: str, address: Address) -> Why | None:
        at, path = self._at(address), address.path
        if at.counts_opening(path):
            return "open-counter"
        if self._names_reader(written):
            return "address"
        if not self._strict:
            return None
        if len(written) > LONGEST:
            return "too-long"
        row = at.redirect(path)
        if row is not None and not _leads_sometimes(row):
            return "open-counter"
        if at.holds_content(path):
            return None
        if self._looks_like_clicks(address) and self._counts_clicks(address):
            return "open-counter"
        parts = address.segments
        named = parts[:-1] if parts and is_file(parts[-1]) else parts
        return "token" if self._is_marked(address) or any(map(is_token, named)) else None

    # ---- marks ----

    def _without_marks(self, address: Address) -> Address:
        query = self._kept_of(address, address.query)
        fragment = address.fragment
        if fragment and "=" in fragment:
            fragment = self._kept_of(address, fragment)
        if (query, fragment) == (address.query, address.fragment):
            return address
        return msgspec.structs.replace(address, query=query or None, fragment=fragment or None)

    def _kept_of(self, address: Address, query: str | None) -> str | None:
        if not query:
            return query
        kept = []
        at = self._at(address)
        for pair in address.pairs if query is address.query else pairs(query):
            why = self._why_mark(pair, at)
            if why is None:
                kept.append(pair.written)
            else:
                self.notes.note(
                    "parameter",
                    why,
                    removed=True,
                    host=address.host,
                    address=pair.written,
                    name=pair.name,
                )
        return "&".join(kept)

    def _why_mark(self, pair: Pair, at: At) -> Why | None:
        if at.is_tracking(pair.name):
            return "parameter"
        if self._names_reader(pair.value):
            return "address"
        if not self._strict:
            return None
        # A value without a name is the whole of a query, as in "?AbC123…".
        looked = pair.value or pair.name
        return "token" if looked in self._reader.marks or is_token(looked) else None

    def _names_reader(self, text: str) -> bool:
        if len(text) < self._shortest:
            return False
        lower = text.lower()
        lower = lower.replace("%40", "@") if "%40" in lower else lower
        return any(name in lower for name in self._reader.names)

    def _is_marked(self, address: Address) -> bool:
        marks = self._reader.marks
        return self._names_reader(address.path) or any(each in marks for each in address.segments)

    def _note(
        self, what: Literal["link", "image"], why: Why, address: Address, *, removed: bool
    ) -> None:
        self.notes.note(what, why, removed=removed, host=address.host, address=str(address))


def _count(address: Address) -> int:
    return address.query.count("&") + 1 if address.query else 0


def _leads_sometimes(row: Redirect) -> bool:
    """Whether a whole host is named, which leads on only where a parameter says where to."""
    return bool(row.target) and not row.path


def _in_path(address: Address, row: Redirect) -> str | None:
    """The target that follows a redirect's path: whole, escaped or in base64."""
    rest = address.path.removeprefix(row.path).lstrip("/")
    pieces = (unquote(each) for each in rest.split("/"))
    targets = (target_in(each) for each in (*pieces, rest))
    return next((each for each in targets if each), None)


def _words(written: str) -> frozenset[str]:
    """The words of a piece of an address, those joined by a hyphen as one, too."""
    text = fold(written)
    joined = _WORDS.findall(text.replace("-", "")) if "-" in text else ()
    return frozenset((*_WORDS.findall(text), *joined))


def _said(text: str) -> str:
    return " ".join(_WORDS.findall(fold(text)))
