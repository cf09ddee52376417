"""How many messages may arrive in a calendar period."""

from letterbox.model.case import Case
from letterbox.model.verdict import DELIVER, Finding, Refuse

NAME = "limit"


def apply(case: Case) -> Finding:
    """Refuse what would be one too many in the period it would arrive in.

    What is held for a later period is counted there, when it is decided again. The commit
    guards the same counters, so that of two messages at once only one takes the last place.
    """
    times, kind = case.wishes.times, case.message.kind
    full = [
        counted
        for counted in case.wishes.counted(case.relationship, kind, case.now)
        if case.usage.get(counted.counter, 0) >= counted.quota.messages
    ]
    if full:
        opening = case.opening
        arrival = opening.at if opening.at and opening.outside == "hold" else case.now
        full = [counted for counted in full if arrival < counted.ends]
    if not full:
        return Finding(filter=NAME, verdict=DELIVER)
    # Of several the one that stands in the way longest: before it ends, nothing is of use.
    longest = max(full, key=lambda counted: counted.ends)
    after = times.local_date(longest.ends).isoformat()
    return Finding(
        filter=NAME,
        verdict=Refuse(reason="too-often"),
        facts={
            "n": longest.quota.messages,
            "period": longest.quota.per,
            "date": after,
            "next": after,
            "counter": longest.counter,
        },
    )
