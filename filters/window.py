"""When mail of this kind may arrive: windows and pauses."""

from letterbox.model.case import Case
from letterbox.model.verdict import DELIVER, Fact, Finding, Hold, Refuse, UntilOpen

NAME = "window"


def apply(case: Case) -> Finding:
    """Hold what comes too early until the next opening, or refuse it where that is wanted.

    Where no opening is in sight it waits, too, and is looked at again: a pause has an end that
    the consumer may set any day. What is expected comes at once.
    """
    if case.relationship is not None and case.relationship.expected:
        return Finding(filter=NAME, verdict=DELIVER)
    opening = case.opening
    facts: dict[str, Fact] = {"kind": str(case.message.kind)} if opening.ruled else {}
    if opening.at == case.now:
        return Finding(filter=NAME, verdict=DELIVER, facts=facts)
    until = opening.waits_until
    day = opening.at or until
    if day is not None:
        facts["date"] = case.wishes.times.local_date(day).isoformat()
    if opening.at is not None:
        facts["time"] = f"{case.wishes.times.local(opening.at):%H:%M}"
    if until is not None:
        hold = Hold(conditions=(UntilOpen(reason="window-closed", at=until),))
        return Finding(filter=NAME, verdict=hold, facts=facts)
    if opening.at is not None:
        facts["next"] = facts["date"]
    return Finding(filter=NAME, verdict=Refuse(reason="window-closed"), facts=facts)
