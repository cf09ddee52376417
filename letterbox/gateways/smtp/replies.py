"""Replies as they go over the wire, each with its enhanced status code (RFC 2034, RFC 3463)."""

from collections.abc import Sequence

import msgspec

from letterbox.model.told import Told

_PASSING, _REFUSED = 400, 500  # replies from here on (RFC 5321, section 4.2.1)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One reply, ended by CRLF. ``closes``: the connection is closed after it.

    ``waits``: it is not just said, but something is waited for before it or after it.
    """

    octets: bytes
    closes: bool = False
    waits: bool = False

    @property
    def refuses(self) -> bool:
        """Whether it is a permanent refusal (RFC 5321, section 4.2.1); of several, the last."""
        octets = self.octets
        return octets.startswith(b"5", octets.rfind(b"\n", 0, len(octets) - 1) + 1)


def reply(
    code: int, enhanced: str, text: str, *, closes: bool = False, waits: bool = False
) -> Reply:
    """A reply of one line. An empty ``enhanced`` leaves it out, where RFC 2034 does."""
    status = f"{code} {enhanced} " if enhanced else f"{code} "
    octets = f"{status}{text}\r\n".encode("ascii", "replace")
    return Reply(octets=octets, closes=closes, waits=waits)


def greeting(hostname: str, *, lmtp: bool) -> Reply:
    """RFC 5321, section 4.2: what a session begins with."""
    return reply(220, "", f"{hostname} {'LMTP' if lmtp else 'ESMTP'} letterbox")


def for_all(answers: Sequence[Told], *, reported: bool | None) -> Told:
    """The one answer to a message for all its recipients (RFC 5321, section 4.2).

    Where one is to be tried again the whole message is: those who have it keep one copy. Where
    some have taken it, it is taken, and a report says what became of the others (``reported``),
    or where that is None the feed of the vendor whose key was shown.
    """
    again = next((each for each in answers if _PASSING <= each.reply < _REFUSED), None)
    taken = [each for each in answers if each.reply < _PASSING]
    if again is not None or len(taken) in {0, len(answers)}:
        return again or answers[0]
    text = f"taken for {len(taken)} of {len(answers)} recipients"
    if reported is None:
        text += f", see feedback {taken[0].reference}"
    elif reported:
        text += ", a report follows"
    return msgspec.structs.replace(taken[0], text=text)


def for_each(answers: Sequence[Told]) -> tuple[Told, ...]:
    """The answers of PRDR: one for each recipient, and one for the message (draft-hall-prdr).

    The last one agrees with them: what anybody has taken is taken, and is not to be sent again to
    those who have not.
    """
    taken = [each for each in answers if each.reply < _PASSING]
    if not taken:
        passing = [each for each in answers if each.reply < _REFUSED]
        return (*answers, (passing or answers)[0])
    text = f"taken for {len(taken)} of {len(answers)} recipients"
    return (*answers, msgspec.structs.replace(taken[0], text=text))


# ---- success

# RFC 2034, section 4: neither the greeting nor 3yz replies carry an enhanced code.
GO_AHEAD = reply(354, "", "Go ahead; end with <CR><LF>.<CR><LF>", waits=True)
EACH = reply(353, "", "One reply for each recipient follows, and one for the message")
OK = reply(250, "2.0.0", "OK")
CLIENT_TAKEN = reply(250, "2.0.0", "Client taken")
SENDER_TAKEN = reply(250, "2.1.0", "Sender taken")
RECIPIENT_TAKEN = reply(250, "2.1.5", "Recipient taken")
FAREWELL = reply(221, "2.0.0", "Goodbye", closes=True)
START_TLS = reply(220, "2.0.0", "Go ahead with TLS", waits=True)
# RFC 5321, section 7.3: who exists is not told.
CANNOT_VERIFY = reply(252, "2.0.0", "Every well-formed address of ours is taken; send and see")

# RFC 4954, sections 4 and 6.
SHOW_KEY = reply(334, "", "", waits=True)  # an empty challenge: PLAIN has none
AUTHENTICATED = reply(235, "2.7.0", "Welcome")

# ---- not now

BUSY = reply(421, "4.3.2", "busy: Too many sessions; try again later", closes=True)
CROWDED = reply(421, "4.7.0", "busy: Too many sessions from this address", closes=True)
LEAVING = reply(421, "4.3.2", "busy: Going down; try again soon", closes=True)
TIMED_OUT = reply(421, "4.4.2", "Waited too long", closes=True)
LONG_SESSION = reply(421, "4.4.2", "Enough for one session; go on in another", closes=True)
NO_CLIENT = reply(421, "4.3.2", "Begin with a PROXY header", closes=True)
TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors in this session", closes=True)
TOO_MANY_TRANSACTIONS = reply(
    421, "4.7.0", "Enough messages in this session; go on in another", closes=True
)
# RFC 5321, section 4.2.3, and RFC 3463, section 3.4: storage, which passes.
NO_ROOM = reply(452, "4.3.1", "busy: Too much mail is coming in at once; try again soon")
OUR_FAULT = reply(451, "4.3.0", "our-fault: Not now, by a fault of ours; try again later")
ONE_RECIPIENT = reply(
    452, "4.5.3", "One recipient a transaction, so that each gets its answer; send this one next"
)
TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "Too many recipients in one transaction")

LOCKED_OUT = reply(454, "4.7.0", "Too many wrong keys; try again later")
NO_LOOK = reply(454, "4.7.0", "A key cannot be looked at now; try again soon")

# ---- refused

UNKNOWN_COMMAND = reply(500, "5.5.1", "Unknown command")
COMMAND_TOO_LONG = reply(500, "5.5.2", "Command line too long")
ENDLESS_COMMAND = reply(500, "5.5.2", "Command line without end", closes=True)
NOT_UTF8 = reply(500, "5.5.2", "A command is text in ASCII or UTF-8")
BAD_HOST = reply(501, "5.5.4", "Say your host name, in printable ASCII without spaces")
BAD_ARGUMENT = reply(501, "5.5.4", "This command takes no argument")
BAD_MAIL = reply(501, "5.5.4", "Write MAIL FROM:<address> and parameters")
BAD_RCPT = reply(501, "5.5.4", "Write RCPT TO:<address>")
BAD_PARAMETER = reply(501, "5.5.4", "A parameter is badly formed or stands twice")
BAD_SENDER = reply(501, "5.1.7", "The sender's address is badly formed")
BAD_RECIPIENT = reply(501, "5.1.3", "The recipient's address is badly formed")
BAD_ORIGIN = reply(501, "5.5.4", "Write attributes as NAME=value, in xtext")
NOT_OFFERED = reply(502, "5.5.1", "This command is not offered here")
GREET_FIRST = reply(503, "5.5.1", "Say EHLO first")
LHLO_FIRST = reply(503, "5.5.1", "Say LHLO first")
MAIL_FIRST = reply(503, "5.5.1", "Say MAIL first")
RCPT_FIRST = reply(503, "5.5.1", "No recipient was taken")
CONTENT_BEGUN = reply(503, "5.5.1", "The content has begun with BDAT; go on with it, or say RSET")
IN_TRANSACTION = reply(503, "5.5.1", "Not between MAIL and the end of the message")
ONE_MAIL = reply(503, "5.5.1", "A transaction has begun already; RSET ends it")
SECURE_ALREADY = reply(503, "5.5.1", "TLS is in use already")
WRONG_KEY = reply(535, "5.7.8", "No vendor with that id and key")
NO_DOMAIN = reply(535, "5.7.1", "The key is right, but no domain of yours is proven yet")
NOT_FOR_SENDING = reply(535, "5.7.1", "The key is right, but not for sending: scope send")
AUTH_FIRST = reply(530, "5.7.0", "Say AUTH first: your vendor id, and an API key")
NEEDS_TLS = reply(538, "5.7.11", "Say STARTTLS first: a key is not shown in the clear")
NO_AUTH_NOW = reply(503, "5.5.1", "AUTH comes once, and before MAIL")
OTHER_MECHANISM = reply(504, "5.5.4", "Only AUTH PLAIN is spoken here")
AUTH_GIVEN_UP = reply(501, "5.7.0", "Given up")
BAD_RESPONSE = reply(501, "5.5.2", "Write base64 of NUL, vendor id, NUL, API key")
RESPONSE_TOO_LONG = reply(500, "5.5.6", "That is longer than any id and key")
KEY_GONE = reply(535, "5.7.8", "The key is good no more; say AUTH with another", closes=True)
# RFC 6531, section 3.5: 553 for a mailbox name, with X.6.7.
NEEDS_SMTPUTF8 = reply(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8 at MAIL")
UNKNOWN_PARAMETER = reply(555, "5.5.4", "This parameter is not offered here")
NO_RELAY = reply(550, "5.7.1", "We take mail for our own domains only")

# ---- the stream cannot be trusted any longer

# RFC 5321, section 3.1: a server that speaks to some alone.
NOT_A_PEER = reply(554, "5.7.1", "Mail is taken here from smtp.trusted_peers alone", closes=True)
TALKS_EARLY = reply(554, "5.5.0", "You spoke before the greeting", closes=True)
TALKS_AHEAD = reply(554, "5.5.0", "You spoke ahead of a reply", closes=True)
DIRTY_COMMAND = reply(500, "5.5.2", "A command ends with CRLF, without CR or NUL", closes=True)
# How much follows is not known.
BAD_CHUNK = reply(501, "5.5.4", "Write BDAT, a number of octets, and LAST at the end", closes=True)
OTHER_PROTOCOL = reply(554, "5.5.0", "This is a mail server", closes=True)
# The ends of chunks are counted: what follows is what it seems.
DIRTY_CHUNKS = reply(554, "5.6.0", "message-malformed: It has a bare CR or LF, or NUL")
ENDLESS_CHUNK = reply(552, "5.3.4", "message-too-large: A chunk beyond all bounds", closes=True)
DIRTY_CONTENT = reply(
    554, "5.6.0", "message-malformed: It has a bare CR or LF, or NUL", closes=True
)

# ---- the content


def too_large(max_size: int) -> Reply:
    """RFC 1870, section 6.1: larger than the size announced."""
    return reply(552, "5.3.4", f"message-too-large: It has more than {max_size} octets")


def line_too_long(max_line: int) -> Reply:
    """RFC 5321, section 4.5.3.1.6 would end at 1000 octets; real mail does not."""
    return reply(554, "5.6.0", f"message-malformed: A line has more than {max_line} octets")


def chunk_taken(octets: int) -> Reply:
    """RFC 3030, section 2: a chunk that is not the last."""
    return reply(250, "2.0.0", f"{octets} octets taken")
