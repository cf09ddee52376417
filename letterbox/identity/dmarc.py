"""DMARC: whose names belong together, and what an owner asks for (RFC 9989).

The organizational domain comes from the DNS tree walk (section 4.10). Where no record is found
on the way, and where a record stands on a public suffix without saying ``psd=n``, the public
suffix list decides: what one shop publishes there must not speak for its neighbours.
"""

import re
from collections.abc import Iterator
from typing import Literal, cast

import msgspec

from letterbox.identity.domains import Domains
from letterbox.model.address import is_below
from letterbox.ports.resolver import Answer, Resolver

Wish = Literal["none", "quarantine", "reject"]
Mode = Literal["r", "s"]

_MOST_LABELS = 8  # section 4.10: never more than eight questions
_WEAKER: dict[Wish, Wish] = {"reject": "quarantine", "quarantine": "none", "none": "none"}
_WISHES = ("none", "quarantine", "reject")
_SPACE = " \t\r\n"
_URI = re.compile(r"[a-z][a-z0-9+.\-]*:[^\s,!]+")  # RFC 3986, section 3; commas are escaped


class Policy(msgspec.Struct, frozen=True):
    """One record (section 4.7). ``psd``: y, n, or u for not said.

    ``applies`` is false for one that asks for something unknown and wants no reports either: its
    owner's wishes are then as if it had not been published (section 4.10.1).
    """

    p: Wish = "none"
    sp: Wish = "none"
    np: Wish = "none"
    adkim: Mode = "r"
    aspf: Mode = "r"
    psd: Literal["y", "n", "u"] = "u"
    testing: bool = False
    applies: bool = True


def read_policy(text: bytes) -> Policy | None:
    """Read a TXT value; None where it is no DMARC record.

    Unknown tags and values are passed over (section 4.7), but for those of ``p``, ``sp`` and
    ``np``: a record in which one of them is unknown asks for nothing (section 4.10.1).
    """
    pieces = text.decode("ascii", "replace").split(";")
    pairs = [piece.partition("=") for piece in pieces]
    tags: dict[str, str] = {}
    for name, _, value in pairs:
        tags.setdefault(name.strip(_SPACE).lower(), value.strip(_SPACE))
    name, _, version = pairs[0]
    if name.strip(_SPACE).lower() != "v" or version.strip(_SPACE) != "DMARC1":
        return None
    tags = {name: value.lower() for name, value in tags.items()}
    psd = tags.get("psd", "u")
    policy = Policy(
        adkim="s" if tags.get("adkim") == "s" else "r",
        aspf="s" if tags.get("aspf") == "s" else "r",
        psd=cast(Literal["y", "n"], psd) if psd in ("y", "n") else "u",
        testing=tags.get("t") == "y",
    )
    p = tags.get("p", "none")
    sp = tags.get("sp", p)
    np = tags.get("np", sp)
    if not {p, sp, np} <= set(_WISHES):
        reports = map(str.strip, tags.get("rua", "").split(","))
        return msgspec.structs.replace(policy, applies=any(map(_URI.fullmatch, reports)))
    return msgspec.structs.replace(policy, p=cast(Wish, p), sp=cast(Wish, sp), np=cast(Wish, np))


def walk_names(domain: str) -> Iterator[str]:
    """The names the tree walk asks about, from the domain to its top (section 4.10)."""
    yield domain
    labels = domain.split(".")
    for count in range(min(len(labels), _MOST_LABELS) - 1, 0, -1):
        yield ".".join(labels[-count:])


class Dmarc:
    """What DMARC says about one author's domain. Every method may raise ResolverTrouble."""

    def __init__(self, resolver: Resolver, domains: Domains, author: str) -> None:
        self._resolver = resolver
        self._domains = domains
        self._author = author
        self._policies: dict[str, Policy | None] = {}

    async def aligned(self, domain: str, by: Literal["dkim", "spf"]) -> bool:
        """Whether a proven domain is the author's own, as its owner wants it (section 4.4)."""
        if domain == self._author:
            return True
        home = await self.organizational(self._author)
        if not is_below(domain, home):
            return False
        policy, _ = await self.policy()
        if policy and (policy.adkim if by == "dkim" else policy.aspf) == "s":
            return False
        return await self.organizational(domain) == home

    async def organizational(self, domain: str) -> str:
        """Find the organizational domain (section 4.10.2)."""
        found: str | None = None
        for name in walk_names(domain):
            policy = await self._policy_at(name)
            if policy is None:
                continue
            if policy.psd == "y" and name != domain:
                return f"{domain.removesuffix('.' + name).rpartition('.')[2]}.{name}"
            if policy.psd != "u":
                return name
            if not self._domains.is_public_suffix(name):
                found = name
        return found or self._domains.organizational(domain)

    async def policy(self) -> tuple[Policy | None, str]:
        """Find the record that holds for the author, and where it stands (section 4.10.1)."""
        own = await self._policy_at(self._author)
        if own:
            return own, self._author
        home = await self.organizational(self._author)
        above = home.partition(".")[2]
        for name in (home, above):
            policy = await self._policy_at(name) if name else None
            if policy and (name == home or policy.psd == "y"):
                return policy, name
        return None, ""

    async def wish(self) -> Wish | None:
        """What the owner asks for mail that is not proven; None where nothing is published."""
        policy, name = await self.policy()
        if policy is None or not policy.applies:
            return None
        wish = policy.p
        if name != self._author:
            wish = policy.sp
            if policy.np != policy.sp and not await self._exists():
                wish = policy.np
        return _WEAKER[wish] if policy.testing else wish  # the tag t, section 4.7

    async def _exists(self) -> bool:
        """Whether the author's domain stands in the DNS at all (section 3.2.12; RFC 8020).

        One without an address, or with names below it only, exists: just NXDOMAIN is a no.
        """
        return (await self._resolver.ask(self._author, "A")).exists

    async def _policy_at(self, name: str) -> Policy | None:
        """The one record of a name; several are none (section 4.10, step 2)."""
        if name not in self._policies:
            answer: Answer = await self._resolver.ask(f"_dmarc.{name}", "TXT")
            texts = [text for text in answer.values if isinstance(text, bytes)]
            policies = [policy for policy in map(read_policy, texts) if policy]
            self._policies[name] = policies[0] if len(policies) == 1 else None
        return self._policies[name]
