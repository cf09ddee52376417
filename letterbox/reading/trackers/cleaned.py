"""What cleaning gives: the content, and what was found in it."""

from typing import Final, Literal

import msgspec

#: Media types that are cleaned; all others stay as they are.
CLEANED_TYPES: Final = frozenset({"text/html", "text/plain", "text/x-amp-html"})

What = Literal["image", "link", "parameter", "content"]
Why = Literal[
    # taken out
    "tiny",
    "hidden",
    "open-counter",
    "address",
    "parameter",
    "token",
    "redirect",
    "target-in-text",
    "target-hidden",
    "ping",
    # kept
    "unsubscribe",
    "account",
    "signed",
    "redirect-kept",
    "token-in-path",
    "too-long",
]
#: Why a part was left as it was.
Untouched = Literal["signed-part", "encrypted-part", "unreadable-part", "unreadable-message"]

#: So many are told one by one; what is more is counted.
_MOST: Final = 500
_LONGEST: Final = 300  # characters of an address, a name


class Finding(msgspec.Struct, frozen=True):
    """Something that tells the sender of its reader, or that might.

    ``host`` is where it would have been told; ``name`` the parameter's, where it is one;
    ``address`` what stood there, cut off where it is long.
    """

    what: What
    removed: bool
    why: Why
    host: str
    address: str
    name: str = ""


class Found(msgspec.Struct, frozen=True):
    """What was looked at, all of it, and what was told of it.

    ``images`` are those elsewhere, ``links`` those to the web, ``parameters`` all of both.
    ``more`` are findings beyond those in ``findings``, which are the first.
    """

    images: int = 0
    links: int = 0
    parameters: int = 0
    findings: tuple[Finding, ...] = ()
    more: int = 0

    @property
    def removed(self) -> tuple[Finding, ...]:
        """What was taken out."""
        return tuple(each for each in self.findings if each.removed)

    @property
    def kept(self) -> tuple[Finding, ...]:
        """What was left, for a reason."""
        return tuple(each for each in self.findings if not each.removed)

    def __add__(self, other: "Found") -> "Found":
        findings = self.findings + other.findings
        return Found(
            images=self.images + other.images,
            links=self.links + other.links,
            parameters=self.parameters + other.parameters,
            findings=findings[:_MOST],
            more=self.more + other.more + len(findings[_MOST:]),
        )


NOTHING: Final = Found()


class CleanedText(msgspec.Struct, frozen=True):
    """A text or HTML without what was taken out, and what was found."""

    text: str
    found: Found = NOTHING


class Cleaned(msgspec.Struct, frozen=True):
    """A message without what was taken out; ``content`` is the very one where nothing was.

    ``untouched`` says of each part that was not looked into why that is, in the order of parts.
    """

    content: bytes
    found: Found = NOTHING
    untouched: tuple[Untouched, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was taken out, and what was left for a reason."""
        return self.found.findings


class Notes:
    """Findings as they are made, up to a bound."""

    def __init__(self) -> None:
        self.images = self.links = self.parameters = 0
        self._findings: list[Finding] = []
        self._more = 0

    def add(self, finding: Finding) -> None:
        """Note one."""
        if len(self._findings) < _MOST:
            self._findings.append(finding)
        else:
            self._more += 1

    def note(
        self, what: What, why: Why, *, removed: bool, host: str, address: str, name: str = ""
    ) -> None:
        """Note what was found, its address and name cut off where they are long."""
        self.add(
            Finding(
                what=what,
                removed=removed,
                why=why,
                host=host[:_LONGEST],
                address=address[:_LONGEST],
                name=name[:_LONGEST],
            )
        )

    def found(self) -> Found:
        """All of it."""
        return Found(
            images=self.images,
            links=self.links,
            parameters=self.parameters,
            findings=tuple(self._findings),
            more=self._more,
        )
