"""Documents: revisions, guards, pages in byte order."""

import msgspec
import pytest

from letterbox.ports.store import Delete, Document, Done, Expect, Put, Rejected
from tests.contract.acts import ANNA, BEN, done, on, rejected


async def test_a_document_is_read_as_it_was_put(store):
    assert await store.get(ANNA, "preferences") is None
    assert await done(store, ANNA, Put(key="preferences", value=b"one")) == (1,)
    assert await done(store, ANNA, Put(key="preferences", value=b"two")) == (2,)
    assert await store.get(ANNA, "preferences") == Document(
        key="preferences", revision=2, value=b"two"
    )
    assert await store.get(BEN, "preferences") is None


async def test_a_deleted_document_is_gone_and_begins_anew(store):
    await done(store, ANNA, Put(key="k", value=b"1"), Put(key="k", value=b"2"))
    assert await done(store, ANNA, Delete(key="k")) == (0,)
    assert await store.get(ANNA, "k") is None
    assert await done(store, ANNA, Delete(key="k")) == (0,)
    assert await done(store, ANNA, Put(key="k", value=b"3", expect=0)) == (1,)


@pytest.mark.parametrize(
    ("guarded", "found"),
    [
        (Put(key="there", value=b"new", expect=0), b"2"),
        (Put(key="there", value=b"new", expect=1), b"2"),
        (Put(key="there", value=b"new", expect=3), b"2"),
        (Put(key="absent", value=b"new", expect=1), b"0"),
        (Delete(key="there", expect=1), b"2"),
        (Delete(key="absent", expect=1), b"0"),
        (Expect(key="there", revision=0), b"2"),
        (Expect(key="absent", revision=2), b"0"),
    ],
    ids=repr,
)
async def test_a_guard_that_fails_says_what_stands_there(store, guarded, found):
    await done(store, ANNA, Put(key="there", value=b"1"), Put(key="there", value=b"2"))
    assert await rejected(store, ANNA, guarded) == (guarded, found)
    assert await store.get(ANNA, "there") == Document(key="there", revision=2, value=b"2")
    assert await store.get(ANNA, "absent") is None


@pytest.mark.parametrize(
    ("guarded", "number"),
    [
        (Put(key="there", value=b"new", expect=1), 2),
        (Put(key="absent", value=b"new", expect=0), 1),
        (Delete(key="there", expect=1), 0),
        (Delete(key="absent", expect=0), 0),
        (Expect(key="there", revision=1), 0),
        (Expect(key="absent", revision=0), 0),
    ],
    ids=repr,
)
async def test_a_guard_that_holds_lets_through(store, guarded, number):
    await done(store, ANNA, Put(key="there", value=b"1"))
    assert await done(store, ANNA, guarded) == (number,)


async def test_a_guard_sees_what_the_same_commit_did_before(store):
    numbers = await done(
        store,
        ANNA,
        Put(key="k", value=b"1", expect=0),
        Expect(key="k", revision=1),
        Put(key="k", value=b"2", expect=1),
        Delete(key="k", expect=2),
        Expect(key="k", revision=0),
    )
    assert numbers == (1, 0, 2, 0, 0)


async def test_commits_of_one_call_apply_in_order_and_fail_alone(store):
    results = await store.commit(
        on(ANNA, Put(key="k", value=b"1", expect=0)),
        on(ANNA, Put(key="other", value=b"x"), Put(key="k", value=b"2", expect=0)),
        on(ANNA, Put(key="k", value=b"3", expect=1)),
    )
    assert results == [
        Done(numbers=(1,)),
        Rejected(operation=Put(key="k", value=b"2", expect=0), found=b"1"),
        Done(numbers=(2,)),
    ]
    assert await store.get(ANNA, "other") is None
    assert await store.commit() == []


async def test_a_commit_that_needs_all_is_left_out_with_any_before_it(store):
    last = msgspec.structs.replace(on(BEN, Put(key="sum", value=b"")), with_all=True)
    first = on(ANNA, Put(key="k", value=b"1", expect=0))
    assert await store.commit(first, last) == [Done(numbers=(1,)), Done(numbers=(1,))]
    failed, between, left_out = await store.commit(first, on(BEN, Put(key="x", value=b"")), last)
    assert isinstance(failed, Rejected)
    assert isinstance(between, Done)
    assert left_out == failed
    document = await store.get(BEN, "sum")
    assert document is not None
    assert document.revision == 1


async def test_a_commit_that_needs_the_one_before_it_minds_no_other(store):
    def bound(key: str):
        return msgspec.structs.replace(on(BEN, Put(key=key, value=b"")), with_previous=True)

    taken = on(ANNA, Put(key="k", value=b"1", expect=0))
    await store.commit(taken)
    results = await store.commit(
        taken, bound("after the failed"), on(ANNA, Put(key="x", value=b"")), bound("after the done")
    )
    assert [type(result) for result in results] == [Rejected, Rejected, Done, Done]
    assert await store.get(BEN, "after the failed") is None
    assert await store.get(BEN, "after the done") is not None


# Code points and UTF-8 octets sort alike; UTF-16 would put the last two the other way round.
KEYS = ["", "a", "a\0", "a\0b", "a/", "a/1", "a0", "ab", "b", "é", "\ue000", "\U0001f4ee"]


@pytest.fixture
async def many(store):
    await store.commit(
        on(ANNA, *(Put(key=key, value=key.encode()) for key in reversed(KEYS))),
        on(BEN, Put(key="a/2", value=b"another's")),
    )
    return store


@pytest.mark.parametrize(
    "prefix", ["", "a", "a\0", "a/", "nothing", "\ue000", "\U0001f4ee", "\ud7ff"]
)
@pytest.mark.parametrize("descending", [False, True])
async def test_a_prefix_selects_in_byte_order(many, prefix, descending):
    found = await many.documents(ANNA, prefix, descending=descending)
    expected = sorted((key for key in KEYS if key.startswith(prefix)), key=str.encode)
    assert [document.key for document in found] == (expected[::-1] if descending else expected)
    assert all(document.value == document.key.encode() for document in found)


async def test_the_greatest_character_may_end_a_key_and_a_prefix(store):
    last = "\U0010ffff"
    keys = [last, last + last, last + last + "a"]
    await done(store, ANNA, *(Put(key=key, value=b"") for key in keys))
    assert [d.key for d in await store.documents(ANNA, last)] == keys
    assert [d.key for d in await store.documents(ANNA, last + last, descending=True)] == keys[:0:-1]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("prefix", ["", "a"])
async def test_pages_join_without_gap_or_overlap(many, prefix, size, descending):
    whole = [d.key for d in await many.documents(ANNA, prefix, descending=descending)]
    joined: list[str] = []
    after = None
    while page := await many.documents(
        ANNA, prefix, after=after, limit=size, descending=descending
    ):
        assert len(page) <= size
        joined += [document.key for document in page]
        after = joined[-1]
    assert joined == whole


@pytest.mark.parametrize(
    ("after", "descending", "expected"),
    [
        ("A", False, ["a/", "a/1"]),  # before the whole prefix: all of it
        ("b", False, []),
        ("b", True, ["a/1", "a/"]),
        ("A", True, []),
        ("a/0", False, ["a/1"]),  # a key that is not there is a place none the less
        ("a/0", True, ["a/"]),
    ],
)
async def test_a_page_may_begin_anywhere(many, after, descending, expected):
    found = await many.documents(ANNA, "a/", after=after, descending=descending)
    assert [document.key for document in found] == expected


@pytest.mark.parametrize("limit", [0, -1])
async def test_no_limit_means_nothing(many, limit):
    assert list(await many.documents(ANNA, "", limit=limit)) == []


HOSTILE = [
    "",
    "'; DROP TABLE documents; --",
    "../../etc/passwd",
    "a\0b",
    "%_*?[a]",
    "{braces}:1",
    "line\r\nbreak\u2028",
    "ünïcødé 📮",
    "e\u0301",
    "\u00e9",
    "x" * 10_000,
]


async def test_names_are_exact_whatever_is_in_them(store):
    for number, name in enumerate(HOSTILE):
        await done(store, f"consumer/{name}", Put(key=name, value=b"%d" % number))
    for number, name in enumerate(HOSTILE):
        assert await store.get(f"consumer/{name}", name) == Document(
            key=name, revision=1, value=b"%d" % number
        )
        assert len(await store.documents(f"consumer/{name}", "")) == 1


async def test_values_are_octets(store):
    values = [b"", b"\0", bytes(range(256)) * 40, b"\xff\xfe not text"]
    await done(store, ANNA, *(Put(key=str(n), value=value) for n, value in enumerate(values)))
    assert [d.value for d in await store.documents(ANNA, "")] == values


@pytest.mark.parametrize(("partition", "key"), [(ANNA, "\ud800"), ("consumer/\udfff", "k")])
async def test_what_is_no_text_is_turned_away_whole(store, partition, key):
    with pytest.raises(ValueError, match="surrogates"):
        await store.commit(
            on(ANNA, Put(key="fine", value=b"")), on(partition, Put(key=key, value=b""))
        )
    assert await store.get(ANNA, "fine") is None
    await done(store, ANNA, Put(key="fine", value=b"", expect=0))
