"""A reason that was told, said once more in another language: as much, in other words."""

import msgspec

from letterbox.feedback.disclosure import Disclosure
from letterbox.feedback.preview import told_as
from letterbox.feedback.sentences import PLACE
from letterbox.model.preferences import Language
from letterbox.model.reason import Registry
from letterbox.model.told import ToldReason
from letterbox.records.consumers import Consumers
from letterbox.records.ledger import Reference
from letterbox.records.mailboxes import Mailboxes


class Spoken:
    """Says reasons that were told in English in the language of who reads them."""

    def __init__(
        self,
        *,
        mailboxes: Mailboxes,
        consumers: Consumers,
        disclosure: Disclosure,
        registry: Registry,
    ) -> None:
        self._mailboxes = mailboxes
        self._consumers = consumers
        self._disclosure = disclosure
        self._registry = registry

    async def as_told(
        self, row: Reference, reason: ToldReason, language: Language
    ) -> ToldReason | None:
        """A reason as it was told, in another language; None where it cannot be said in it.

        Where the words rest on no fact, nothing is looked up: whether there is a decision, and
        whose, must not show in the work.
        """
        if language == "en" or row.dutch is not None:
            return reason if language == "en" else row.dutch
        registered = self._registry.get(reason.code)
        if registered is None:
            return reason if reason.detail is None else None
        texts = registered.texts.get(language) or registered.texts["en"]
        if not PLACE.search(texts.company + texts.company_held) and not reason.remedies:
            plain = texts.company if texts.company != texts.title else None
            return msgspec.structs.replace(reason, detail=plain if reason.detail else None)
        record = await self._mailboxes.decision(row.consumer, row.decision)
        if record is None:
            return None
        times = (await self._consumers.wishes(row.consumer)).times
        spoken = told_as(self._disclosure.speaking(language), record, times).reason
        # A page never contradicts the answer: where anything but the words differs, those stay.
        same = spoken is not None and (spoken.code, len(spoken.remedies), spoken.retry_after) == (
            reason.code,
            len(reason.remedies),
            reason.retry_after,
        )
        return spoken if same else None
