"""The commands by name: plain data in, plain data out, whoever carries it."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from letterbox.administration.apply import Applying
from letterbox.administration.categories import TaxonomyFile, map_files
from letterbox.administration.explain import Explaining
from letterbox.administration.failed import Failed
from letterbox.administration.people import PeopleFile
from letterbox.administration.shape import nearest
from letterbox.administration.taking import Answer, Arguments, Command, Nothing, plain, taking
from letterbox.administration.vendors import VendorCommands
from letterbox.identity import Domains
from letterbox.model.address import parse_address
from letterbox.model.preferences import Language
from letterbox.model.taxonomy import Taxonomy
from letterbox.ports.clock import Clock
from letterbox.ports.store import Store, StoreUnavailable
from letterbox.records import places
from letterbox.records.categories import Categories, Source
from letterbox.records.claims import Claims
from letterbox.records.consumers import Consumers
from letterbox.records.credentials import PREFIX, Credentials
from letterbox.records.vendors import Vendors
from letterbox.registration import DomainProofs


class Apply(Arguments, frozen=True):
    """People files, all or none of them."""

    files: tuple[PeopleFile, ...]
    dry_run: bool = False
    force: bool = False


class Issue(Arguments, frozen=True):
    """For a consumer."""

    owner: str


class Revoke(Arguments, frozen=True):
    """A credential by its prefix; the whole of it does as well."""

    prefix: str


class Explain(Arguments, frozen=True):
    """A message, to whom it is, and as whose it is taken."""

    message: bytes
    to: str
    from_domain: str | None = None
    at: datetime | None = None
    language: Language | None = None


class ExplainDecision(Arguments, frozen=True):
    """A recorded decision, by id or reference."""

    decision: str
    language: Language | None = None


class ImportTaxonomy(Arguments, frozen=True):
    """Files of one foreign taxonomy, and what the operator corrects in them."""

    files: tuple[TaxonomyFile, ...]
    corrections: TaxonomyFile | None = None


class ForeignTaxonomy(Arguments, frozen=True):
    """One page of what was imported from a source, counted from 0."""

    source: Source
    page: Annotated[int, msgspec.Meta(ge=0)] = 0


class Administration:
    """The commands over the parts. One instance serves the socket and the command line."""

    def __init__(
        self,
        *,
        store: Store,
        consumers: Consumers,
        vendors: Vendors,
        credentials: Credentials,
        claims: Claims,
        proofs: DomainProofs,
        explaining: Explaining,
        domains: Domains,
        clock: Clock,
        taxonomy: Taxonomy,
        categories: Categories,
        others: Iterable[Mapping[str, Command]],
    ) -> None:
        """``others`` are the tables of commands that rest on parts of their own."""
        self._explaining = explaining
        self._taxonomy = taxonomy
        self._categories = categories
        self._consumers = consumers
        self._vendors = vendors
        self._credentials = credentials
        self._clock = clock
        self._applying = Applying(
            store=store,
            consumers=consumers,
            vendors=vendors,
            domains=domains,
            clock=clock,
            our_domains=explaining.our_domains,
        )
        self._commands: dict[str, Command] = {
            "ping": taking(Nothing, self._ping),
            "apply": taking(Apply, self._apply),
            "key revoke": taking(Revoke, self._revoke_key),
            "token issue": taking(Issue, self._issue_token),
            "token revoke": taking(Revoke, self._revoke_token),
            "explain": taking(Explain, self._explain),
            "explain decision": taking(ExplainDecision, self._explain_decision),
            "taxonomy import": taking(ImportTaxonomy, self._import_taxonomy),
            "taxonomy foreign": taking(ForeignTaxonomy, self._foreign_taxonomy),
            **VendorCommands(
                vendors, credentials, claims, proofs, explaining.disclosure, clock
            ).table,
        }
        for table in others:
            self._commands.update(table)

    async def perform(self, command: str, arguments: Mapping[str, Any]) -> Answer:
        """Do a command. Raises :class:`Failed`; what it raises beside that is our fault."""
        found = self._commands.get(command)
        if found is None:
            raise Failed(f"there is no command {command!r}" + nearest(command, self._commands))
        try:
            return await found(arguments)
        except StoreUnavailable as trouble:
            raise Failed(f"the store cannot do this now: {trouble}; try again") from trouble

    async def _ping(self, _: Nothing) -> Answer:
        return {"at": self._clock.now().isoformat()}

    async def _apply(self, asked: Apply) -> Answer:
        changes = await self._applying.apply(asked.files, dry_run=asked.dry_run, force=asked.force)
        return {
            "dry_run": asked.dry_run,
            "changes": plain([c for c in changes if c.change != "kept"]),
            "kept": plain([c for c in changes if c.change == "kept"]),
            "lines": [str(change) for change in changes],
        }

    # ---- credentials ----

    async def _issue_token(self, asked: Issue) -> Answer:
        known = await self._consumers.all()
        # The operator's mailbox is there from the first day on.
        if asked.owner not in {*known, places.OPERATOR}:
            raise Failed(
                f"there is no consumer {asked.owner!r}; "
                "letterbox apply makes one from a people file" + nearest(asked.owner, known)
            )
        token = await self._credentials.issue("token", asked.owner, self._clock.now())
        return {"token": token, "prefix": token[:PREFIX], "consumer": asked.owner}

    async def _revoke_key(self, asked: Revoke) -> Answer:
        return await self._revoke("key", "lbk_", asked.prefix)

    async def _revoke_token(self, asked: Revoke) -> Answer:
        return await self._revoke("token", "lbt_", asked.prefix)

    async def _revoke(self, what: str, mark: str, given: str) -> Answer:
        # Somebody who has found the whole of it may paste it: only the prefix is looked at.
        prefix = given[:PREFIX]
        if not prefix.startswith(mark):
            raise Failed(f"a {what}'s prefix begins with {mark}, as in {mark}1a2B3c4D")
        if not await self._credentials.revoke(prefix):
            raise Failed(f"there is no {what} {prefix}; it may be revoked already")
        return {"revoked": prefix}

    # ---- explaining ----

    async def _explain(self, asked: Explain) -> Answer:
        to = parse_address(asked.to)
        if to is None:
            raise Failed(f"{asked.to!r} is no mail address; write anna@letterbox.example")
        at = asked.at
        if at is not None and at.tzinfo is None:
            raise Failed("the time has no zone; write 2026-12-24T12:00:00Z")
        explanation = await self._explaining.message(
            asked.message,
            to,
            from_domain=asked.from_domain,
            at=at,
            language=asked.language,
        )
        answer: Answer = plain(explanation)
        return answer

    async def _explain_decision(self, asked: ExplainDecision) -> Answer:
        found = await self._explaining.decision(asked.decision, asked.language)
        answer: Answer = plain(found)
        return answer

    # ---- foreign categories ----

    async def _import_taxonomy(self, asked: ImportTaxonomy) -> Answer:
        # Half a second for twelve thousand lines, in which mail goes on. The stemmers hold the
        # interpreter's lock while they work, so that they bear a second thread.
        mapped = await asyncio.to_thread(map_files, asked.files, asked.corrections, self._taxonomy)
        await self._categories.replace(mapped.source, mapped.lines, version=mapped.version)
        return {
            "source": mapped.source,
            "version": mapped.version,
            "read": mapped.exact + mapped.broader + mapped.unmapped,
            "exact": mapped.exact,
            "broader": mapped.broader,
            "unmapped": mapped.unmapped,
        }

    async def _foreign_taxonomy(self, asked: ForeignTaxonomy) -> Answer:
        lines, after = await self._categories.page(asked.source, asked.page)
        items = [{"id": line.id, "path": line.path, "ours": line.ours or None} for line in lines]
        return {"items": items, "after": after}
