"""No command breaks the dialog, and no address gets in that could break a line."""

import re

from hypothesis import given
from hypothesis import strategies as st

from letterbox.gateways.smtp.dialog import Dialog, Terms
from letterbox.gateways.smtp.syntax import read_mailbox, read_parameters, read_path

TERMS = Terms(
    hostname="letterbox.example",
    domains=frozenset({"letterbox.example"}),
    max_size=1000,
    max_recipients=3,
    max_transactions=5,
    lmtp=False,
    tls=True,
)
VERBS = st.sampled_from(
    [
        "EHLO",
        "HELO",
        "MAIL",
        "RCPT",
        "DATA",
        "RSET",
        "NOOP",
        "QUIT",
        "VRFY",
        "HELP",
        "STARTTLS",
        "X",
    ]
)
WORDS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "client.example",
            "FROM:<a@b.example>",
            "FROM:<>",
            "TO:<anna@letterbox.example>",
            "TO:<postmaster>",
            'TO:<"a b"@letterbox.example>',
            "FROM:<a@b.example> SIZE=10 SMTPUTF8",
        ]
    ),
)
BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
PARTS = st.lists(
    st.sampled_from(['"', "\\", "@", ":", ",", ".", "a", " ", "<", ">", "[", "]", "é", "\x85"]),
    max_size=30,
).map("".join)


@given(st.lists(st.tuples(VERBS, WORDS), max_size=12))
def test_every_command_gets_one_well_formed_reply(commands):
    dialog = Dialog(TERMS)
    for verb, arg in commands:
        octets = dialog.answer(verb, arg).octets
        assert octets.endswith(b"\r\n")
        *heads, last = octets[:-2].split(b"\r\n")
        assert all(line[3:4] == b"-" for line in heads)
        assert last[3:4] == b" "
        assert all(len(line) < 510 and line.isascii() for line in (*heads, last))
        transaction = dialog.transaction
        assert transaction is None or len(transaction.taken) <= TERMS.max_recipients


@given(st.one_of(st.text(max_size=60), PARTS, PARTS.map(lambda local: f'"{local}"@b.example')))
def test_an_address_cannot_break_a_line(path):
    address = read_mailbox(path)
    if address is not None:
        assert not BREAKS.search(str(address))
        assert len(str(address).encode()) <= 254
        assert read_mailbox(str(address)) == address


@given(st.one_of(st.text(max_size=200), PARTS.map(lambda path: f"FROM:<{path}> X=1")))
def test_a_path_is_split_without_loss(arg):
    split = read_path(arg, "FROM")
    if split is not None:
        path, rest = split
        assert f"<{path}>" in arg
        assert arg.endswith(rest)
        parameters = read_parameters(rest)
        assert parameters is None or all(key.isascii() for key in parameters)
