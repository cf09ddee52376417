"""Who may write at all: the relationship, its standing, and the proof it asks for."""

from datetime import date, timedelta

from letterbox.model.case import Case
from letterbox.model.preferences import VendorRule
from letterbox.model.times import later
from letterbox.model.verdict import DELIVER, Fact, Finding, Hold, Refuse, UntilAnswered, Verdict

NAME = "relationship"

_INSTANT = timedelta(microseconds=1)


def apply(case: Case) -> Finding:
    """Refuse the blocked and the unknown, hold what the consumer wants to be asked about.

    A relationship outside its days counts as none. What came by way of a platform is the author's
    by the consumer's word alone, and stands and falls with it. Newcomers that interests admit are
    let through here: whether one does is for the interests to say. Looking like a vendor of the
    consumer's changes no verdict: by trying names, a stranger would learn whose customer one is.
    """
    facts: dict[str, Fact] = {"vendor": case.vendor.name}
    footing = case.footing
    rule = case.relationship.rule if case.relationship else None
    if case.sender.how == "via" and footing != "blocked" and not _lets_speak(case, rule):
        return _found(Refuse(reason="sender-unproven"), facts | {"domain": case.sender.domain})
    if footing == "newcomer" or rule is None:
        return _newcomer(case, facts | (_outside(rule, case.today) if rule else {}))
    if footing == "blocked":
        facts |= blocked_because(rule)
        return _found(Refuse(reason="vendor-blocked"), facts)
    # SPF proves the path alone; a key and a trusted peer vouch for the message as DKIM does.
    if rule.proof == "dkim" and case.sender.path_only:
        return _found(Refuse(reason="dkim-missing"), facts | {"domain": case.sender.domain})
    if footing == "ask" and not case.answered:
        return _ask(case, facts | _changed_hands(case))
    return _found(DELIVER, facts)


def _lets_speak(case: Case, rule: VendorRule | None) -> bool:
    """Whether a relationship that is in force lets the platform speak for the author."""
    if rule is None or case.footing == "newcomer":
        return False
    return rule.lets_speak(case.sender.by)


def _newcomer(case: Case, facts: dict[str, Fact]) -> Finding:
    if case.resembles:
        facts["resembles"] = case.resembles
    match case.wishes.newcomers:
        case "ask" if not case.answered:
            return _ask(case, facts)
        case "refuse" if not case.answered:
            return _found(Refuse(reason="vendor-not-allowed"), facts)
        case _:
            return _found(DELIVER, facts)


def _outside(rule: VendorRule, today: date) -> dict[str, Fact]:
    """Why a relationship that is there counts as none."""
    if rule.from_ is not None and today < rule.from_:
        return {"begins": rule.from_.isoformat()}
    if rule.until is not None and rule.until < today:
        return {"ended": rule.until.isoformat()}
    return {}


def _changed_hands(case: Case) -> dict[str, Fact]:
    """Why a relationship that allows asks again: the domain is not in the hands it was in."""
    if case.changed_hands is None:
        return {}
    domain, changed = case.changed_hands
    return {"domain": domain, "changed": case.wishes.times.local_date(changed).isoformat()}


def _ask(case: Case, facts: dict[str, Fact]) -> Finding:
    """Hold until the end of the last local day on which the consumer may answer.

    Set once, when the message comes: what the consumer changes later does not put it off.
    """
    last = later(case.now, timedelta(days=case.wishes.ask_for_days))
    by = case.asked_by or case.wishes.times.period("day", last).ends
    facts["date"] = case.wishes.times.local_date(by - _INSTANT).isoformat()
    hold = Hold(conditions=(UntilAnswered(reason="awaiting-consumer", by=by),))
    return _found(hold, facts)


def blocked_because(rule: VendorRule) -> dict[str, Fact]:
    """Why a vendor is locked out, and what would repair it. ``other`` is no cause to be said."""
    because = rule.because if rule.because != "other" else None
    return {"because": because, "remedy": _remedy(rule)}


def _remedy(rule: VendorRule) -> list[str] | None:
    """What would repair it, in phrases whose words the registry translates one by one."""
    remedy = rule.remedy
    if remedy is None:
        return None
    phrases = []
    if remedy.limit:
        phrases.append(f"at most {remedy.limit.messages} per {remedy.limit.per}")
    if remedy.accepts:
        phrases.append(f"only {' + '.join(remedy.accepts)}")
    if remedy.from_:
        phrases.append(f"from {remedy.from_.isoformat()}")
    return phrases or None


def _found(verdict: Verdict, facts: dict[str, Fact]) -> Finding:
    return Finding(filter=NAME, verdict=verdict, facts=facts)
