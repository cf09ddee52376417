"""The transcripts of tests/dialogs, spoken whole and octet by octet, over SMTP and LMTP.

    # a remark
    @ smtp lmtp whole      edges; "whole": not octet by octet (it is about what arrives together)
    @ max_size=100         a limit
    @ peer=xclient         the client is a trusted peer, and says so whose mail it brings
    @ silent               no greeting before the client has said something
    HELLO                  EHLO or LHLO, and its reply
    C: text                a line to send; C+ without its CRLF. Successive ones are sent at once
    S: text                a line to receive; "…" at its end: and whatever follows
    T: from -> to, to | c  the envelope and content that the intake was given, in order
    R: id | to: ask        what was asked of reports, with the last of these
    P: address helo inner  whom the last of these is from
    CLOSED                 the server ends the connection, saying no more

Escapes as in Python's byte strings; {n*text} repeats.
"""

import ast
import re
from pathlib import Path

import pytest

from letterbox.model.configuration import TrustedPeer
from letterbox.model.envelope import Envelope, Request
from tests.support.wire import Serving, Wire, connected, serving

FOLDER = Path(__file__).parents[1] / "dialogs"
DIALOGS = sorted(FOLDER.glob("*.txt"))


def octets(text: str) -> bytes:
    repeated = re.sub(r"\{(\d+)\*([^}]*)\}", lambda m: m[2] * int(m[1]), text)
    return ast.literal_eval("'" + repeated.replace("'", r"\'") + "'").encode("latin-1")


class Script:
    def __init__(self, path: Path) -> None:
        self.words: set[str] = set()
        self.limits: dict[str, int] = {}
        self.peers: tuple[TrustedPeer, ...] = ()
        self.steps: list[tuple[str, str]] = []
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("@"):
                for word in line[1:].split():
                    name, is_limit, value = word.partition("=")
                    if name == "peer":
                        self.peers = (TrustedPeer(address="127.0.0.1", client=value),)
                    elif is_limit:
                        self.limits[name] = int(value)
                    else:
                        self.words.add(name)
            elif line and not line.startswith("#"):
                kind, _, text = line.partition(" ")
                self.steps.append((kind, text))


def cases() -> list:
    return [
        pytest.param(path, edge, singly, id=f"{path.stem}-{edge}-{'singly' if singly else 'whole'}")
        for path in DIALOGS
        for script in [Script(path)]
        for edge in ("smtp", "lmtp")
        if edge in script.words
        for singly in ((False,) if "whole" in script.words else (False, True))
    ]


@pytest.mark.parametrize(("path", "edge", "singly"), cases())
async def test_dialog(path, edge, singly):
    script = Script(path)
    async with (
        serving(lmtp=edge == "lmtp", trusted_peers=script.peers, **script.limits) as house,
        connected(house.address) as wire,
    ):
        await speak(script, house, wire, edge, singly=singly)


async def speak(script: Script, house: Serving, wire: Wire, edge: str, *, singly: bool) -> None:
    kind = "LMTP" if edge == "lmtp" else "ESMTP"
    if "silent" not in script.words:
        assert await wire.line() == f"220 letterbox.example {kind} letterbox"
    outgoing, messages = b"", 0
    for step, text in script.steps:
        if step in ("C:", "C+"):
            outgoing += octets(text) + (b"\r\n" if step == "C:" else b"")
            continue
        if outgoing:
            await wire.send(outgoing, singly=singly)
            outgoing = b""
        match step:
            case "HELLO":
                verb = "LHLO" if edge == "lmtp" else "EHLO"
                assert (await wire.say(f"{verb} client.example")).startswith("250 ")
            case "S:":
                expect(await wire.line(), text)
            case "T:":
                assert given(house, messages) == text
                messages += 1
            case "R:":
                assert asked(house.intake.taken[messages - 1][0]) == text
            case "P:":
                client = house.intake.taken[messages - 1][0].client
                inner = " inner" if client.inner else ""
                assert f"{client.address} {client.helo}{inner}" == text
            case "CLOSED":
                assert await wire.closed()
            case _:
                pytest.fail(f"what is {step}?")
    assert not outgoing, "the dialog ends with something said and nothing heard"
    assert len(house.intake.taken) == messages


def expect(line: str, text: str) -> None:
    if text.endswith("…"):
        assert line.startswith(text[:-1])
    else:
        assert line == text


def given(house: Serving, number: int) -> str:
    envelope, content = house.intake.taken[number]
    recipients = ", ".join(map(str, envelope.recipients))
    return f"{envelope.reverse_path or '<>'} -> {recipients} | {repr(content)[2:-1]}"


def asked(envelope: Envelope) -> str:
    asks = [
        f"{address}: {request.original or '-'} {notify(request)}"
        for address, request in envelope.requests.items()
    ]
    return " | ".join([envelope.envelope_id or "-", *asks])


def notify(request: Request) -> str:
    return "-" if request.notify is None else ",".join(request.notify) or "never"


def test_there_are_dialogs_for_both():
    edges = [edge for path in DIALOGS for edge in Script(path).words]
    assert len(DIALOGS) >= 80
    assert edges.count("smtp") >= 60
    assert edges.count("lmtp") >= 30
