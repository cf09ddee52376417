"""Who sent a message: one proof, which serves all its recipients."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from letterbox.identity.arc import BadChain, Chain, read_chain, validate
from letterbox.identity.canon import Signable
from letterbox.identity.dkim import (
    BadSignature,
    Claim,
    DkimVerifier,
    Verified,
)
from letterbox.identity.dmarc import Dmarc
from letterbox.identity.domains import Domains
from letterbox.identity.hearsay import Hearsay
from letterbox.identity.results import authentication_results
from letterbox.identity.spf import Spf, SpfRecords, check_path
from letterbox.identity.waiting import together, within
from letterbox.model.address import Address
from letterbox.model.configuration import IdentitySection
from letterbox.model.envelope import Client, Envelope
from letterbox.model.sender import Proven, Sender, Signer, Stranger, Undetermined
from letterbox.ports.resolver import Answer, RecordType, Resolver, ResolverTrouble
from letterbox.reading.header import Ambiguous, author
from letterbox.reading.mail import Mail

_MAX_SIGNATURES = 5  # of one message that are tried
_MAX_SEEN = 50  # of one message that are looked at to choose those
_MAX_QUESTIONS = 200  # of one message; SPF alone may take about 120 (RFC 7208, 4.6.4)
_SPF_SECONDS = 10.0  # less than the whole, so that slow SPF cannot undo a DKIM proof

NO_SPF = Spf(result="none", detail="not asked")
NOBODY = IdentitySection()


class Proof(msgspec.Struct, frozen=True):
    """What one message proves. ``results`` is the value of an Authentication-Results field.

    ``why`` is what a stranger is told of the message, where one is let speak for the author.
    """

    sender: Sender
    spf: Spf
    results: str
    why: str | None = None

    @property
    def path_passed(self) -> bool:
        """Whether SPF passed for a return path that is not null: a report may go there."""
        return self.spf.result == "pass" and self.spf.identity == "mailfrom"


class Signed(msgspec.Struct, frozen=True):
    """What became of one signature, and whether its domain is the author's own (DMARC)."""

    verified: Verified
    aligned: bool


class Examined(msgspec.Struct, frozen=True):
    """A proof with all it rests on, for whoever wrote the message.

    ``policy`` is what the author's domain asks for mail that is not proven (DMARC); None where it
    publishes nothing, "unknown" where the DNS gave no answer. ``path_aligned``: a pass of SPF is
    of the author's own domain.
    """

    proof: Proof
    signatures: tuple[Signed, ...] = ()
    path_aligned: bool = False
    policy: str | None = None


class Prover:
    """Proves authors. ``server`` is our own host name; ``seconds`` bound one message's proof.

    ``trust`` names the servers whose word counts where nothing is proven here.
    """

    def __init__(
        self,
        resolver: Resolver,
        domains: Domains,
        server: str,
        trust: IdentitySection = NOBODY,
        *,
        seconds: float = 15.0,
    ) -> None:
        self._resolver = resolver
        self._domains = domains
        self._server = server
        self._seconds = seconds
        self._trust = trust
        self._dkim = DkimVerifier()
        self._records = SpfRecords()

    async def prove(self, mail: Mail, envelope: Envelope, now: datetime) -> Proof:
        """Prove the author of ``mail``. ``now`` is aware. Never raises for what mail or DNS say.

        A trusted peer that asserts the author is believed without a question to the DNS.
        """
        how = ""
        found = author(mail)
        if isinstance(found, Ambiguous):
            sender: Sender = Stranger(why="author-ambiguous", detail=found.why)
        elif envelope.client.asserts_from:
            sender = Proven(domain=found.address.domain, how="peer", author=found.address)
            how = "the author is proven by a relay that is trusted here"
        else:
            proving = self._proving(found.address)
            try:
                return await within(self._seconds, proving.prove(mail, envelope, now))
            except TimeoutError:
                sender = Undetermined(detail=f"no proof within {self._seconds:g} s")
        results = authentication_results(self._server, otherwise=how)
        return Proof(sender=sender, spf=NO_SPF, results=results)

    async def path_passes(self, client: Client, reverse_path: Address) -> bool | None:
        """Whether SPF passes for a return path; None where it could not be found out now.

        Nobody else than the owner of a path is to hear what is reported to it.
        """
        questions = _Questions(self._resolver)
        check = check_path(questions, client, reverse_path, self._records.read)
        try:
            spf = await within(_SPF_SECONDS, check)
        except TimeoutError:
            return None
        return None if spf.result == "temperror" else spf.result == "pass"

    async def chain(self, mail: Mail, now: datetime) -> Chain:
        """What becomes of the ARC sets of a message, whoever sealed them."""
        try:
            sets = read_chain(mail)
        except BadChain as error:
            return Chain(status="fail", detail=str(error))
        questions = _Questions(self._resolver)
        check = validate(self._dkim, questions, Signable(mail), sets, now)
        try:
            return await within(self._seconds, check)
        except TimeoutError:
            return Chain(status="temperror", detail=f"not done within {self._seconds:g} s")

    async def examine(self, mail: Mail, envelope: Envelope, now: datetime) -> Examined:
        """Prove the author, and tell what the proof rests on, whatever came of it."""
        found = author(mail)
        if isinstance(found, Ambiguous):
            return Examined(await self.prove(mail, envelope, now))
        proving = self._proving(found.address)
        try:
            return await within(self._seconds, proving.examine(mail, envelope, now))
        except TimeoutError:
            sender = Undetermined(detail=f"no proof within {self._seconds:g} s")
            return Examined(Proof(sender=sender, spf=NO_SPF, results=""), policy="unknown")

    def _proving(self, author: Address) -> "_Proving":
        return _Proving(
            _Questions(self._resolver),
            self._domains,
            author,
            self._server,
            self._trust,
            self._dkim,
            self._records,
        )


class _Questions:
    """The resolver for one message, which may not ask without end."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._left = _MAX_QUESTIONS

    async def ask(self, name: str, record: RecordType) -> Answer:
        if not self._left:
            raise ResolverTrouble(f"one message asks for more than {_MAX_QUESTIONS} names")
        self._left -= 1
        return await self._resolver.ask(name, record)


class _Proving:
    """The proof of one message while it is made."""

    def __init__(
        self,
        resolver: Resolver,
        domains: Domains,
        author: Address,
        server: str,
        trust: IdentitySection,
        verifier: DkimVerifier,
        records: SpfRecords,
    ) -> None:
        self._resolver = resolver
        self._domains = domains
        self._author = author
        self._server = server
        self._verifier = verifier
        self._records = records
        self._hearsay = Hearsay(trust, author, self._related, self._aligned)
        self._home = domains.organizational(author.domain)
        self._dmarc = Dmarc(resolver, domains, author.domain)
        self._said: str | None = None
        self._chain: Chain | None = None
        self._tried: Sequence[Verified] = ()

    async def examine(self, mail: Mail, envelope: Envelope, now: datetime) -> Examined:
        proof = await self.prove(mail, envelope, now)
        policy = await self._wish()
        spf = proof.spf
        passed = spf.result == "pass" and spf.identity == "mailfrom"
        try:
            signatures = [
                Signed(one, aligned=await self._aligned(one.domain, "dkim")) for one in self._tried
            ]
            aligned = passed and await self._aligned(spf.domain, "spf")
        except ResolverTrouble:
            return Examined(proof, policy="unknown")
        return Examined(proof, tuple(signatures), aligned, policy)

    async def prove(self, mail: Mail, envelope: Envelope, now: datetime) -> Proof:
        message = Signable(mail)
        # SPF is asked about while DKIM waits for the DNS, and the other way round.
        dkim, spf = await together(self._signatures(mail, message, now), self._path(envelope))
        self._tried = dkim
        sender = (
            await self._found(spf, dkim)
            or await self._heard(mail, message, envelope, now)
            or await self._stranger(spf, dkim)
        )
        chain = self._chain.status if self._chain else None
        results = authentication_results(self._server, spf, dkim, self._said, arc=chain)
        return Proof(sender=sender, spf=spf, results=results)

    async def _path(self, envelope: Envelope) -> Spf:
        check = check_path(
            self._resolver, envelope.client, envelope.reverse_path, self._records.read
        )
        try:
            return await within(_SPF_SECONDS, check)
        except TimeoutError:
            domain = envelope.reverse_path.domain if envelope.reverse_path else ""
            return Spf(
                result="temperror",
                domain=domain,
                identity="mailfrom" if envelope.reverse_path else "helo",
                detail=f"no result within {_SPF_SECONDS:g} s",
            )

    async def _signatures(self, mail: Mail, message: Signable, now: datetime) -> list[Verified]:
        """Try what may be aligned until one proves the author, else what others signed."""
        likely: list[Claim] = []
        strange: list[Claim] = []
        for claim in map(Claim, mail.all("dkim-signature")[:_MAX_SEEN]):
            own = claim.domain and self._related(claim.domain)
            (likely if own else strange).append(claim)
        tried: list[Verified] = []
        for claim in likely[:_MAX_SIGNATURES]:
            tried.append(await self._signature(message, claim, now))
            if self._own(tried):
                return tried
        left = _MAX_SIGNATURES - len(tried)
        checks = [self._signature(message, claim, now) for claim in strange[:left]]
        return [*tried, *await together(*checks)]

    def _own(self, dkim: Sequence[Verified]) -> list[Verified]:
        """The signatures that prove the author whatever else the DNS says."""
        name = self._author.domain
        return [one for one in dkim if one.status == "pass" and one.domain == name]

    async def _signature(self, message: Signable, claim: Claim, now: datetime) -> Verified:
        try:
            signature = claim.read()
        except BadSignature as error:
            return Verified(status="permerror", domain=claim.domain, detail=str(error))
        return await self._verifier.verify(self._resolver, message, signature, now)

    def _related(self, domain: str) -> bool:
        """Whether a domain may turn out to be aligned with the author's."""
        return self._domains.organizational(domain) == self._home

    async def _found(self, spf: Spf, dkim: Sequence[Verified]) -> Proven | Undetermined | None:
        """Decide by what we see ourselves; None where that proves nothing.

        DKIM comes first: it proves more than SPF, so trouble with it is waited out.
        """
        author = self._author
        own = self._own(dkim)
        if own:
            return self._proven(own)
        for one in dkim:
            if one.status == "temperror" and self._related(one.domain):
                return Undetermined(detail=one.detail)
        passed = [one for one in dkim if one.status == "pass"]
        try:
            aligned = [one for one in passed if await self._aligned(one.domain, "dkim")]
            if aligned:
                return self._proven(aligned)
            path = spf.result == "pass" and spf.identity == "mailfrom"
            if path and await self._aligned(spf.domain, "spf"):
                return Proven(domain=author.domain, how="spf", author=author)
        except ResolverTrouble as error:
            return Undetermined(detail=str(error))
        if spf.result == "temperror" and self._speaks(spf):
            return Undetermined(detail=spf.detail)
        return None

    async def _heard(
        self, mail: Mail, message: Signable, envelope: Envelope, now: datetime
    ) -> Proven | Undetermined | None:
        """Decide by what servers say that are trusted; None where they prove nothing."""
        try:
            proven = await self._hearsay.of_relay(mail, envelope.client)
            if proven:
                return proven
            heard = await self._hearsay.of_sealers(
                self._verifier, self._resolver, message, mail, now
            )
        except ResolverTrouble as error:
            return Undetermined(detail=str(error))
        self._chain = heard.chain
        if heard.chain and heard.chain.status == "temperror":
            return Undetermined(detail=f"arc {heard.chain.detail}")
        return heard.proven

    async def _aligned(self, domain: str, by: Literal["dkim", "spf"]) -> bool:
        """Ask DMARC; its trouble matters only where the answer may be yes."""
        try:
            return await self._dmarc.aligned(domain, by)
        except ResolverTrouble:
            if self._related(domain):
                raise
            return False

    def _proven(self, signatures: Sequence[Verified]) -> Proven:
        signed: frozenset[str] = frozenset().union(*(one.signed for one in signatures))
        return Proven(domain=self._author.domain, how="dkim", author=self._author, signed=signed)

    def _speaks(self, spf: Spf) -> bool:
        """Whether a pass of this path could have proven the author."""
        return spf.identity == "mailfrom" and self._related(spf.domain)

    async def _stranger(self, spf: Spf, dkim: Sequence[Verified]) -> Stranger | Undetermined:
        """The most precise reason there is.

        Where somebody else's signature may pass, a consumer may let it speak for the author:
        then trouble with its key, and with what the owner asks for, is waited out, too.
        """
        for one in dkim:
            if one.status == "temperror":
                return Undetermined(detail=one.detail)
        details = [f"spf {spf.result} {spf.domain} {spf.detail}".strip()]
        details += [f"dkim {one.status} {one.domain} {one.detail}".strip() for one in dkim]
        if self._chain:
            details.append(f"arc {self._chain.status} {self._chain.detail}".strip())
        own = [one for one in dkim if self._related(one.domain)]
        wish = await self._wish()
        signers = self._signers(dkim) if wish not in ("quarantine", "reject") else ()
        if wish == "unknown" and signers:
            return Undetermined(detail=f"no answer about the policy of {self._author.domain}")
        if wish in ("quarantine", "reject"):
            why = "dmarc-refused"
        elif any(one.status != "pass" for one in own):
            why = "dkim-failed"
        elif not own and spf.result == "fail" and self._speaks(spf):
            why = "spf-failed"
        elif not own and (spf.result == "none" or not self._speaks(spf)):
            why = "dkim-missing"
        else:
            why = "sender-unproven"
        return Stranger(
            why=why,
            detail="; ".join(details),
            domain=self._author.domain,
            author=self._author if signers else None,
            signers=signers,
        )

    def _signers(self, dkim: Sequence[Verified]) -> tuple[Signer, ...]:
        """Whose signature passed: each domain once, but for those that sign for anybody."""
        found: dict[str, frozenset[str]] = {}
        for one in dkim:
            if one.status == "pass" and "from" in one.signed and self._answers(one.domain):
                found[one.domain] = found.get(one.domain, frozenset()) | one.signed
        return tuple(Signer(domain=domain, signed=signed) for domain, signed in found.items())

    def _answers(self, domain: str) -> bool:
        """Whether there is one owner who can answer for what a domain signs."""
        domains = self._domains
        return not (domains.is_public_suffix(domain) or domains.is_mailbox_provider(domain))

    async def _wish(self) -> str | None:
        """What the owner asks for; "unknown" where that cannot be asked.

        Trouble changes a stranger's reason, never the verdict.
        """
        wish: str | None
        try:
            wish = await self._dmarc.wish()
        except ResolverTrouble:
            wish, result = "unknown", "temperror"
        else:
            result = "fail" if wish else "none"
        self._said = f"dmarc={result} header.from={self._author.domain}"  # RFC 9989, section 4.9
        return wish
