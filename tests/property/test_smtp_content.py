"""The content reader against one that reads octet by octet, however the octets come."""

import itertools
import re
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from letterbox.gateways.smtp.content import _GLANCE, BLOCK, Bounds, Content, Room
from letterbox.gateways.smtp.replies import DIRTY_CONTENT, Reply

#: What content is made of: mostly what could be taken for an end.
PIECES = st.lists(
    st.sampled_from(
        [b"\r\n", b"\r\n.", b"\r\n..", b".", b"\r", b"\n", b"\0", b"x", b"MAIL FROM:<>", b"\xff"]
    ),
    max_size=30,
)
CLEAN = st.lists(st.sampled_from([b"\r\n", b"\r\n.", b"\r\n..", b"x", b"."]), max_size=30)
AFTER = b"QUIT\r\n"


def plainly(stream: bytes, bounds: Bounds) -> tuple[bytes | str, bytes]:
    """The rule itself: lines up to one that is a dot alone, ended by CRLF only."""
    content, rest = b"", stream
    while True:
        line, _, rest = rest.partition(b"\r\n")
        if line == b".":
            break
        content += line[1:] if line.startswith(b".") else line
        content += b"\r\n"
    if re.search(rb"\r(?!\n)|(?<!\r)\n|\0", content):
        return "dirty", rest
    if len(content) > bounds.max_size:
        return "552", rest
    if any(len(line) > bounds.max_line for line in content.split(b"\r\n")):
        return "554", rest
    return content, rest


def read(stream: bytes, cuts: list[int], limit: int, bounds: Bounds) -> tuple[bytes | str, bytes]:
    waiting = bytearray(b"\r\n")
    content = Content(bounds, Room(100 * 1024 * 1024).share(), most=limit)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for begin, end in itertools.pairwise(edges):
        waiting += stream[begin:end]
        if content.found is None:
            content.take(waiting)
    found, rest = content.found, bytes(waiting)
    if isinstance(found, Reply):
        said = found.octets[:3].decode()
        return ("dirty" if found is DIRTY_CONTENT else said), rest
    assert found is not None
    return found, rest


@given(
    pieces=st.one_of(PIECES, CLEAN),
    cuts=st.lists(st.integers(0, 500), max_size=12),
    limit=st.integers(8, 200),
    max_size=st.integers(1, 60),
    max_line=st.integers(1, 30),
)
def test_reads_what_the_rule_says(pieces, cuts, limit, max_size, max_line):
    stream = b"".join(pieces) + b"\r\n.\r\n" + AFTER
    bounds = Bounds(max_size=max_size, max_line=max_line)
    expected, rest = plainly(stream, bounds)
    found, left = read(stream, cuts, limit, bounds)
    assert left == rest
    assert found == expected


@given(content=st.binary(max_size=300), cuts=st.lists(st.integers(0, 900), max_size=8))
@settings(max_examples=40)
def test_what_a_client_stuffs_comes_out_as_it_was(content, cuts):
    lines = re.split(rb"[\r\n\0]+", content)
    stuffed = b"".join((b"." + x if x.startswith(b".") else x) + b"\r\n" for x in lines)
    bounds = Bounds(max_size=10_000, max_line=1000)
    found, left = read(stuffed + b".\r\n" + AFTER, cuts, 16, bounds)
    assert found == b"".join(line + b"\r\n" for line in lines)
    assert left == AFTER


@given(at=st.integers(-4, 4), times=st.integers(1, 9), stuffed=st.booleans())
def test_a_dotted_line_is_found_wherever_the_look_for_it_pauses(at, times, stuffed):
    before = b"x" * (_GLANCE * times + at)
    stream = before + (b"\r\n..y" if stuffed else b"") + b"\r\n.\r\n"
    bounds = Bounds(max_size=1_000_000, max_line=1_000_000)
    found, left = read(stream + AFTER, [], BLOCK, bounds)
    assert found == before + (b"\r\n.y" if stuffed else b"") + b"\r\n"
    assert left == AFTER


def test_dotted_lines_alone_take_no_more_memory_than_they_are_long():
    waiting = bytearray(b"\r\n.." * 65_536)
    content = Content(Bounds(max_size=1_000_000, max_line=1000), Room(10_000_000).share())
    tracemalloc.start()
    try:
        assert not content.take(waiting)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * 65_536 * len(b"\r\n..")
