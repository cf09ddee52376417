"""How well undeclared mail is read, on mails that people labelled (``make reading``)."""

import pytest

from bench.reading import WRITTEN, expectations, measure, misses, report
from letterbox.configuration import shipped
from letterbox.wishes import read_taxonomy
from tests.support.shared import SHARED, real_mail, shared


def test_every_mail_is_labelled_once_by_ids_of_ours():
    labels = expectations()
    names = [label.file for label in labels]
    assert len(set(names)) == len(names)
    assert {name for name in names if "/" not in name} == {p.name for p in WRITTEN.glob("*.eml")}
    nodes = read_taxonomy(shipped("taxonomy.toml")).nodes
    ids = {each for label in labels for each in (label.category, *label.also_category)}
    assert ids - {""} <= set(nodes)
    blind = sum(label.blind for label in labels)
    assert blind >= len(labels) / 2


@pytest.mark.parametrize("where", ["written", "all"])
def test_mail_is_read_as_people_read_it(where):
    if where == "all":
        shared("mail")
    outcomes = measure(SHARED / "mail" if where == "all" else WRITTEN / "nowhere")
    said = "\n".join([*report(outcomes), *misses(outcomes)])
    total = len(outcomes)
    assert total >= (len(real_mail()) + 40 if where == "all" else 40)
    assert sum(o.kind_is_right for o in outcomes) >= 0.95 * total, said
    assert sum(not o.main or o.category_is_right for o in outcomes) >= 0.8 * total, said
    surely = [o for o in outcomes if o.main and o.categories.sure and not o.category_is_right]
    assert surely == [], said
