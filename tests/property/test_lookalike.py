"""Whatever vendors there are: none is taken for itself, and one edit is seen."""

from hypothesis import given
from hypothesis import strategies as st

from letterbox.model.address import fold_domain
from letterbox.wishes.lookalike import Known, Lookalikes
from letterbox.wishes.skeleton import letters, skeleton, skeletons
from tests.support.plain import domains

LABEL = st.text("abcdefghijklmnopqrstuvwxyz", min_size=5, max_size=12)
NAME = st.text(max_size=30)
ORGANIZATION = domains().organizational


@given(LABEL, NAME, st.lists(LABEL, max_size=5))
def test_a_vendor_is_never_taken_for_itself(label, name, others):
    known = [Known(each, each, (each,), (f"{each}.example",)) for each in {*others} - {label}]
    own = Known(label, name, (name, label), (f"{label}.example",))
    # Where it is alone; beside others it may well look like one of those.
    assert Lookalikes([own], ORGANIZATION).flags((name,), f"{label}.example", label) == ()
    found = Lookalikes([own, *known], ORGANIZATION).flags((name,), f"{label}.example", label)
    assert all(flag.facts["resembles"] != name or name in others for flag in found)


@given(LABEL, st.data())
def test_one_edit_is_seen(label, data):
    at = data.draw(st.integers(0, len(label) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
    head, tail = label[:at], label[at:]
    edited = data.draw(
        st.sampled_from([
            head + letter + tail,
            head + tail[1:],
            head + letter + tail[1:],
            head + tail[1:2] + tail[:1] + tail[2:],
        ])
    )  # fmt: skip
    known = Lookalikes([Known("x", "X", (), (f"{label}.example",))], ORGANIZATION)
    flagged = bool(known.flags(("",), f"{edited}.example", "y"))
    assert flagged == (edited != label and (len(edited) > 4 or skeleton(edited) == skeleton(label)))


@given(LABEL, LABEL)
def test_looking_alike_goes_both_ways(one, other):
    def like(left: str, right: str) -> bool:
        known = Lookalikes([Known("x", "X", (), (f"{left}.example",))], ORGANIZATION)
        return known.near(f"{right}.example") is not None

    assert like(one, other) == like(other, one)


@given(st.text())
def test_a_skeleton_is_bounded_and_has_letters_alone(text):
    for form in (letters(text), skeleton(text), *skeletons(text)):
        assert not form or form.isalnum()
        assert len(form) <= 18 * 400  # the longest that one character comes to (NFKD)
    assert skeletons(text.upper().lower()) & skeletons(text.lower()) or not skeletons(text.lower())


@given(NAME, st.text(max_size=60))
def test_nothing_raises(name, domain):
    known = Lookalikes([Known("x", "Xerox", ("Xerox",), ("xerox.example",))], ORGANIZATION)
    known.flags((name,), fold_domain(domain) or "example", "y")
