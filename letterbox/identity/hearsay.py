"""What other servers say about the author, where the operator trusts them.

An inner relay writes it into Authentication-Results (RFC 8601), a forwarder into a sealed ARC set
(RFC 8617). Neither is looked at unless the operator named the server.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from letterbox.identity.arc import ArcSet, BadChain, Chain, read_chain, validate
from letterbox.identity.canon import Signable
from letterbox.identity.dkim import DkimVerifier, covered
from letterbox.identity.results_field import (
    Result,
    Results,
    read_results,
    read_sealed_results,
)
from letterbox.model.address import Address, fold_domain, is_below
from letterbox.model.configuration import IdentitySection
from letterbox.model.envelope import Client
from letterbox.model.sender import Proven
from letterbox.ports.resolver import Resolver
from letterbox.reading.mail import Mail

By = Literal["dkim", "spf"]

#: With any other the server did not let the author pass; ``bestguesspass`` is for no policy.
_NO_OBJECTION = frozenset({"pass", "none", "bestguesspass"})


class Heard(msgspec.Struct, frozen=True):
    """What came of asking. ``chain`` is None where no chain was worth validating."""

    proven: Proven | None = None
    chain: Chain | None = None


NOTHING = Heard()


class Hearsay:
    """What may be heard about the author of one message.

    ``trust`` names the servers whose word is taken; ``aligned`` says whether a domain is the
    author's own, and may raise ResolverTrouble; ``related`` says without the DNS whether it may
    turn out to be.
    """

    def __init__(
        self,
        trust: IdentitySection,
        author: Address,
        related: Callable[[str], bool],
        aligned: Callable[[str, By], Awaitable[bool]],
    ) -> None:
        self._trust = trust
        self._author = author
        self._related = related
        self._aligned = aligned

    async def of_relay(self, mail: Mail, client: Client) -> Proven | None:
        """By the topmost field of a named relay, if it is a trusted peer that brought the message.

        May raise ResolverTrouble.
        """
        if not (self._trust.trusted_results and client.trusted):
            return None
        for field in mail.all("authentication-results"):
            results = read_results(field.value)
            if results is None:
                break  # it may be the relay's; what stands below it may be anybody's
            if results.server in self._trust.trusted_results:
                over = await self._over(results)
                return self._proven("results", results.server, over)
        return None

    async def of_sealers(
        self,
        verifier: DkimVerifier,
        resolver: Resolver,
        message: Signable,
        mail: Mail,
        now: datetime,
    ) -> Heard:
        """By the sets of trusted sealers at the new end of a chain, the newest first.

        Before the oldest of those anybody may have changed the message; the newest signature
        says only that it is as its signer saw it. May raise ResolverTrouble.
        """
        if not self._trust.arc_sealers:
            return NOTHING
        try:
            sets = read_chain(mail)
        except BadChain as error:
            return Heard(chain=Chain(status="fail", detail=str(error)))
        said = [(each, results) for each, results in self._trusted(sets) if self._may(results)]
        if not said:
            return NOTHING
        chain = await validate(verifier, resolver, message, sets, now)
        if chain.status == "pass":
            for each, results in said:
                over = await self._over(results)
                if over:
                    proven = self._proven("arc", each.seal.domain, over)
                    signed = covered(message, sets[-1].message.names)
                    return Heard(proven and replace(proven, signed=signed), chain)
        return Heard(chain=chain)

    def _trusted(self, sets: tuple[ArcSet, ...]) -> Iterator[tuple[ArcSet, Results]]:
        """The sets of trusted sealers down to the first other, and what each says."""
        for each in reversed(sets):
            if not (self._seals(each.seal.domain) and self._seals(each.message.domain)):
                return
            results = read_sealed_results(each.results.value)
            if results:
                yield each, results

    def _seals(self, domain: str) -> bool:
        """Whether the chains that a domain seals count."""
        return any(is_below(domain, sealer) for sealer in self._trust.arc_sealers)

    def _may(self, results: Results) -> bool:
        """Whether the results may prove the author, as far as is known without the DNS."""
        return self._passed(results) or any(True for _ in self._candidates(results))

    async def _over(self, results: Results) -> By | None:
        """What the results prove the author by; DKIM first, as it proves more."""
        if self._passed(results):
            domains = _domains(results.of("dkim"), "header.d", "header.i")
            return "dkim" if any(map(self._related, domains)) else "spf"
        for domain, by in self._candidates(results):
            if await self._aligned(domain, by):
                return by
        return None

    def _passed(self, results: Results) -> bool:
        """Whether they say that DMARC passed for the author's very domain."""
        return self._undisputed(results) and any(
            result.result == "pass" and self._names_author(result) for result in results.of("dmarc")
        )

    def _candidates(self, results: Results) -> Iterator[tuple[str, By]]:
        """The domains that were proven and may be the author's."""
        if not self._undisputed(results):
            return
        for domain in _domains(results.of("dkim"), "header.d"):
            if self._related(domain):
                yield domain, "dkim"
        for domain in _domains(results.of("spf"), "smtp.mailfrom"):
            if self._related(domain):
                yield domain, "spf"

    def _undisputed(self, results: Results) -> bool:
        """Whether DMARC has nothing against it: a failure, or another author than today's."""
        return all(
            result.result in _NO_OBJECTION
            and ("header.from" not in result.properties or self._names_author(result))
            for result in results.of("dmarc")
        )

    def _names_author(self, result: Result) -> bool:
        return _domain(result, "header.from") == self._author.domain

    def _proven(self, how: Literal["arc", "results"], by: str, over: By | None) -> Proven | None:
        if over is None:
            return None
        domain = self._author.domain
        return Proven(domain=domain, how=how, author=self._author, by=by, over=over)


def _domains(results: Iterable[Result], *names: str) -> Iterator[str]:
    """The domains in the first of some properties, of the results that passed."""
    for result in results:
        if result.result != "pass":
            continue
        domain = next((found for name in names if (found := _domain(result, name))), None)
        if domain:
            yield domain


def _domain(result: Result, name: str) -> str | None:
    """The domain in a property; None where there is none. All but ``header.d`` may be addresses."""
    text = result.properties.get(name)
    if text is None:
        return None
    return fold_domain(text if name == "header.d" else text.rpartition("@")[2])
