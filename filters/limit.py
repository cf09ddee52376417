"""How many messages may arrive in a calendar period."""

from letterbox.model.case import Case
from letterbox.model.verdict import DELIVER, Fact, Finding, Refuse
from letterbox.model.wishes import Counted

NAME = "limit"


def apply(case: Case) -> Finding:
    """Refuse what would be one too many in the period it would arrive in.

    What is held for a later period is counted there, when it is decided again. What the
    consumer was asked about is not turned away before the answer, whatever came meanwhile. The
    commit guards the same counters, so that of two messages at once only one takes the last
    place.
    """
    if case.asked_by is not None and not case.answered:
        return Finding(filter=NAME, verdict=DELIVER)
    kind = case.message.kind
    counted = case.wishes.counted(case.relationship, kind, case.now)
    if not counted:
        return Finding(filter=NAME, verdict=DELIVER)
    full = [each for each in counted if case.usage.get(each.counter, 0) >= each.quota.messages]
    if full:
        arrival = case.opening.waits_until or case.now
        full = [each for each in full if arrival < each.ends]
    if not full:
        return Finding(filter=NAME, verdict=DELIVER, facts=_facts(case, counted[0]))
    # Of several the one that stands in the way longest: before it ends, nothing is of use.
    longest = max(full, key=lambda each: each.ends)
    after = case.wishes.times.local_date(longest.ends).isoformat()
    facts = _facts(case, longest)
    facts |= {"date": after, "next": after, "counter": longest.counter}
    return Finding(filter=NAME, verdict=Refuse(reason="too-often"), facts=facts)


def _facts(case: Case, counted: Counted) -> dict[str, Fact]:
    """The limit, and the number of this message in its period."""
    quota = counted.quota
    facts: dict[str, Fact] = {
        "n": quota.messages,
        "nth": case.usage.get(counted.counter, 0) + 1,
        "period": quota.per,
        "kinds": sorted(quota.kinds),
    }
    if quota.scope != "all":
        facts["vendor"] = case.vendor.name
        # How much is taken of all together is no vendor's to know.
        facts["own"] = quota.messages
    return facts
