"""The rules by which trackers are known: ``config/trackers.toml`` and the operator's own files."""

import re
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from letterbox.model.fold import fold


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A row of a file: an unknown field is an error that names it."""


class Place(_Row, frozen=True):
    """Addresses at ``host`` and all below it whose path begins with ``path``.

    An empty host is any. ``says`` is whose it is, for whoever reads the file.
    """

    host: str = ""
    path: str = ""
    says: str = ""


class Redirect(_Row, frozen=True):
    """Addresses that lead on elsewhere. ``target`` are parameters that say where.

    ``in_path``: it says so in what follows ``path``.
    """

    host: str = ""
    path: str = ""
    target: tuple[str, ...] = ()
    in_path: bool = False
    says: str = ""


class Parameter(_Row, frozen=True):
    """Parameters that say who follows a link. A name may end in ``*``; no hosts: everywhere."""

    names: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    hosts: tuple[str, ...] = ()
    says: str = ""


class Words(_Row, frozen=True):
    """How a link is known: by what is written on it, or by a word of its address."""

    text: tuple[str, ...] = ()
    address: tuple[str, ...] = ()


class Shapes(_Row, frozen=True):
    """How what no rule names looks.

    ``click_hosts`` are first labels of a host and ``click_paths`` segments of a path of what
    counts clicks; ``targets`` parameters that say where it leads on. ``signatures`` are
    parameters that hold an address together. ``vague`` is written on links that say nothing.
    """

    click_hosts: tuple[str, ...] = ()
    click_paths: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    vague: tuple[str, ...] = ()


class RuleFile(_Row, frozen=True):
    """A file of rules, explained in ``config/trackers.toml``."""

    open: tuple[Place, ...] = ()
    redirect: tuple[Redirect, ...] = ()
    parameter: tuple[Parameter, ...] = ()
    content: tuple[Place, ...] = ()
    unsubscribe: Words = Words()
    account: Words = Words()
    shapes: Shapes = Shapes()


_ANY: Final = ""


class Rules:
    """Several files as one, in the form in which they are asked."""

    def __init__(self, files: Iterable[RuleFile]) -> None:
        files = tuple(files)
        self._opens = _by_host((row.host, row.path) for file in files for row in file.open)
        self._content = _by_host((row.host, row.path) for file in files for row in file.content)
        self._redirects: dict[str, tuple[Redirect, ...]] = {}
        for file in files:
            for row in file.redirect:
                host = row.host.lower()
                self._redirects[host] = (*self._redirects.get(host, ()), row)
        self._names: dict[str, frozenset[str]] = {}
        self._prefixes: dict[str, frozenset[str]] = {}
        for file in files:
            for parameter in file.parameter:
                self._add(parameter)
        self._starts = tuple(self._prefixes)
        self.says_unsubscribe = _phrases(w for f in files for w in f.unsubscribe.text)
        self.unsubscribe_words = frozenset(_folded(w for f in files for w in f.unsubscribe.address))
        self.says_account = _phrases(w for f in files for w in f.account.text)
        self.account_words = frozenset(_folded(w for f in files for w in f.account.address))
        shapes = [file.shapes for file in files]
        self.click_hosts = frozenset(_folded(w for s in shapes for w in s.click_hosts))
        self.click_paths = frozenset(_folded(w for s in shapes for w in s.click_paths))
        self.targets = frozenset(_folded(w for s in shapes for w in s.targets))
        self.signatures = frozenset(_folded(w for s in shapes for w in s.signatures))
        self.vague = frozenset(_folded(w for s in shapes for w in s.vague))

    def _add(self, parameter: Parameter) -> None:
        for name in parameter.names:
            kept = self._prefixes if name.endswith("*") else self._names
            key = name.removesuffix("*").lower()
            hosts = frozenset(host.lower() for host in parameter.hosts)
            # Whatever holds everywhere needs no hosts.
            before = kept.get(key)
            kept[key] = hosts if before is None else (before | hosts if before and hosts else _ALL)

    def at(self, host: str) -> "At":
        """What the rules say of one host."""
        above = tuple(_upwards(host))
        return At(
            self,
            hosts=frozenset(above),
            opens=tuple(path for each in above for path in self._opens.get(each, ())),
            content=tuple(path for each in above for path in self._content.get(each, ())),
            redirects=tuple(row for each in above for row in self._redirects.get(each, ())),
        )

    def hosts_of(self, name: str) -> frozenset[str] | None:
        """The hosts at which a parameter (in lower case) says who follows a link.

        Empty for everywhere, None where it says nothing.
        """
        hosts = self._names.get(name)
        if hosts is None and name.startswith(self._starts):
            hosts = next(self._prefixes[start] for start in self._starts if name.startswith(start))
        return hosts


class At:
    """What rules say of one host: of the host and what lies above it."""

    def __init__(
        self,
        rules: Rules,
        *,
        hosts: frozenset[str],
        opens: tuple[str, ...],
        content: tuple[str, ...],
        redirects: tuple[Redirect, ...],
    ) -> None:
        self._rules, self._hosts = rules, hosts
        self._opens, self._content, self._redirects = opens, content, redirects

    def counts_opening(self, path: str) -> bool:
        """Whether what is fetched from there tells that a mail was opened."""
        return path.lower().startswith(self._opens)

    def holds_content(self, path: str) -> bool:
        """Whether paths there name what is shown, and not who looks at it."""
        return path.lower().startswith(self._content)

    def redirect(self, path: str) -> Redirect | None:
        """The rule for an address that leads on elsewhere; None where none is known."""
        return next((row for row in self._redirects if path.startswith(row.path)), None)

    def is_tracking(self, name: str) -> bool:
        """Whether a parameter (in lower case) says who follows a link there."""
        hosts = self._rules.hosts_of(name)
        return hosts is not None and (not hosts or not hosts.isdisjoint(self._hosts))


_ALL: Final[frozenset[str]] = frozenset()


def read_rules(*contents: bytes) -> Rules:
    """The rules of files. Raises msgspec.ValidationError or DecodeError where one is not so."""
    return Rules(read_file(content) for content in contents)


def read_file(content: bytes) -> RuleFile:
    """One file. Raises msgspec.ValidationError or DecodeError where it is not of its form."""
    return msgspec.toml.decode(content, type=RuleFile)


def _folded(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fold(word) for word in words))


def _phrases(words: Iterable[str]) -> re.Pattern[str]:
    """One pattern for all phrases, in a text of words with a space between them."""
    every = "|".join(map(re.escape, _folded(words)))
    return re.compile(rf"(?<!\S)(?:{every})(?!\S)" if every else r"(?!)")


def _by_host(places: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for host, path in places:
        found[host.lower()] = (*found.get(host.lower(), ()), path.lower())
    return found


def _upwards(host: str) -> Iterable[str]:
    """A host, all above it, and the empty one of rules for any."""
    while host:
        yield host
        host = host.partition(".")[2]
    yield _ANY
