"""What a domain name is, apart from what the DNS says: whose, and whether it is anybody's."""

from functools import lru_cache

import msgspec
from publicsuffixlist import PublicSuffixList

from letterbox.model.address import fold_domain

#: Domains that stay looked up.
_KEPT = 4096


class _Providers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    domains: frozenset[str]


class Domains:
    """The public suffix list that comes with its library, and the mailbox providers.

    ``providers`` is the text of ``config/mailbox_providers.toml``. Raises msgspec's
    ValidationError or DecodeError where it is not of that form. All names are folded.
    """

    def __init__(self, providers: bytes) -> None:
        self._suffixes = PublicSuffixList()
        # A few vendors and platforms send nearly all mail: 0.1 us for each, instead of 2.
        self._registered = lru_cache(maxsize=_KEPT)(self._suffixes.privatesuffix)
        self._providers = msgspec.toml.decode(providers, type=_Providers).domains

    def organizational(self, domain: str) -> str:
        """The domain somebody registered, by the public suffix list alone; no DNS.

        A public suffix is its own.
        """
        found = self._registered(domain)
        return found if isinstance(found, str) else domain

    def why_no_vendors(self, domain: str, ours: frozenset[str]) -> tuple[str, str] | None:
        """Why a domain cannot be a vendor's, and what can be; None where it can.

        ``ours`` are the domains of this letterbox.
        """
        top = domain.rpartition(".")[2]
        if fold_domain(domain) is None or top in {"", domain} or top.isdecimal():
            return f"{domain[:80]!r} is no domain", "a domain such as shop.example"
        if domain in ours:
            return f"{domain} is this letterbox's own", "a domain of the vendor's"
        if self.is_public_suffix(domain):
            return (
                f"{domain} is a public suffix, under which anybody registers",
                "a registered domain",
            )
        if self.is_mailbox_provider(domain):
            allowed = 'none; a consumer allows one person there by address = "…"'
            return f"{domain} gives mailboxes to anybody, so that it is nobody's vendor", allowed
        return None

    def is_public_suffix(self, domain: str) -> bool:
        """Whether anybody may register below the domain, or nobody owns it."""
        return fold_domain(domain) is None or bool(self._suffixes.is_public(domain))

    def is_mailbox_provider(self, domain: str) -> bool:
        """Whether anybody can have a mailbox there, so that it is nobody's vendor."""
        while domain:
            if domain in self._providers:
                return True
            domain = domain.partition(".")[2]
        return False
