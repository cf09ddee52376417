"""What is answered to each command, and what it changes. Pure: the wire is elsewhere."""

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from letterbox.gateways.smtp import replies
from letterbox.gateways.smtp.auth import LOOKING, Plain, read_plain
from letterbox.gateways.smtp.parameters import MailTerms, read_mail, read_rcpt
from letterbox.gateways.smtp.passing import Command, Origin, offered, read_origin
from letterbox.gateways.smtp.replies import Reply, reply
from letterbox.gateways.smtp.syntax import read_mailbox, read_parameters, read_path
from letterbox.intake.submitters import Shown
from letterbox.model.address import Address
from letterbox.model.envelope import Request

# What a host calls itself goes to a log line and into SPF: one printable word.
_HOST = re.compile(r"[!-~]{1,255}")
_CHUNK = re.compile(r"([0-9]{1,20})( +LAST)?", re.IGNORECASE)  # RFC 3030, section 2
# Known to RFC 5321 and its extensions, and not offered.
_NOT_OFFERED = frozenset({"EXPN", "TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML", "AUTH"})
# A browser or another client of HTTP has been talked into speaking to us.
_OTHER_PROTOCOL = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "HOST:"})
#: RFC 2920, section 3.1, and RFC 3207, section 4: nothing may be sent behind these before their
#: reply, since it decides about what follows. XCLIENT begins the session anew.
LAST_IN_GROUP = frozenset({"EHLO", "HELO", "LHLO", "DATA", "STARTTLS", "AUTH", "XCLIENT"})


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway offers and takes. Sizes in octets."""

    hostname: str
    domains: frozenset[str]
    max_size: int
    max_recipients: int
    max_transactions: int
    lmtp: bool
    tls: bool
    #: Mail is taken from those who have shown a key, and from nobody else (RFC 6409).
    submission: bool = False
    #: What is delivered is handed to another mail server.
    between: bool = False


#: So many return paths of one session are looked up: each may be a hundred questions to the DNS.
_MOST_PATHS = 20
#: Says nothing to anybody: a chunk of the content follows the command.
CHUNK = Reply(octets=b"", waits=True)
#: And neither does this: whether the return path is proven is to be found out, and asked again.
PATH = Reply(octets=b"", waits=True)


_NOTHING = MailTerms()
_NO_REQUEST = Request()


class Chunk(NamedTuple):
    """What BDAT announces: so many octets, and whether they are the last."""

    octets: int
    last: bool


class Transaction:
    """From MAIL to the end of the content."""

    def __init__(self, reverse_path: Address | None, terms: MailTerms) -> None:
        self.reverse_path = reverse_path
        self.terms = terms
        #: Each recipient once, as first written, by its form without case.
        self.recipients: dict[str, Address] = {}
        #: One entry for each RCPT that was taken, in their order.
        self.taken: list[Address] = []
        #: What was asked of reports about them.
        self.requests: dict[Address, Request] = {}
        #: BDAT has begun the content (RFC 3030, section 2).
        self.chunked = False
        #: SPF passes for the return path; None until somebody needs to know.
        self.path_passes: bool | None = None if reverse_path else False

    @property
    def one_reply(self) -> bool:
        """Whether one reply stands for several recipients, and reports say what it does not."""
        return self.path_passes is True


class Dialog:
    """One client's session as RFC 5321 (or RFC 2033) sees it."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self.helo = ""
        #: EHLO or LHLO was said, and with it what extensions there are.
        self.extended = False
        self.secure = False
        self.transaction: Transaction | None = None
        self.transactions = 0
        #: How many return paths were looked up.
        self.paths = 0
        #: Who has shown a key.
        self.shown: Shown | None = None
        #: What stands in an AUTH command, to be looked at.
        self.plain: Plain | None = None
        #: What the last BDAT announced, and what is wrong with it apart from its content.
        self.chunk = Chunk(0, last=False)
        self.chunk_fault: Reply | None = None
        greetings: dict[str, Callable[[str], Reply]] = (
            {"LHLO": self._ehlo}  # RFC 2033, section 4.1: in place of HELO and EHLO
            if terms.lmtp
            else {"EHLO": self._ehlo, "HELO": self._helo}
        )
        self._verbs: dict[str, Callable[[str], Reply]] = greetings | {
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "BDAT": self._bdat,
            "RSET": self._rset,
            "NOOP": lambda _: replies.OK,  # RFC 5321, section 4.1.1.9: an argument is ignored
            "QUIT": lambda arg: replies.BAD_ARGUMENT if arg else replies.FAREWELL,
            "VRFY": lambda _: replies.CANNOT_VERIFY,
            "HELP": self._help,
        }
        #: Whose mail a trusted peer brings, as far as it has said.
        self.origin: Origin | None = None
        #: XCLIENT has just said so: the session is that client's from here on.
        self.arrived = False
        #: By which command it says so.
        self._passing: Command | None = None
        if terms.tls:
            self._verbs["STARTTLS"] = self._starttls
        if terms.submission:
            self._verbs["AUTH"] = self._auth

    def answer(self, verb: str, arg: str) -> Reply:
        """The reply to a command. ``verb`` in capitals, ``arg`` the rest of its line."""
        known = self._verbs.get(verb)
        if known is not None:
            return known(arg)
        if verb in _NOT_OFFERED:
            return replies.NOT_OFFERED
        return replies.OTHER_PROTOCOL if verb in _OTHER_PROTOCOL else replies.UNKNOWN_COMMAND

    def passes_on(self, how: str | None) -> None:
        """The client is a peer that may say whose mail it brings."""
        for command in ("XCLIENT", "XFORWARD"):
            self._verbs.pop(command, None)
        self._passing = None
        match how:
            case "xclient":
                self._passing, self._verbs["XCLIENT"] = "XCLIENT", self._xclient
            case "xforward":
                self._passing, self._verbs["XFORWARD"] = "XFORWARD", self._xforward

    def begun(self) -> Transaction:
        """The transaction that content is read for."""
        assert self.transaction is not None  # noqa: S101 - or none would have been asked for
        return self.transaction

    def end(self) -> None:
        """A transaction is over, and with it what was forwarded about it."""
        self.transaction = None
        if self._passing == "XFORWARD":
            self.origin = None

    def secured(self) -> None:
        """TLS has begun: nothing said before it counts (RFC 3207, section 4.2)."""
        self.secure = True
        self.helo = ""
        self.extended = False
        self.origin = None
        self.end()
        self.shown = None

    @property
    def may_authenticate(self) -> bool:
        """Whether a key may be shown: under TLS, or where there is none and nobody listens in."""
        return self._terms.submission and (self.secure or not self._terms.tls)

    # ---- greetings

    def _helo(self, arg: str) -> Reply:
        if not _HOST.fullmatch(arg):
            return replies.BAD_HOST
        self.helo, self.extended = arg, False
        self.end()
        return reply(250, "", self._terms.hostname)

    def _ehlo(self, arg: str) -> Reply:
        if not _HOST.fullmatch(arg):
            return replies.BAD_HOST
        # RFC 5321, section 4.1.4: a later EHLO ends a transaction, as RSET does.
        self.helo, self.extended = arg, True
        self.end()
        lines = [
            self._terms.hostname,
            "PIPELINING",
            f"SIZE {self._terms.max_size}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
            "DSN",
            self._limits(),
        ]
        if not self._terms.lmtp:  # which answers for each recipient by itself
            lines.append("PRDR")
        if self._passing is not None:
            lines.append(offered(self._passing))
        if self.may_authenticate and self.shown is None:
            lines.append("AUTH PLAIN")  # RFC 4954, section 3
        if self._terms.tls and not self.secure:
            lines.append("STARTTLS")  # RFC 3207, section 4.2: not offered again under TLS
        text = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
        return Reply(octets=text.encode("ascii"))

    def _limits(self) -> str:
        """RFC 9422, section 4: so that a client need not find out by being refused.

        How many recipients there may be depends, over SMTP, on whether PRDR is asked for.
        """
        most = f"LIMITS MAILMAX={self._terms.max_transactions}"
        several = self._terms.lmtp or self._terms.submission
        return f"{most} RCPTMAX={self._terms.max_recipients}" if several else most

    def _starttls(self, arg: str) -> Reply:
        if arg:
            return replies.BAD_ARGUMENT
        return replies.SECURE_ALREADY if self.secure else replies.START_TLS

    def _auth(self, arg: str) -> Reply:
        """Take what is shown (RFC 4954, section 4); it is looked at by the session."""
        mechanism, _, response = arg.partition(" ")
        if not self.extended:
            return replies.GREET_FIRST
        if self.shown is not None or self.transaction is not None:
            return replies.NO_AUTH_NOW
        if not self.may_authenticate:
            return replies.NEEDS_TLS
        if mechanism.upper() != "PLAIN":
            return replies.OTHER_MECHANISM
        if not response:
            return replies.SHOW_KEY
        return self.respond(response.strip(" "))

    def respond(self, response: str) -> Reply:
        """Take the answer to a challenge; ``*`` gives up."""
        if response == "*":
            return replies.AUTH_GIVEN_UP
        self.plain = read_plain("" if response == "=" else response)
        return replies.BAD_RESPONSE if self.plain is None else LOOKING

    # ---- a transaction

    def _mail(self, arg: str) -> Reply:
        if not self.helo:
            return replies.LHLO_FIRST if self._terms.lmtp else replies.GREET_FIRST
        if self._terms.submission and self.shown is None:
            return replies.AUTH_FIRST  # RFC 4954, section 6
        if self.transaction is not None:
            return replies.ONE_MAIL
        if self.transactions >= self._terms.max_transactions:
            return replies.TOO_MANY_TRANSACTIONS
        split = read_path(arg, "FROM")
        if split is None:
            return replies.BAD_MAIL
        path, rest = split
        said = self._mail_terms(rest)
        if isinstance(said, Reply):
            return said
        if not said.utf8 and not arg.isascii():
            return replies.NEEDS_SMTPUTF8
        # RFC 5321, section 4.5.5: the null path.
        reverse_path = read_mailbox(path) if path else None
        if path and reverse_path is None:
            return replies.BAD_SENDER
        self.transaction = Transaction(reverse_path, said)
        self.transactions += 1
        return replies.SENDER_TAKEN

    def _mail_terms(self, rest: str) -> MailTerms | Reply:
        """What is asked for at MAIL, or what is wrong with it."""
        if not rest:
            return _NOTHING
        parameters = read_parameters(rest)
        if parameters is None:
            return replies.BAD_PARAMETER
        if parameters and not self.extended:
            return replies.UNKNOWN_PARAMETER
        return read_mail(
            parameters,
            max_size=self._terms.max_size,
            prdr=not self._terms.lmtp,
            submission=self._terms.submission,
        )

    def _rcpt(self, arg: str) -> Reply:
        transaction = self.transaction
        if transaction is None:
            return replies.MAIL_FIRST
        if transaction.chunked:
            return replies.CONTENT_BEGUN
        split = read_path(arg, "TO")
        if split is None:
            return replies.BAD_RCPT
        path, rest = split
        request = self._request(rest, utf8=transaction.terms.utf8) if rest else _NO_REQUEST
        if isinstance(request, Reply):
            return request
        if not transaction.terms.utf8 and not arg.isascii():
            return replies.NEEDS_SMTPUTF8
        if path.lower() == "postmaster":
            # RFC 5321, section 4.1.1.3: it needs no domain.
            address = Address(local=path, domain=self._terms.hostname)
            return self._take(transaction, address, request)
        mailbox = read_mailbox(path)
        if mailbox is None:
            return replies.BAD_RECIPIENT
        if mailbox.domain not in self._terms.domains:
            return replies.NO_RELAY
        return self._take(transaction, mailbox, request)

    def _request(self, rest: str, *, utf8: bool) -> Request | Reply:
        parameters = read_parameters(rest)
        if parameters is None:
            return replies.BAD_PARAMETER
        if not self.extended:
            return replies.UNKNOWN_PARAMETER
        return read_rcpt(parameters, utf8=utf8)

    def _take(self, transaction: Transaction, address: Address, request: Request) -> Reply:
        """Take a recipient of ours, whether or not there is one: nothing is told of that here."""
        if len(transaction.taken) >= self._terms.max_recipients:
            return replies.TOO_MANY_RECIPIENTS  # RFC 5321, section 4.5.3.1.10
        form = str(address).lower()
        first = transaction.recipients.get(form)
        several = self._terms.lmtp or self._terms.submission or transaction.terms.each
        if first is None and transaction.recipients and not several:
            # SMTP has one reply for all recipients, and what it cannot say goes to the return path:
            # only where that is proven. With one recipient every refusal can be told in the reply.
            # Who has shown a key finds in its feed what the one reply cannot say.
            if transaction.path_passes is None and self.paths < _MOST_PATHS:
                return PATH
            if not transaction.path_passes:
                return replies.ONE_RECIPIENT
        together = transaction.terms.each or transaction.one_reply
        if first is None and together and _is_another_spelling(address, transaction):
            # Whether they are one mailbox is nobody's business, and answers side by side tell.
            return replies.ONE_RECIPIENT
        transaction.recipients.setdefault(form, address)
        transaction.taken.append(first or address)
        if first is None and request != _NO_REQUEST:
            transaction.requests[address] = request
        return replies.RECIPIENT_TAKEN

    def _data(self, arg: str) -> Reply:
        if arg:
            return replies.BAD_ARGUMENT
        if self.transaction is None:
            return replies.MAIL_FIRST
        if self.transaction.chunked:
            return replies.CONTENT_BEGUN  # RFC 3030, section 2: not both in one transaction
        if not self.transaction.taken:
            return replies.RCPT_FIRST  # RFC 2033, section 4.2: 503 without any recipient
        return replies.GO_AHEAD

    def _bdat(self, arg: str) -> Reply:
        """A chunk of the content (RFC 3030, section 2), which comes whatever we say to it."""
        match = _CHUNK.fullmatch(arg)
        if match is None:
            return replies.BAD_CHUNK
        self.chunk, self.chunk_fault = Chunk(int(match[1]), last=match[2] is not None), None
        if self.transaction is None:
            self.chunk_fault = replies.MAIL_FIRST
        elif not self.transaction.taken:
            self.chunk_fault = replies.RCPT_FIRST
        else:
            self.transaction.chunked = True
        return CHUNK

    def _rset(self, arg: str) -> Reply:
        if arg:
            return replies.BAD_ARGUMENT
        self.end()
        return replies.OK

    # ---- whose mail a peer brings

    def _xclient(self, arg: str) -> Reply:
        """The session goes on as if this client had just connected."""
        if self.transaction is not None:
            return replies.IN_TRANSACTION
        origin = read_origin("XCLIENT", arg, self.origin or Origin())
        if origin is None:
            return replies.BAD_ORIGIN
        self.origin, self.arrived = origin, True
        self.helo, self.extended, self.shown = "", False, None
        return replies.greeting(self._terms.hostname, lmtp=self._terms.lmtp)

    def _xforward(self, arg: str) -> Reply:
        """Of the next transaction alone; several commands add up."""
        if self.transaction is not None:
            return replies.IN_TRANSACTION
        origin = read_origin("XFORWARD", arg, self.origin or Origin())
        if origin is None:
            return replies.BAD_ORIGIN
        self.origin = origin
        return replies.CLIENT_TAKEN

    def _help(self, _arg: str) -> Reply:
        return reply(214, "2.0.0", "Commands: " + " ".join(self._verbs))


def _is_another_spelling(address: Address, transaction: Transaction) -> bool:
    """Whether an address may be the mailbox of one that was taken: alike up to a plus sign."""
    return any(_without_tag(each) == _without_tag(address) for each in transaction.taken)


def _without_tag(address: Address) -> tuple[str, str]:
    return address.local.partition("+")[0].lower(), address.domain
