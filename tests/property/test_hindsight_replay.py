"""A recorded case taken again under the same rules gives the recorded decision."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from filters import ORDER
from letterbox.decide import evaluate
from letterbox.hindsight.cases import PastMessage, case_again
from letterbox.judge import recorded_case
from letterbox.model.record import DecisionRecord
from letterbox.model.told import Told
from letterbox.model.verdict import Deliver
from letterbox.records.coding import decode, encode
from tests.property.test_decide_wishes import cases, compiled, declarations
from tests.support.plain import case_of

NOT_TOLD = Told(verdict="accepted", reply=250, enhanced="2.0.0", text="", reference="0" * 32)


def recorded(case, decision):
    """What is written down with a decision, after its way through the store."""
    record = DecisionRecord(
        id="1" * 32,
        at=case.now,
        message="2" * 32,
        consumer="anna",
        recipient=str(case.recipient),
        vendor=case.vendor,
        sender=str(case.sender.author),
        subject=case.message.subject,
        kind=case.message.kind,
        verdict=decision.verdict,
        findings=decision.findings,
        interests=decision.interests,
        preferences_version=case.wishes.revision,
        told=NOT_TOLD,
        size=1,
        case=recorded_case(case, decision),
    )
    return decode(encode(record), DecisionRecord)


usages = st.integers(0, 4)


@given(declarations(), cases, usages)
def test_replay_gives_the_recorded_decision(declared, row, used):
    wishes = compiled(declared)
    case = case_of(row, wishes)
    counters = [
        each.counter for each in wishes.counted(case.relationship, row.message.kind, case.now)
    ]
    case = msgspec.structs.replace(case, usage=dict.fromkeys(counters, used))
    decision = evaluate(ORDER, case)
    record = recorded(case, decision)
    past = PastMessage(record, record.case)
    again = evaluate(ORDER, case_again(record, past, wishes))
    if past.lacking:  # a rule asked for words, which come from the message itself
        past.complete(row.message)
        again = evaluate(ORDER, case_again(record, past, wishes))
    assert again == decision
    assert (record.verdict, record.findings) == (decision.verdict, decision.findings)


@given(declarations(), cases)
def test_what_was_written_down_is_enough_where_no_words_are_asked_for(declared, row):
    wordless = [{**interest, "keywords": {}, "brands": []} for interest in declared["interest"]]
    wishes = compiled({**declared, "interest": wordless})
    case = case_of(row, wishes)
    decision = evaluate(ORDER, case)
    record = recorded(case, decision)
    past = PastMessage(record, record.case)
    again = evaluate(ORDER, case_again(record, past, wishes))
    assert again == decision
    assert not past.lacking
    assert not isinstance(decision.verdict, Deliver) or past.kind == row.message.kind
