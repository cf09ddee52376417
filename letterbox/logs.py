"""The log: lines on standard error, safe to show, without secrets."""

import asyncio
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import msgspec
import structlog

from letterbox.model.configuration import LogSection

# What could end a line, move a terminal's cursor or hide what stands there.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
# A key, token, sign-in link or session, with the prefix that may be known; a webhook's secret.
_SECRET = re.compile(r"(lb[ktsw]_[0-9A-Za-z]{8}|wh(?:sec|sk)_)[0-9A-Za-z_+/=-]+")
_LONGEST = 2000
_LONGEST_TRACE = 20_000
#: What most values are: short, plain, and without the sign that every secret's prefix has.
_PLAIN = re.compile("[!-^`-~]{0,200}")
_SAFE = frozenset({bool, int, float, type(None)})
_SCALARS = _SAFE | {str}
#: What printable ASCII is in JSON, but for the sign of every secret's prefix and for escapes.
_HARMLESS = bytes(set(range(0x20, 0x7F)) - set(b"_\\"))
_NEEDS_QUOTES = re.compile(r'[\s="]')

Event = MutableMapping[str, Any]


def configure(
    section: LogSection,
    *,
    stream: TextIO | None = None,
    final: bool = False,
    of: Mapping[str, str | int] | None = None,
) -> None:
    """Set up the log of this process, libraries included.

    ``of`` stands in every line: which process it is, where there are several.

    ``final`` keeps each logger as it is first made, and writes lines together that are told at
    once, which is faster: for a server, where the log is set up once.
    """
    stream = stream or sys.stderr
    plain = section.format == "plain" or (section.format == "auto" and stream.isatty())
    level = logging.getLevelNamesMapping()[section.level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            *([lambda _, __, event: {**event, **of}] if of else []),
            *([make_safe, _plain] if plain else [to_json]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Factory(stream, gathers=final),
        cache_logger_on_first_use=final,
    )
    root = logging.getLogger()
    for earlier in root.handlers[:]:
        if isinstance(earlier, _Library):
            root.removeHandler(earlier)
    root.addHandler(_Library())
    # Libraries tell what they read and answer at lower levels: mail content, header lines.
    root.setLevel(max(level, logging.WARNING))


class _Lines:
    """Writes lines. A log that cannot be written must not stop the mail.

    ``gathers``: what went well and is told within one turn of the event loop is written together
    at its end, since messages are committed together, too: five or six of ten sessions (10 us less
    for each).
    """

    def __init__(self, stream: TextIO, *, gathers: bool = False) -> None:
        self._stream = stream
        self._gathers = gathers
        self._gathered: list[str] = []

    def msg(self, line: str) -> None:
        """Write at once, behind what was told before."""
        if self._turn() is None:
            self._write([line])
        else:
            self._gathered.append(line)
            self._write_gathered()

    warning = error = exception = critical = msg

    def info(self, line: str) -> None:
        """Write at the end of the turn."""
        if (loop := self._turn()) is None:
            self._write([line])
            return
        self._gathered.append(line)
        if len(self._gathered) == 1:
            loop.call_soon(self._write_gathered)

    debug = info

    def _turn(self) -> asyncio.AbstractEventLoop | None:
        """The loop whose turn it is: none in a thread beside it, and before it runs."""
        if not self._gathers:
            return None
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return None

    def _write_gathered(self) -> None:
        lines, self._gathered = self._gathered, []
        self._write(lines)

    def _write(self, lines: list[str]) -> None:
        try:
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()
        except (OSError, ValueError):
            return


class _Factory:
    """Makes what structlog writes to; a logger's name becomes part of its lines elsewhere."""

    def __init__(self, stream: TextIO, *, gathers: bool) -> None:
        self._lines = _Lines(stream, gathers=gathers)

    def __call__(self, *_: Any) -> _Lines:
        return self._lines


class _Library(logging.Handler):
    """Carries what libraries log into ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        structlog.get_logger().log(
            record.levelno, "library", source=record.name, text=message, exc_info=record.exc_info
        )


def make_safe(_: Any, __: str, event: Event) -> Event:
    """Escape what is unsafe to show, and mask secrets, in every value."""
    for key, value in event.items():
        if type(value) in _SAFE or (type(value) is str and _PLAIN.fullmatch(value)):
            continue
        match value:
            case str() if key == "exception":
                # A trace keeps its lines: each form writes their ends in its own way.
                lines = value[:_LONGEST_TRACE].split("\n")
                event[key] = "\n".join(_safe(line, _LONGEST) for line in lines)
            case str():
                event[key] = _safe(value, _LONGEST)
            case list() | tuple():
                event[key] = [_safe(str(each), _LONGEST) for each in value]
            case _:
                event[key] = _safe(str(value), _LONGEST)
    return event


def _safe(text: str, longest: int) -> str:
    if len(text) > longest:
        text = text[:longest] + "…"
    if not text.isascii() or not text.isprintable():
        text = _UNSAFE.sub(_escaped, text)
        # A lone surrogate stands for an octet that is no UTF-8 and cannot be written.
        text = text.encode(errors="backslashreplace").decode()
    return _SECRET.sub(r"\1…", text) if "_" in text else text


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def to_json(_: Any, __: str, event: Event) -> str:
    """The line, made safe.

    Most are as they stand, which the whole of one tells sooner than its values do (1.5 us of 4.5).
    """
    if _SCALARS.issuperset(map(type, event.values())):
        with suppress(UnicodeEncodeError):  # a lone surrogate
            line = msgspec.json.encode(event)
            if len(line) <= _LONGEST and not line.translate(None, _HARMLESS):
                return line.decode("ascii")
    return msgspec.json.encode(make_safe(_, __, event)).decode()


def _plain(_: Any, __: str, event: Event) -> str:
    rest: Mapping[str, Any] = event
    head = f"{event.pop('at', '')} {event.pop('level', ''):7} {event.pop('event', '')}"
    # Set in, so that no line of a trace looks like one of the log.
    trace = str(event.pop("exception", "")).replace("\n", "\n  ")
    line = " ".join([head, *(f"{key}={_quoted(value)}" for key, value in rest.items())])
    return f"{line}\n  {trace}" if trace else line


def _quoted(value: Any) -> str:
    text = ",".join(value) if isinstance(value, list) else str(value)
    return '"' + text.replace('"', r"\"") + '"' if not text or _NEEDS_QUOTES.search(text) else text
