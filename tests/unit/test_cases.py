"""The tables of cases: wishes and a message in, a verdict with its reason out."""

import pytest

from filters import ORDER
from letterbox.decide import evaluate, watched
from letterbox.model.verdict import Hold, name_of, reason_of
from tests.support.plain import case_of, mistakes, rows, rules_of, wishes_of

ROWS = rows()


@pytest.mark.parametrize(("row", "preferences"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_case(row, preferences):
    assert not mistakes(preferences)
    wishes = wishes_of(preferences)
    decision = evaluate(rules_of(row), case_of(row, wishes))
    if wishes.observes:
        decision = watched(decision)
    expect, verdict = row.expect, decision.verdict
    found = {f.filter: reason_of(f.verdict) for f in decision.findings}
    assert (name_of(verdict), reason_of(verdict)) == (expect.verdict, expect.reason), found
    assert (reason_of(decision.would) if decision.would else None) == expect.would
    if expect.until is not None:
        assert isinstance(verdict, Hold)
        assert verdict.until == expect.until
    if expect.matched is not None:
        assert decision.interests == expect.matched
    if expect.facts:
        assert decision.deciding is not None
        facts = decision.deciding.facts
        assert {name: facts.get(name) for name in expect.facts} == expect.facts
    assert {name: found[name] for name in expect.findings} == expect.findings


def test_every_name_is_its_own():
    names = [name for name, *_ in ROWS]
    assert len(names) == len(set(names))
    assert len(names) >= 150


def test_every_filter_has_a_case_in_which_it_raises():
    assert {row.breaks for _, row, _ in ROWS if row.breaks} == {rule.name for rule in ORDER}
