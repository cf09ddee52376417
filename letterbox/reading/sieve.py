"""A Sieve script's tests of who wrote, as relationships, where they map (RFC 5228).

The grammar of section 8.2 is read, in which every extension is written, too; what a command means
is asked of the few that say something of a sender. The rest is named with its line and why.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from letterbox.model.address import fold_domain, parse_address

#: Octets of a script; servers take 32 KiB to 1 MiB (RFC 5804).
MOST_OCTETS: Final = 1 << 20
_DEEPEST: Final = 20
_TOKEN: Final = re.compile(
    r"""(?P<space>[\ \t\r\n]+|\#[^\n]*(?:\n|\Z)|/\*.*?\*/)
    | text:[\ \t]*(?:\#[^\n]*)?\r?\n(?P<multi>.*?)^\.\r?(?:\n|\Z)
    | "(?P<string>(?:[^"\\]|\\.)*+)"
    | (?P<tag>:[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>[0-9]+[KkMmGg]?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<mark>[\[\](){},;])""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_SENDERS: Final = frozenset({"from", "sender", "reply-to", "return-path"})
_MATCHES: Final = frozenset({":is", ":contains", ":matches"})
_PARTS: Final = frozenset({":all", ":domain", ":localpart"})
_UNWANTED: Final = frozenset({"discard", "reject", "ereject"})
_WANTED: Final = frozenset({"keep", "fileinto"})
#: Actions that say nothing of whether it is wanted.
_BESIDE: Final = frozenset({"stop", "addflag", "setflag", "removeflag", "mark"})
_FOLDERS: Final = re.compile(
    r"(?i)(?:.*[./])?(?:junk|spam|trash|prullenbak|ongewenst|bulk|deleted.*)$"
)


class NoSieve(Exception):
    """It is no Sieve script. ``line`` is where that shows, counted from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line


class Mapped(msgspec.Struct, frozen=True):
    """What a line says of a sender: a domain, or an address."""

    line: int
    key: str
    do: Literal["allow", "lock-out"]


class Unmapped(msgspec.Struct, frozen=True):
    """A line that no relationship can say, and why."""

    line: int
    what: str
    why: str


class _Tag(str):
    """A tagged argument, with its colon, in lower case."""

    __slots__ = ()


class _Node(msgspec.Struct, frozen=True):
    """A command or a test; ``block`` is None where it has none."""

    line: int
    name: str
    arguments: tuple[str | tuple[str, ...], ...] = ()
    tests: tuple["_Node", ...] = ()
    block: tuple["_Node", ...] | None = None


class _Reader:
    """Reads the tokens of a script from left to right."""

    def __init__(self, script: str) -> None:
        self._tokens = list(_tokens(script))
        self._at = 0
        self._depth = 0

    def commands(self, *, closed: bool = False) -> tuple[_Node, ...]:
        """All commands, up to the end of the script or of the block."""
        found = []
        while not self._is("}" if closed else ""):
            found.append(self._command())
        self._at += 1
        return tuple(found)

    def _command(self) -> _Node:
        line, kind, name = self._tokens[self._at]
        if kind != "name":
            raise NoSieve(line, "a command was expected here")
        self._at += 1
        arguments, tests = self._arguments()
        line_of_end, _, mark = self._tokens[self._at]
        self._at += 1
        block = None
        if mark == "{":
            with_depth = self._deeper(line)
            block = self.commands(closed=True)
            self._depth = with_depth
        elif mark != ";":
            raise NoSieve(line_of_end, "a ; or { was expected here")
        return _Node(line, name.lower(), arguments, tests, block)

    def _deeper(self, line: int) -> int:
        before, self._depth = self._depth, self._depth + 1
        if self._depth > _DEEPEST:
            raise NoSieve(line, "it is nested too deep")
        return before

    def _arguments(self) -> tuple[tuple[str | tuple[str, ...], ...], tuple[_Node, ...]]:
        arguments: list[str | tuple[str, ...]] = []
        while True:
            line, kind, text = self._tokens[self._at]
            if kind == "tag":
                arguments.append(_Tag(text.lower()))
            elif kind in {"string", "number"}:
                arguments.append(text)
            elif text == "[" and kind == "mark":
                self._at += 1
                arguments.append(self._strings())
                continue
            else:
                break
            self._at += 1
        if kind == "name":
            return tuple(arguments), (self._test(),)
        if (kind, text) == ("mark", "("):
            before = self._deeper(line)
            self._at += 1
            tests = [self._test()]
            while self._is(","):
                self._at += 1
                tests.append(self._test())
            self._expect(")")
            self._depth = before
            return tuple(arguments), tuple(tests)
        return tuple(arguments), ()

    def _test(self) -> _Node:
        line, kind, name = self._tokens[self._at]
        if kind != "name":
            raise NoSieve(line, "a test was expected here")
        before = self._deeper(line)
        self._at += 1
        arguments, tests = self._arguments()
        self._depth = before
        return _Node(line, name.lower(), arguments, tests)

    def _strings(self) -> tuple[str, ...]:
        found = []
        while True:
            line, kind, text = self._tokens[self._at]
            if kind != "string":
                raise NoSieve(line, "a string was expected here")
            found.append(text)
            self._at += 1
            if self._is(","):
                self._at += 1
                continue
            self._expect("]")
            return tuple(found)

    def _is(self, mark: str) -> bool:
        _, kind, text = self._tokens[self._at]
        return kind in {"mark", "end"} and text == mark

    def _expect(self, mark: str) -> None:
        if not self._is(mark):
            raise NoSieve(self._tokens[self._at][0], f"a {mark} was expected here")
        self._at += 1


def _tokens(script: str) -> Iterator[tuple[int, str, str]]:
    """Line, kind and text of every token; the last one is the end."""
    at, line = 0, 1
    while at < len(script):
        found = _TOKEN.match(script, at)
        if found is None:
            raise NoSieve(line, "this is not written as Sieve is")
        kind = found.lastgroup
        if kind == "string":
            yield line, "string", _ESCAPED.sub(r"\1", found["string"])
        elif kind == "multi":
            yield line, "string", found["multi"]
        elif kind is not None and kind != "space":
            yield line, kind, found[kind]
        line += script.count("\n", at, found.end())
        at = found.end()
    yield line, "end", ""


def read_sieve(script: str) -> tuple[tuple[Mapped, ...], tuple[Unmapped, ...]]:
    """What a script says of senders, each once, as it is first said; and what does not map.

    Raises :class:`NoSieve`.
    """
    if len(script.encode()) > MOST_OCTETS:
        raise NoSieve(1, f"it is larger than {MOST_OCTETS:,} octets")
    mapped: dict[str, Mapped] = {}
    unmapped: list[Unmapped] = []
    for command in _Reader(script).commands():
        for each in _meant(command):
            if isinstance(each, Unmapped):
                unmapped.append(each)
            else:
                mapped.setdefault(each.key, each)
    return tuple(mapped.values()), tuple(unmapped)


def _meant(command: _Node) -> Iterator[Mapped | Unmapped]:
    if command.name == "require":
        return
    if command.name == "else":
        yield _not(command, "it is about all other mail; who is not on the list is a newcomer")
    elif command.name not in {"if", "elsif"} or not command.tests:
        if command.name not in _BESIDE | {"keep"}:
            yield _not(command, "it is about all mail, not about one sender")
    else:
        do = _done(command.block or ())
        if isinstance(do, Unmapped):
            yield do
        else:
            for test in command.tests:
                yield from _senders(test, do)


def _done(block: Sequence[_Node]) -> Literal["allow", "lock-out"] | Unmapped:
    """What a block does with what its test finds."""
    said: list[Literal["allow", "lock-out"]] = []
    for each in block:
        if each.name in _UNWANTED:
            said.append("lock-out")
        elif each.name in _WANTED:
            folder = next((a for a in each.arguments if type(a) is str), "")
            unwanted = (
                each.name == "fileinto" and isinstance(folder, str) and _FOLDERS.match(folder)
            )
            said.append("lock-out" if unwanted else "allow")
        elif each.name not in _BESIDE:
            return _not(each, "nothing but keeping and refusing maps")
    if len(set(said)) > 1:
        return _not(block[0], "it both keeps and refuses")
    # What is done with but flags, or stopped at, is kept (RFC 5228, section 2.10.2).
    return said[0] if said else "allow"


def _senders(test: _Node, do: Literal["allow", "lock-out"]) -> Iterator[Mapped | Unmapped]:
    if test.name == "anyof" or (test.name == "allof" and len(test.tests) == 1):
        for each in test.tests:
            yield from _senders(each, do)
        return
    if test.name not in {"address", "header", "envelope"}:
        yield _not(test, "it tests something else than who wrote")
        return
    tags = {each for each in test.arguments if isinstance(each, _Tag)}
    plain = [each for each in test.arguments if not isinstance(each, _Tag)]
    if ":comparator" in tags and plain:
        plain, tags = plain[1:], tags - {":comparator"}
    if len(plain) != 2 or tags - _MATCHES - _PARTS:  # noqa: PLR2004 - fields, and keys
        yield _not(test, "it matches in a way that a relationship cannot")
        return
    fields, keys = ((each,) if isinstance(each, str) else each for each in plain)
    if not _SENDERS.issuperset(field.lower() for field in fields):
        yield _not(test, "it tests another field than who wrote")
        return
    for key in keys:
        side = _side(key, tags)
        if side is None:
            yield Unmapped(test.line, f"{test.name} {key[:80]!r}", "it is no domain and no address")
        else:
            yield Mapped(test.line, side, do)


def _side(key: str, tags: set[_Tag]) -> str | None:
    """The domain or address that a key means."""
    if ":localpart" in tags:
        return None
    text = key.strip()
    if ":is" not in tags and not tags.isdisjoint({":contains", ":matches"}):
        # As far as no other domain has the same end.
        text = text.removesuffix("*").removeprefix("*")
        text = text.removeprefix("<").removesuffix(">").removeprefix("@").removeprefix("*")
        text = text.removeprefix(".")
    if "@" in text:
        address = parse_address(text) if ":domain" not in tags else None
        return str(address.mailbox) if address else None
    domain = fold_domain(text)
    return domain if domain and "." in domain else None


def _not(node: _Node, why: str) -> Unmapped:
    return Unmapped(node.line, node.name, why)
