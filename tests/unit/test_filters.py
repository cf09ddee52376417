"""The rules as a whole: their order, and what happens when one of them breaks."""

import msgspec
import pytest

from filters import ORDER
from letterbox.decide import evaluate
from letterbox.model.case import Filter
from letterbox.model.kind import Kind
from letterbox.model.verdict import Defer, reason_of
from tests.support.plain import PlainMessage, Row, case_of, wishes_from


class Broken:
    """A message of which nothing can be read."""

    def __getattribute__(self, name):
        raise RuntimeError("the mail broke off")


WISHES = wishes_from(
    newcomers="interests",
    interest=[{"id": "all", "open_to": "anyone"}],
    window=[{"from": "09:00", "until": "10:00"}],
    limit={"messages": 1, "per": "day"},
)


def row(**more):
    return Row(name="", expect=None, **more)


def test_order():
    assert [rule.name for rule in ORDER] == [
        "address-binding",
        "relationship",
        "kind",
        "interest",
        "offer",
        "limit",
        "window",
    ]


def test_every_filter_is_asked_whatever_the_others_say():
    decision = evaluate(ORDER, case_of(row(), wishes_from()))
    assert [finding.filter for finding in decision.findings] == [rule.name for rule in ORDER]


@pytest.mark.parametrize("broken", [rule.name for rule in ORDER])
def test_a_filter_that_raises_defers_the_whole(broken):
    def raises(case):
        raise ZeroDivisionError("oops")

    rules = [
        Filter(name=rule.name, apply=raises if rule.name == broken else rule.apply)
        for rule in ORDER
    ]
    decision = evaluate(rules, case_of(row(), WISHES))
    assert decision.verdict == Defer(reason="our-fault")
    assert decision.deciding is not None
    assert decision.deciding.filter == broken
    assert decision.deciding.facts == {"error": "ZeroDivisionError: oops"}


@pytest.mark.parametrize("rule", ORDER, ids=lambda rule: rule.name)
def test_a_message_that_cannot_be_read_defers_in_each_filter_that_reads_it(rule):
    case = msgspec.structs.replace(case_of(row(), WISHES), message=Broken())
    decision = evaluate([rule], case)
    reads = rule.name not in {"address-binding", "relationship"}
    assert (reason_of(decision.verdict) == "our-fault") is reads


def test_filters_leave_the_words_unread_where_nothing_asks_for_them():
    class Unread(PlainMessage, frozen=True):
        @property
        def words(self):
            raise AssertionError("the words were read")

    message = Unread(kind=Kind.OFFER)
    case = case_of(row(), WISHES)
    decision = evaluate(ORDER, msgspec.structs.replace(case, message=message))
    assert decision.interests == ("all",)
