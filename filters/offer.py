"""Whether the offer is still of use when it can arrive.

This rests on what the vendor says of its validity, never on dates read from a text.
"""

from letterbox.model.case import Case
from letterbox.model.kind import Kind
from letterbox.model.verdict import DELIVER, Finding, Refuse

NAME = "offer"


def apply(case: Case) -> Finding:
    """Refuse an offer that is over, or will be before the next opening.

    Of several offers the longest counts, and one without an end does not end. Nothing is
    asked of service mail, and nothing where everything is wanted.
    """
    wants_all = (
        case.footing != "newcomer"
        and case.relationship is not None
        and case.relationship.rule.scope == "everything"
    )
    if case.message.kind is Kind.SERVICE or wants_all:
        return Finding(filter=NAME, verdict=DELIVER)
    days = [offer.last_day for offer in case.message.offers]
    ends = [day for day in days if day is not None]
    if not ends or len(ends) < len(days):
        return Finding(filter=NAME, verdict=DELIVER)
    last = max(ends)
    facts = {"date": last.isoformat()}
    if last < case.today:
        return Finding(filter=NAME, verdict=Refuse(reason="offer-expired"), facts=facts)
    opening = case.opening
    # Where none is in sight there is no day to say; it waits, and what opens then decides.
    if opening.at is not None and last < (day := case.wishes.times.local_date(opening.at)):
        return Finding(
            filter=NAME,
            verdict=Refuse(reason="offer-ends-before-window"),
            facts={"date": day.isoformat(), "ends": last.isoformat()},
        )
    return Finding(filter=NAME, verdict=DELIVER, facts=facts)
