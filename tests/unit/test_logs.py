"""Log lines: one each, safe to show, without secrets."""

import asyncio
import io
import json
import logging
import threading

import msgspec
import pytest
import structlog
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from letterbox import logs
from letterbox.model.configuration import LogSection

SECRET = "lbk_12345678_abcdefghijklmnopqrstuvwxy"


def configured(**section) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(LogSection(**section), stream=stream)
    return stream


def test_json_lines_carry_event_level_time_and_values():
    stream = configured(format="json")
    structlog.get_logger("x").info("message", octets=3, recipient="a@b.example", reason=None)
    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "message",
        "level": "info",
        "octets": 3,
        "recipient": "a@b.example",
        "reason": None,
    }


def test_plain_lines_are_for_people():
    stream = configured(format="plain")
    structlog.get_logger().warning("slow", what="a b", empty="", names=["x", "y"], quote='a"b')
    head, _, rest = stream.getvalue().partition("Z ")
    assert head.startswith("20")
    assert rest == 'warning slow what="a b" empty="" names=x,y quote="a\\"b"\n'


def test_auto_is_json_where_nobody_watches():
    stream = configured()
    structlog.get_logger().info("a")
    assert json.loads(stream.getvalue())["event"] == "a"


def test_levels_below_are_left_out():
    stream = configured(level="warning", format="json")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


@pytest.mark.parametrize("format_", ["json", "plain"])
@pytest.mark.parametrize(
    "text",
    [
        "a\nINFO forged",
        "a\r\n",
        "a\x1b[2Jb",
        "a\x00b",
        "a\x85b",
        "a\u2028b",
        "a\u202eb",
        "a\u200bb",
        "a\ufeffb",
        "\udc80",
    ],
)
def test_nothing_in_a_value_breaks_its_line(format_, text):
    stream = configured(format=format_)
    structlog.get_logger().info("m", value=text, listed=[text], thing=ValueError(text))
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert written.removesuffix("\n").isprintable()


@pytest.mark.parametrize("format_", ["json", "plain"])
def test_secrets_are_masked_wherever_they_stand(format_):
    stream = configured(format=format_)
    for mark in ("lbk", "lbt", "lbs", "lbw"):
        secret = SECRET.replace("lbk", mark)
        structlog.get_logger().info(
            f"saw {secret}", header=f"Bearer {secret}", listed=[secret], error=ValueError(secret)
        )
    try:
        int(SECRET)
    except ValueError:
        structlog.get_logger().exception("broken")
    assert "abcdefgh" not in stream.getvalue()
    assert "lbt_12345678…" in stream.getvalue()


def test_long_values_are_cut():
    stream = configured(format="json")
    structlog.get_logger().info("m", value="x" * 100_000)
    assert len(stream.getvalue()) < 2200


def test_where_there_are_several_processes_each_line_says_whose_it_is():
    stream = io.StringIO()
    logs.configure(LogSection(format="json"), stream=stream, of={"role": "web", "process": 1})
    structlog.get_logger().info("a")
    logging.getLogger("x").warning("b")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["role"], line["process"]) for line in lines] == [("web", 1), ("web", 1)]


def test_what_libraries_say_comes_into_the_same_log():
    stream = configured(format="json")
    logging.getLogger("aiohttp.server").error("went wrong: %s\n", SECRET)
    logging.getLogger("mail.log").info("content of a session")
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["event"], line["source"], line["level"]) == ("library", "aiohttp.server", "error")
    assert "abcdefgh" not in line["text"]


def test_configuring_again_does_not_double_the_lines():
    configured(format="json")
    stream = configured(format="json")
    logging.getLogger("x").warning("once")
    assert stream.getvalue().count("once") == 1


def test_a_log_that_cannot_be_written_stops_nothing():
    stream = configured(format="json")
    stream.close()
    structlog.get_logger().info("into nothing")
    assert stream.closed


def fail(text: str) -> None:
    raise ValueError(text)


def broken() -> None:
    try:
        fail("one\ntwo \x1b[2J\n2026 INFO forged")
    except ValueError:
        structlog.get_logger().exception("broken")


def test_an_exception_keeps_its_trace_for_us():
    stream = configured(format="plain")
    broken()
    _, *trace = stream.getvalue().splitlines()
    assert "  ValueError: one" in trace
    assert all(line.startswith("  ") and line.isprintable() for line in trace)


def test_a_trace_is_one_line_of_json_with_its_line_ends_escaped_once():
    stream = configured(format="json")
    broken()
    (line,) = stream.getvalue().splitlines()
    trace = json.loads(line)["exception"].split("\n")
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[-3:] == ["ValueError: one", r"two \x1b[2J", "2026 INFO forged"]


VALUES = st.one_of(
    st.text(max_size=30),
    st.text('ab_lk\\"\x7f\x1f\u2028é… ', max_size=300),
    st.sampled_from([SECRET, f"x{SECRET}", "x" * 2500, "\udc80", "one\ntwo"]),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
    st.lists(st.text(max_size=5), max_size=3),
    st.builds(ValueError, st.text(max_size=5)),
)


@given(st.dictionaries(st.sampled_from(["event", "who", "exception", "a_b", "octets"]), VALUES))
def test_a_line_that_is_safe_as_it_stands_is_the_same(event):
    """What most lines hold is seen at once to be safe; it is what their values tell singly."""
    safe = logs.make_safe(None, "", dict(event))
    assert logs.to_json(None, "", dict(event)) == msgspec.json.encode(safe).decode()


@pytest.fixture
def of_a_server():
    """The log as a server sets it up, once for all."""
    stream = io.StringIO()
    logs.configure(LogSection(format="json"), stream=stream, final=True)
    yield stream
    configured()


def told(stream: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in stream.getvalue().splitlines()]


async def test_a_server_writes_what_goes_well_together_and_what_does_not_at_once(of_a_server):
    log = structlog.get_logger().bind()
    log.info("a")
    log.info("b")
    assert told(of_a_server) == []
    log.warning("c")
    log.info("d")
    assert told(of_a_server) == ["a", "b", "c"]
    await asyncio.sleep(0)
    assert told(of_a_server) == ["a", "b", "c", "d"]


async def test_what_a_thread_of_a_server_tells_is_written_at_once(of_a_server):
    log = structlog.get_logger().bind()
    thread = threading.Thread(target=log.info, args=("a",))
    thread.start()
    thread.join()
    assert told(of_a_server) == ["a"]


def test_a_server_that_ends_has_written_all(of_a_server):
    async def end() -> None:
        structlog.get_logger().info("stopped")

    uvloop.run(end())
    assert told(of_a_server) == ["stopped"]
