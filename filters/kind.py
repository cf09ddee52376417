"""Which sorts of mail the relationship accepts."""

from letterbox.model.case import Case
from letterbox.model.kind import Kind
from letterbox.model.verdict import DELIVER, Finding, Refuse

NAME = "kind"

# Only what can match an interest: no stranger's word makes its mail service or personal.
_FROM_NEWCOMERS = (Kind.OFFER, Kind.NEWSLETTER)


def apply(case: Case) -> Finding:
    """Refuse a kind that is not accepted.

    Newcomers that interests admit may send offers and newsletters; of those that are refused
    or asked about, the kind decides nothing.
    """
    kind = case.message.kind
    if case.relationship is not None and case.footing != "newcomer":
        accepted = case.relationship.rule.accepts
    elif case.wishes.newcomers == "interests" and not case.answered:
        accepted = _FROM_NEWCOMERS
    else:
        return Finding(filter=NAME, verdict=DELIVER)
    if kind in accepted:
        return Finding(filter=NAME, verdict=DELIVER, facts={"kind": str(kind)})
    return Finding(
        filter=NAME,
        verdict=Refuse(reason="kind-not-wanted"),
        facts={"vendor": case.vendor.name, "kind": str(kind), "kinds": [str(k) for k in accepted]},
    )
