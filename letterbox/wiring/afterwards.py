"""What looks back at decisions: taking one back, trying wishes on them, suggesting some: wired."""

from filters import ORDER
from letterbox.hindsight import Changes, Fits, PastCases, Replay, Undo
from letterbox.hindsight.suggestions import Suggestions
from letterbox.judge import Judge
from letterbox.ports.clock import Clock
from letterbox.ports.store import Store
from letterbox.reading.facts import Reader
from letterbox.records.consumers import Consumers
from letterbox.records.ledger import Ledger
from letterbox.records.mailboxes import Mailboxes


class Afterwards:
    """Those who do."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        mailboxes: Mailboxes,
        judge: Judge,
        ledger: Ledger,
        reader: Reader,
    ) -> None:
        self.cases = PastCases(mailboxes=mailboxes, reader=reader, filters=ORDER)
        changes = Changes(cases=self.cases, consumers=consumers, mailboxes=mailboxes, clock=clock)
        self.undo = Undo(
            store=store,
            clock=clock,
            consumers=consumers,
            mailboxes=mailboxes,
            judge=judge,
            ledger=ledger,
            reader=reader,
            changes=changes,
        )
        self.replay = Replay(
            cases=self.cases, consumers=consumers, mailboxes=mailboxes, clock=clock
        )
        self.suggestions = Suggestions(
            cases=self.cases, consumers=consumers, mailboxes=mailboxes, clock=clock
        )
        interest = [rule for rule in ORDER if rule.name == "interest"]
        asking = PastCases(mailboxes=mailboxes, reader=reader, filters=interest)
        self.fits = Fits(asking, consumers, mailboxes, clock)
