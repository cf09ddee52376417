"""What the demonstration shows: lines as it goes, or one JSON document at its end."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec

_HEADINGS = ("edge", "from", "to", "verdict", "reason", "what the sender was told")
_WIDTHS = (5, 18, 7, 8, 22)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One message, and what became of it. ``shows`` is what it is an example of."""

    shows: str
    edge: str
    from_: str = msgspec.field(name="from")
    to: str
    verdict: str
    reason: str | None
    told: str


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a consumer's window holds back."""

    vendor: str
    subject: str
    until: datetime


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a consumer's inbox, and the interests it is there for."""

    vendor: str
    subject: str
    interests: tuple[str, ...]


class Mailbox(msgspec.Struct, frozen=True, kw_only=True):
    """What one consumer has at the end."""

    consumer: str
    inbox: tuple[Received, ...]
    held: tuple[Waiting, ...]


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """How to look around while the demonstration stays up."""

    #: The pages, by name.
    links: Mapping[str, str]
    #: Credentials of the made-up people, by whose they are.
    tokens: Mapping[str, str]


class Show(Protocol):
    """Somewhere to show it."""

    def begin(self, addresses: Mapping[str, str]) -> None:
        """The broker listens."""
        ...

    def row(self, row: Row) -> None:
        """One message was answered."""
        ...

    def end(self, mailboxes: tuple[Mailbox, ...], visit: Visit | None) -> None:
        """All were; ``visit`` where it stays up."""
        ...


class Lines:
    """Plain lines for people, never wrapped or cut."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def begin(self, addresses: Mapping[str, str]) -> None:
        """Where it listens, and what the columns are."""
        say = self._say
        say(f"letterbox listens: SMTP {addresses['smtp']}, HTTP http://{addresses['http']}")
        say("Anna wants garden tools up to 150 euro; Ben wants Sonorelle and novels.")
        say("")
        say(_line(*_HEADINGS))

    def row(self, row: Row) -> None:
        """What it is an example of, and the message below."""
        self._say("")
        self._say(f"# {row.shows}")
        self._say(_line(row.edge, row.from_, row.to, row.verdict, row.reason or "-", row.told))

    def end(self, mailboxes: tuple[Mailbox, ...], visit: Visit | None) -> None:
        """What everybody has, and how to look around."""
        say = self._say
        say("")
        for mailbox in mailboxes:
            say(f"{mailbox.consumer}'s inbox:")
            for entry in mailbox.inbox:
                because = f" (because of {', '.join(entry.interests)})" if entry.interests else ""
                say(f"  {entry.vendor}: {entry.subject}{because}")
            for held in mailbox.held:
                say(f"  waits until {held.until:%A %H:%M} UTC: {held.vendor}: {held.subject}")
        if visit is None:
            return
        say("")
        say("Still running; Ctrl-C ends it. As Anna:")
        say(_curl(visit.tokens["anna"], visit.links["decisions"]))
        say("As the vendor Greenleaf:")
        say(_curl(visit.tokens["greenleaf"], visit.links["feedback"]))
        say(f"In a browser: {visit.links['home']} and {visit.links['reasons']}")


class Document:
    """One JSON document, when everything was shown."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._whole: dict[str, Any] = {}
        self._rows: list[Row] = []

    def begin(self, addresses: Mapping[str, str]) -> None:
        """Keep where it listens."""
        self._whole["addresses"] = dict(addresses)

    def row(self, row: Row) -> None:
        """Keep it."""
        self._rows.append(row)

    def end(self, mailboxes: tuple[Mailbox, ...], visit: Visit | None) -> None:
        """Say all of it. Without a visit there is nothing to link to."""
        self._whole |= {
            "rows": self._rows,
            "mailboxes": mailboxes,
            "links": visit.links if visit else {},
            "tokens": visit.tokens if visit else {},
        }
        self._say(json.dumps(msgspec.to_builtins(self._whole), indent=2, ensure_ascii=False))


def _line(*columns: str) -> str:
    *fixed, last = columns
    padded = [text.ljust(width) for text, width in zip(fixed, _WIDTHS, strict=True)]
    return " ".join([*padded, last])


def _curl(secret: str, address: str) -> str:
    return f"  curl -s -H 'Authorization: Bearer {secret}' {address}"
