"""What is answered to each command, and what it changes. Pure: the wire is elsewhere."""

import re
from collections.abc import Callable

import msgspec

from letterbox.gateways.smtp import replies
from letterbox.gateways.smtp.auth import LOOKING, Plain, read_plain
from letterbox.gateways.smtp.replies import Reply, reply
from letterbox.gateways.smtp.syntax import read_mailbox, read_parameters, read_path
from letterbox.intake.submitters import Shown
from letterbox.model.address import Address

# What a host calls itself goes to a log line and into SPF: one printable word.
_HOST = re.compile(r"[!-~]{1,255}")
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870, section 5
# Known to RFC 5321 and its extensions, and not offered.
_NOT_OFFERED = frozenset({"EXPN", "TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML", "AUTH", "BDAT"})
# A browser or another client of HTTP has been talked into speaking to us.
_OTHER_PROTOCOL = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "HOST:"})
#: RFC 2920, section 3.1, and RFC 3207, section 4: nothing may be sent behind these before their
#: reply, since it decides about what follows.
LAST_IN_GROUP = frozenset({"EHLO", "HELO", "LHLO", "DATA", "STARTTLS", "AUTH"})


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


class Transaction:
    """From MAIL to the end of the content."""

    def __init__(self, reverse_path: Address | None, *, utf8: bool) -> None:
        self.reverse_path = reverse_path
        self.utf8 = utf8
        #: Each recipient once, as first written, by its form without case.
        self.recipients: dict[str, Address] = {}
        #: One entry for each RCPT that was taken, in their order.
        self.taken: list[Address] = []


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
        #: Who has shown a key.
        self.shown: Shown | None = None
        #: What stands in an AUTH command, to be looked at.
        self.plain: Plain | None = None
        greetings: dict[str, Callable[[str], Reply]] = (
            {"LHLO": self._ehlo}  # RFC 2033, section 4.1: in place of HELO and EHLO
            if terms.lmtp
            else {"EHLO": self._ehlo, "HELO": self._helo}
        )
        self._verbs: dict[str, Callable[[str], Reply]] = greetings | {
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": lambda _: replies.OK,  # RFC 5321, section 4.1.1.9: an argument is ignored
            "QUIT": lambda arg: replies.BAD_ARGUMENT if arg else replies.FAREWELL,
            "VRFY": lambda _: replies.CANNOT_VERIFY,
            "HELP": self._help,
        }
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

    def secured(self) -> None:
        """TLS has begun: nothing said before it counts (RFC 3207, section 4.2)."""
        self.secure = True
        self.helo = ""
        self.extended = False
        self.transaction = None
        self.shown = None

    @property
    def may_authenticate(self) -> bool:
        """Whether a key may be shown: under TLS, or where there is none and nobody listens in."""
        return self._terms.submission and (self.secure or not self._terms.tls)

    # ---- greetings

    def _helo(self, arg: str) -> Reply:
        if not _HOST.fullmatch(arg):
            return replies.BAD_HOST
        self.helo, self.extended, self.transaction = arg, False, None
        return reply(250, "", self._terms.hostname)

    def _ehlo(self, arg: str) -> Reply:
        if not _HOST.fullmatch(arg):
            return replies.BAD_HOST
        # RFC 5321, section 4.1.4: a later EHLO ends a transaction, as RSET does.
        self.helo, self.extended, self.transaction = arg, True, None
        lines = [
            self._terms.hostname,
            "PIPELINING",
            f"SIZE {self._terms.max_size}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
        ]
        if self.may_authenticate and self.shown is None:
            lines.append("AUTH PLAIN")  # RFC 4954, section 3
        if self._terms.tls and not self.secure:
            lines.append("STARTTLS")  # RFC 3207, section 4.2: not offered again under TLS
        text = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
        return Reply(octets=text.encode("ascii"))

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
        parameters = read_parameters(rest)
        if parameters is None:
            return replies.BAD_PARAMETER
        if parameters and (fault := self._mail_parameters(parameters)):
            return fault
        utf8 = "SMTPUTF8" in parameters
        if not utf8 and not path.isascii():
            return replies.NEEDS_SMTPUTF8
        # RFC 5321, section 4.5.5: the null path.
        reverse_path = read_mailbox(path) if path else None
        if path and reverse_path is None:
            return replies.BAD_SENDER
        self.transaction = Transaction(reverse_path, utf8=utf8)
        self.transactions += 1
        return replies.SENDER_TAKEN

    def _mail_parameters(self, parameters: dict[str, str | None]) -> Reply | None:
        """What is wrong with the parameters, or None."""
        if not self.extended:
            return replies.UNKNOWN_PARAMETER
        for keyword, value in parameters.items():
            match keyword:
                case "SIZE":
                    if value is None or not _SIZE.fullmatch(value):
                        return replies.BAD_PARAMETER
                    if int(value) > self._terms.max_size:
                        return replies.too_large(self._terms.max_size)  # RFC 1870, section 6.1
                case "BODY":  # RFC 6152, section 3
                    if value is None or value.upper() not in ("7BIT", "8BITMIME"):
                        return replies.BAD_PARAMETER
                case "SMTPUTF8":  # RFC 6531, section 3.4: without a value
                    if value is not None:
                        return replies.BAD_PARAMETER
                case "AUTH" if self._terms.submission and value:
                    pass  # RFC 4954, section 5: whoever it names is not believed
                case _:
                    return replies.UNKNOWN_PARAMETER
        return None

    def _rcpt(self, arg: str) -> Reply:
        transaction = self.transaction
        if transaction is None:
            return replies.MAIL_FIRST
        split = read_path(arg, "TO")
        if split is None:
            return replies.BAD_RCPT
        path, rest = split
        if rest:
            parameters = read_parameters(rest)
            return replies.BAD_PARAMETER if parameters is None else replies.UNKNOWN_PARAMETER
        if not transaction.utf8 and not path.isascii():
            return replies.NEEDS_SMTPUTF8
        if path.lower() == "postmaster":
            # RFC 5321, section 4.1.1.3: it needs no domain.
            return self._take(transaction, Address(local=path, domain=self._terms.hostname))
        address = read_mailbox(path)
        if address is None:
            return replies.BAD_RECIPIENT
        if address.domain not in self._terms.domains:
            return replies.NO_RELAY
        return self._take(transaction, address)

    def _take(self, transaction: Transaction, address: Address) -> Reply:
        """Take a recipient of ours, whether or not there is one: nothing is told of that here."""
        if len(transaction.taken) >= self._terms.max_recipients:
            return replies.TOO_MANY_RECIPIENTS  # RFC 5321, section 4.5.3.1.10
        form = str(address).lower()
        first = transaction.recipients.get(form)
        several = self._terms.lmtp or self._terms.submission
        if first is None and transaction.recipients and not several:
            # SMTP has one reply for all recipients. With one of them, every refusal can be told
            # in it, and none needs a report to a sender who may be forged. Who has shown a key
            # finds in its feed what the one reply cannot say.
            return replies.ONE_RECIPIENT
        transaction.recipients.setdefault(form, address)
        transaction.taken.append(first or address)
        return replies.RECIPIENT_TAKEN

    def _data(self, arg: str) -> Reply:
        if arg:
            return replies.BAD_ARGUMENT
        if self.transaction is None:
            return replies.MAIL_FIRST
        if not self.transaction.taken:
            return replies.RCPT_FIRST  # RFC 2033, section 4.2: 503 without any recipient
        return replies.GO_AHEAD

    def _rset(self, arg: str) -> Reply:
        if arg:
            return replies.BAD_ARGUMENT
        self.transaction = None
        return replies.OK

    def _help(self, _arg: str) -> Reply:
        return reply(214, "2.0.0", "Commands: " + " ".join(self._verbs))
