"""Dialogs put together at random: every command is answered, in order, however its octets come.

What is said, and what must come of it, is worked out by a small model of the protocol (RFC 5321,
RFC 2033, RFC 3030) that shares no code with the gateway.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.wire import Wire, connected, serving

ADDRESSES = ("anna", "ben", "Anna", "refused", "later", "anna+shop")
GROUP_ENDS = ("EHLO", "LHLO", "DATA")

LINES = [b"one", b"", b".", b"..", b".x", b"Subject: x", b"QUIT", b"BDAT 5 LAST", b"\xc3\xa9"]
TEXTS = st.lists(st.sampled_from(LINES), max_size=6).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines)
)
CHUNKS = st.binary(max_size=12).map(lambda octets: octets.translate(None, b"\r\n\0"))


@dataclass(frozen=True)
class Said:
    """A command, and the octets that come with it."""

    verb: str
    line: str
    octets: bytes = b""


def _said(verb: str, line: str | None = None) -> Said:
    return Said(verb, verb if line is None else line)


COMMANDS = st.one_of(
    st.sampled_from(
        [
            _said("HELLO"),
            _said("MAIL", "MAIL FROM:<shop@vendor.example>"),
            _said("MAIL", "MAIL FROM:<> BODY=8BITMIME"),
            _said("RSET"),
            _said("NOOP"),
            _said("MAIL", "mail from:<shop@vendor.example> RET=HDRS ENVID=x"),
            _said("BAD", "XYZZY"),
            _said("BAD", "MAIL FROM:shop"),
            _said("BAD", "RCPT TO:<>"),
            _said("BAD", "VRFY"),
            _said("NOOP", "noop  x"),
        ]
    ),
    st.sampled_from(ADDRESSES).map(lambda a: Said("RCPT", f"RCPT TO:<{a}@letterbox.example>")),
    TEXTS.map(lambda text: Said("DATA", "DATA", text)),
    st.tuples(CHUNKS, st.booleans()).map(
        lambda c: Said("LAST" if c[1] else "BDAT", f"BDAT {len(c[0])}{' LAST' * c[1]}", c[0])
    ),
)


@dataclass
class Model:
    """What a client may expect: the first digits of each reply, and what arrives."""

    lmtp: bool
    greeted: bool = False
    begun: bool = False
    to: list[str] = field(default_factory=list)
    chunks: bytes | None = None
    taken: list[bytes] = field(default_factory=list)

    def hear(self, said: Said) -> list[str]:
        match said.verb:
            case "HELLO":
                self.greeted = True
                self._end()
                return ["250"]
            case "RSET":
                self._end()
                return ["250"]
            case "NOOP":
                return ["250"]
            case "MAIL":
                if not self.greeted or self.begun:
                    return ["503"]
                self.begun = True
                return ["250"]
            case "RCPT":
                return [self._rcpt(said.line)]
            case "DATA":
                if not self.begun or not self.to or self.chunks is not None:
                    return ["503"]
                return ["354", *self._decided(said.octets)]
            case "BDAT" | "LAST":
                if not self.begun or not self.to:
                    return ["503"]
                self.chunks = (self.chunks or b"") + said.octets
                if said.verb == "BDAT":
                    return ["250"]
                return self._decided(self.chunks)
            case _:
                return ["???"]

    def _rcpt(self, line: str) -> str:
        if not self.begun or self.chunks is not None:
            return "503"
        local = line.partition("<")[2].partition("@")[0]
        if not self.lmtp and self.to and self.to[0].lower() != local.lower():
            return "452"
        self.to.append(next((t for t in self.to if t.lower() == local.lower()), local))
        return "250"

    def _decided(self, content: bytes) -> list[str]:
        self.taken.append(content)
        codes = {"refused": "550", "later": "451"}
        answers = [codes.get(local, "250") for local in self.to]
        self._end()
        return answers if self.lmtp else answers[:1]

    def _end(self) -> None:
        self.begun, self.to, self.chunks = False, [], None


async def speak(wire: Wire, dialog: list[Said], model: Model, *, lmtp: bool, singly: bool) -> None:
    """Say a dialog in groups as large as may be (RFC 2920), and hold each reply to the model."""
    group, awaited = b"", []
    for said in dialog:
        line = "LHLO client.example" if lmtp else "EHLO client.example"
        group += (line if said.verb == "HELLO" else said.line).encode() + b"\r\n"
        # Before the greeting nothing may be sent ahead, and behind these nothing ever.
        apart = said.verb in {"HELLO", "DATA"} or not model.greeted
        if said.verb in {"BDAT", "LAST"}:
            group += said.octets
        replies = model.hear(said)
        awaited += replies[:1] if said.verb == "DATA" and replies[0] == "354" else replies
        if apart:
            await wire.send(group, singly=singly)
            for code in awaited:
                await expect(wire, code)
            group, awaited = b"", []
        if said.verb == "DATA" and replies[0] == "354":
            stuffed = b"".join(
                (b"." + each if each.startswith(b".") else each)
                for each in said.octets.splitlines(keepends=True)
            )
            group, awaited = stuffed + b".\r\n", replies[1:]
    await wire.send(group + b"NOOP\r\n", singly=singly)
    for code in (*awaited, "250"):
        await expect(wire, code)


async def expect(wire: Wire, code: str) -> None:
    reply = await wire.reply()
    if code == "???":
        assert reply[0] in "25", reply
    else:
        assert reply.startswith(code), (code, reply)


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
@given(dialog=st.lists(COMMANDS, max_size=25), singly=st.booleans(), greets=st.booleans())
def test_every_command_is_answered_in_its_order(lmtp, dialog, singly, greets):
    if greets:
        dialog = [Said("HELLO", ""), *dialog]
    else:  # who has not greeted may send nothing behind a command, and a chunk is behind one
        greeting = next((n for n, s in enumerate(dialog) if s.verb == "HELLO"), len(dialog))
        dialog = [s for n, s in enumerate(dialog) if n > greeting or not s.octets]

    async def go() -> None:
        model = Model(lmtp)
        async with (
            serving(lmtp=lmtp, max_errors=1000) as house,
            connected(house.address) as wire,
        ):
            await wire.line()
            await speak(wire, dialog, model, lmtp=lmtp, singly=singly)
            assert [content for _, content in house.intake.taken] == model.taken

    asyncio.run(go())


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                [
                    b"EHLO a\r\n",
                    b"LHLO a\r\n",
                    b"MAIL FROM:<>\r\n",
                    b"DATA\r\n",
                    b".\r\n",
                    b"RCPT TO:<anna@letterbox.example>\r\n",
                    b"BDAT 3\r\n",
                    b"BDAT 99999 LAST\r\n",
                    b"\r\n.\r\n",
                    b"\n.\n",
                    b"\r.\r",
                    b"RSET\r\n",
                    b"QUIT\r\n",
                    b"AUTH PLAIN\r\n",
                    b"STARTTLS\r\n",
                    b"XCLIENT ADDR=1.2.3.4\r\n",
                    b"PROXY UNKNOWN\r\n",
                    b"\0",
                    b"x" * 3000,
                ]
            ),
        ),
        max_size=30,
    )
)
def test_whatever_is_sent_is_answered_in_lines_and_harms_no_other(lmtp, pieces):
    async def go() -> None:
        async with serving(lmtp=lmtp) as house:
            async with connected(house.address) as wire:
                await wire.line()
                wire.writer.write(b"".join(pieces))
                wire.writer.write_eof()
                heard = b""
                with suppress(ConnectionResetError):  # it was told before; that may be lost
                    heard = await asyncio.wait_for(wire.reader.read(), 20)
                for line in heard.split(b"\r\n")[:-1]:
                    assert line[:3].isdigit(), line
                    assert line[3:4] in b" -", line
                assert heard == b"" or heard.endswith(b"\r\n")
                assert b"451 4.3.0" not in heard  # no fault of ours
            async with connected(house.address) as wire:
                await wire.line()
                assert await wire.say("NOOP") == "250 2.0.0 OK"
            # What was taken is what stood between a DATA or BDAT and its end: never a bare end.
            for _, content in house.intake.taken:
                assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
                assert b"\0" not in content

    asyncio.run(go())
