"""``POST /v1/messages/batch``: many messages, one a line, each answered by a line in its place.

Lines are read only as fast as they are decided and their answers are read. What is answered is
durable; a line that was not answered may be sent again under its reference.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Coroutine
from hashlib import sha256
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web

from letterbox.gateways.http.call import IDEMPOTENCY_KEY, LOOK, Call, read_form
from letterbox.gateways.http.forms import Answer, NewMessage
from letterbox.gateways.http.problems import Problem, Reasoned, document_of
from letterbox.gateways.http.route import JSON
from letterbox.gateways.http.submit import Sending, fingerprint, send, sender_of
from letterbox.intake import Idempotent
from letterbox.model.vendor import Registered

NDJSON: Final = "application/x-ndjson"
MOST_LINES: Final = 10_000
#: Octets of one line: text and HTML of the largest message, and what JSON adds to them.
_LONGEST_LINE: Final = 4 * 1024 * 1024
#: Lines that are decided at once, and octets of them: enough to fill a group commit.
_AT_ONCE: Final = 128
_OCTETS_AT_ONCE: Final = 2 * _LONGEST_LINE
#: Octets of answers that wait for a client which reads later: those of a whole batch.
_UNREAD: Final = 8 * 1024 * 1024
#: Batches of one vendor at once.
_MOST_OPEN: Final = 4
#: A line is the call that its JSON alone would be: under one key both have one effect.
_SAID: Final = f"/v1/messages\0{JSON}"

#: How many batches of each vendor are open.
BATCHES: web.AppKey[Counter[str]] = web.AppKey("batches", Counter)

log = structlog.get_logger("letterbox.http")


async def batch(call: Call) -> web.StreamResponse:
    """Take messages line by line, and answer them in their order, while they come."""
    await sender_of(call)
    call.expect(NDJSON)
    key = call.idempotency_key
    open_ = call.request.app[BATCHES]
    if open_[call.owner] >= _MOST_OPEN:
        detail = f"{_MOST_OPEN} batches of this vendor are open; go on when one has ended"
        raise Problem("too-many", detail, headers={"Retry-After": "10"})
    open_[call.owner] += 1
    try:
        return await _answer_all(call, key)
    finally:
        open_[call.owner] -= 1
        if not open_[call.owner]:
            del open_[call.owner]


async def _answer_all(call: Call, key: str | None) -> web.StreamResponse:
    request = call.request
    response = web.StreamResponse(headers={"Content-Type": NDJSON})
    await response.prepare(request)
    if request.transport is not None:
        # So that a client may write its lines first, and read afterwards.
        request.transport.set_write_buffer_limits(high=_UNREAD)
    answers = _Answers(response, call.parts.configuration.http.body_timeout)
    sender = _Sender(call)
    gone = False
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(call))
            writing = group.create_task(answers.write())
            number = 0
            async for line in _lines(call):
                number += 1
                octets = len(line) if isinstance(line, bytes) else 0
                await answers.add(_answered(call, sender, line, number, key), octets)
            answers.end()
            await writing
            watching.cancel()
    except* (ConnectionError, TimeoutError):
        gone = True
    except* Exception as fault:
        # The answer has begun: there can be no other. What was answered stays answered.
        log.exception("batch-failed", session=call.session, exc_info=fault)
        gone = True
    finally:
        answers.give_up()
    if gone:
        if request.transport is not None:
            request.transport.abort()  # to close it would wait for whoever reads nothing
        raise ConnectionResetError("nobody reads the answers")
    if not request.content.at_eof():
        response.force_close()  # what was not read is not to be taken for the next request
    await response.write_eof()
    if request.transport is not None:
        request.transport.set_write_buffer_limits()  # as before, for the next request
    return response


async def _watch(call: Call) -> None:
    """End it all when the client has gone, also while lines wait for their turn."""
    while not call.has_left:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(LOOK)
    raise ConnectionResetError


class _Answers:
    """The answers to lines in hand, which go out in their order, each as soon as it may."""

    def __init__(self, response: web.StreamResponse, patience: float) -> None:
        self._response = response
        self._patience = patience
        self._tasks: deque[tuple[asyncio.Task[bytes], int]] = deque()
        self._octets = 0
        self._ended = False
        self._added = asyncio.Event()
        self._written = asyncio.Event()

    async def add(self, answer: Coroutine[Any, Any, bytes], octets: int) -> None:
        """Begin with one more line, and wait until there is room for the next."""
        self._tasks.append((asyncio.ensure_future(answer), octets))
        self._octets += octets
        self._added.set()
        while len(self._tasks) >= _AT_ONCE or self._octets >= _OCTETS_AT_ONCE:
            self._written.clear()
            await self._written.wait()

    def end(self) -> None:
        """No more lines come."""
        self._ended = True
        self._added.set()

    async def write(self) -> None:
        """Write until all is answered. Raises TimeoutError where nobody reads."""
        while self._tasks or not self._ended:
            if not self._tasks:
                self._added.clear()
                await self._added.wait()
                continue
            await self._tasks[0][0]
            done: list[bytes] = []
            while self._tasks and self._tasks[0][0].done():
                task, octets = self._tasks.popleft()
                done.append(task.result())
                self._octets -= octets
            self._written.set()
            async with asyncio.timeout(self._patience):
                await self._response.write(b"".join(done))

    def give_up(self) -> None:
        """Decide no more of them: nobody would hear of it."""
        for task, _ in self._tasks:
            task.cancel()


async def _lines(call: Call) -> AsyncIterator[bytes | Problem]:
    """The lines that say something, without their ends; a problem for one that cannot be taken.

    It ends after a problem with the body itself, and where the house closes.
    """
    patience = _Patience(call.parts.configuration.http.body_timeout)
    left, size = MOST_LINES, 0
    rest: list[bytes] = []  # of a line whose end has not come; nothing of one that is too long
    async for piece in _pieces(call, patience):
        if isinstance(piece, Problem):
            yield piece
            return
        *ended, last = piece.split(b"\n")
        for end in ended:
            size += len(end)
            line = b"".join((*rest, end)) if size <= _LONGEST_LINE else b""
            if line.strip() or size > _LONGEST_LINE:
                if left <= 0:
                    yield Problem("too-large", f"at most {MOST_LINES:,} lines are taken at once")
                    return
                left -= 1
                patience.renew()
                yield line or Problem("too-large", f"a line has at most {_LONGEST_LINE:,} octets")
            rest, size = [], 0
        size += len(last)
        if size <= _LONGEST_LINE:
            rest.append(last)
        else:
            rest.clear()


class _Patience:
    """How long a line may take: seconds, of those in which nothing but it is waited for."""

    def __init__(self, most: float) -> None:
        self.most = self.left = most

    def renew(self) -> None:
        """A line has come."""
        self.left = self.most


async def _pieces(call: Call, patience: _Patience) -> AsyncIterator[bytes | Problem]:
    """The body as it comes, with a line's end at its end; a problem where it comes no further."""
    content = call.request.content
    loop = asyncio.get_running_loop()
    closing = asyncio.ensure_future(call.draining.wait())
    try:
        while True:
            began = loop.time()
            read = asyncio.ensure_future(content.readany())
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait({read, closing}, timeout=patience.left, return_when=first)
            if not read.done():
                read.cancel()
                if not closing.done():
                    yield Problem("timeout", f"a line must arrive within {patience.most:g} s")
                return
            piece = read.result()
            if not piece:
                yield b"\n"
                return
            patience.left = max(patience.left - (loop.time() - began), 0)
            yield piece
    except web.RequestPayloadError:
        yield Problem("bad-request", "the body is not framed as HTTP has it")
    finally:
        closing.cancel()


class _Sender:
    """Who sends, looked at for each line: what is revoked is revoked at once.

    Lines that are begun in the same turn of the loop share one look: nothing happens in between.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._seen: Registered | None = None

    async def look(self) -> Registered:
        """The vendor whose key was shown. Raises a Problem where it may send no more."""
        if self._seen is None:
            await self._call.again()
            self._seen = await sender_of(self._call)
            asyncio.get_running_loop().call_soon(self._forget)
        return self._seen

    def _forget(self) -> None:
        self._seen = None


async def _answered(
    call: Call, sender: _Sender, line: bytes | Problem, number: int, key: str | None
) -> bytes:
    """The answer to one line, whatever happens to it."""
    instance = f"{call.session}-{number}"
    try:
        answer: object = await _send(call, sender, line, instance, number, key)
    except (Problem, Reasoned) as problem:
        document = document_of(problem, call.parts.public_url())
        again = problem.retry_after if isinstance(problem, Reasoned) else None
        answer = msgspec.structs.replace(document, retry_after=again or None)
    except Exception:
        log.exception("line-failed", session=instance)
        answer = document_of(Problem("our-fault"), call.parts.public_url(), instance)
    return msgspec.json.encode(answer) + b"\n"


async def _send(
    call: Call,
    sender: _Sender,
    line: bytes | Problem,
    instance: str,
    number: int,
    key: str | None,
) -> Answer:
    if isinstance(line, Problem):
        raise line
    vendor = await sender.look()
    form = read_form(line, NewMessage)
    name = form.reference or (f"{key}#{number}" if key else None)
    idempotent = None
    if name is not None:
        if not IDEMPOTENCY_KEY.fullmatch(name):
            # A reference may be written in anything.
            name = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        idempotent = Idempotent(key=name, fingerprint=fingerprint(_SAID, line.strip()))
    sending = Sending(
        parts=call.parts,
        vendor=vendor,
        name=instance,
        session=call.session,
        client=call.client,
        idempotent=idempotent,
        waits=True,
    )
    return await send(sending, form)
