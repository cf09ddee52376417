"""The decision: every filter, every finding, one verdict. Pure."""

from collections.abc import Iterable

from letterbox.model.case import Case, Filter
from letterbox.model.verdict import (
    DELIVER,
    Condition,
    Decision,
    Defer,
    Deliver,
    Finding,
    Hold,
    Refuse,
    Verdict,
    reason_of,
)

#: What refuses also while the consumer only watches: locking somebody out is a deed and no rule
#: that is tried, and asking for a signature keeps others from writing under a vendor's name.
STANDS = frozenset({"vendor-blocked", "dkim-missing"})


def evaluate(filters: Iterable[Filter], case: Case) -> Decision:
    """Run every filter, keep every finding, and combine them.

    A filter that raises makes the whole decision a Defer: a rule that cannot be judged must
    neither let a message in nor turn it away.
    """
    findings = tuple(_apply(rule, case) for rule in filters)
    return Decision(verdict=combine(findings), findings=findings)


def _apply(rule: Filter, case: Case) -> Finding:
    try:
        return rule.apply(case)
    except Exception as error:  # noqa: BLE001 - whatever a rule raises is our fault, never the mail's
        return Finding(
            filter=rule.name,
            verdict=Defer(reason="our-fault"),
            facts={"error": f"{type(error).__name__}: {error}"},
        )


def watched(decision: Decision) -> Decision:
    """The decision for a consumer who only watches: all comes in, and what would have been stays.

    What was said of the sender itself stands as ever (:data:`STANDS`), and a fault of ours is one.
    """
    if isinstance(decision.verdict, (Deliver, Defer)):
        return decision
    if any(reason_of(finding.verdict) in STANDS for finding in decision.findings):
        return decision
    return Decision(verdict=DELIVER, findings=decision.findings, would=decision.verdict)


def combine(findings: Iterable[Finding]) -> Verdict:
    """Defer (our fault) > Refuse > Hold > Deliver; ties by order; holds are united."""
    refused: Refuse | None = None
    conditions: list[Condition] = []
    deferred: Defer | None = None
    for finding in findings:
        match finding.verdict:
            case Deliver():
                continue
            case Defer() as verdict:
                deferred = deferred or verdict
            case Refuse() as verdict:
                refused = refused or verdict
            case Hold(conditions=more):
                conditions.extend(more)
    if deferred:
        return deferred
    if refused:
        return refused
    return Hold(conditions=tuple(conditions)) if conditions else DELIVER
