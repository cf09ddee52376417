"""Any bytes are a taxonomy or are refused in words; any label means something or nothing."""

from hypothesis import given
from hypothesis import strategies as st

from letterbox.adapters.memory import MemoryStore
from letterbox.administration import Failed
from letterbox.administration.categories import TaxonomyFile, map_files
from letterbox.records.categories import Categories, Foreign, path_key
from tests.support.clock import FakeClock
from tests.support.plain import taxonomy

TREE = taxonomy()
PIECES = st.sampled_from(
    ["# Google_Product_Taxonomy_Version: 1\n", "12 - ", "gid://shopify/TaxonomyCategory/aa-1 : ",
     "Pets", " > ", "Dogs & Cats", "\n", "\r\n", "\x00", "\ufeff", "é\u00a0", "> >", "#"]
)  # fmt: skip


def read(content):
    """What became of a file: its lines, or why it was refused."""
    try:
        return map_files([TaxonomyFile(name="f", content=content)], None, TREE)
    except Failed as failed:
        return str(failed)


@given(st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=25).map("".join)))
def test_any_file_is_read_or_refused(content):
    done = read(content if isinstance(content, bytes) else content.encode())
    if isinstance(done, str):
        assert done.startswith("f")
    else:
        assert done.exact + done.broader + done.unmapped == len(done.lines)
        assert all(not line.ours or line.ours in TREE.nodes for line in done.lines)


@given(st.text(max_size=60))
async def test_any_label_is_answered(label):
    categories = Categories(MemoryStore(FakeClock()))
    assert categories.ours(label) is None
    await categories.replace("google", [Foreign(id="", path=label, ours="pets")])
    if path_key(label).strip("> ") and ":" not in label:
        assert categories.ours(label) == "pets"
