"""Handing mail to other servers over SMTP (RFC 5321), with TLS where they offer it."""

import asyncio
import ssl
from asyncio import WriteTransport

import aiosmtplib
import structlog

from letterbox.feedback.letters import ascii_value
from letterbox.model.address import Address
from letterbox.model.network import is_public
from letterbox.ports.courier import Handed, Handover, Letter, Never, NotNow
from letterbox.ports.resolver import RecordType, Resolver, ResolverTrouble
from letterbox.reading.mail import with_crlf

_PORT = 25
#: Hosts of one domain that are tried before it is put off (RFC 5321, section 5.1).
_MOST_HOSTS = 5
#: One address has no more seconds than this while there are others to try.
_ADDRESS_SECONDS = 30.0
#: The addresses share so much of the time: the last one's end is seen before that of the whole.
_OURS = 0.95
_REFUSED = 500
_CLOSING = 421
_OK = 250
_GO_ON = 354
_LONGEST_DETAIL = 300

log = structlog.get_logger("letterbox.mail")


class SmtpCourier:
    """Brings mail to ``relay`` (``host:port``), or where it is empty to the recipient's servers.

    Those are found in the DNS, and are never such as lie in private networks: whoever names one
    there would have us talk to our own machines. A relay may be anywhere. ``hostname`` is ours,
    ``seconds`` bound one letter, and each address has its share of them: one that keeps silent does
    not keep the letter from the next.
    """

    def __init__(self, resolver: Resolver, *, hostname: str, relay: str, seconds: float) -> None:
        self._resolver = resolver
        self._hostname = hostname
        self._relay = relay
        self._seconds = seconds
        # Whom a record of the DNS names cannot be authenticated by its certificate, and in the
        # clear would be worse (RFC 7435).
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    async def hand_on(self, letter: Letter) -> Handover:
        """Hand a letter over. Never raises."""
        try:
            async with asyncio.timeout(self._seconds):
                if self._relay:
                    host, _, port = self._relay.rpartition(":")
                    return await self._speak(host.strip("[]"), int(port), letter)
                return await self._to_its_servers(letter)
        except TimeoutError:
            return NotNow(f"not done within {self._seconds:g} s")
        except ResolverTrouble as trouble:
            return NotNow(_detail(trouble))
        except Exception:
            log.exception("courier-failed")
            return NotNow("a fault of ours")

    async def _to_its_servers(self, letter: Letter) -> Handover:
        until = asyncio.get_running_loop().time() + self._seconds * _OURS
        hosts = (await self._hosts(letter.to.domain))[:_MOST_HOSTS]
        if not hosts:
            return Never("its domain takes no mail")
        outcome: Handover = Never("none of its servers has a public address")
        for tried, host in enumerate(hosts, 1):
            addresses, trouble = await self._addresses(host)
            outcome = _so_far(outcome, trouble)
            for nth, address in enumerate(addresses, 1):
                others = len(hosts) - tried + len(addresses) - nth
                said = await self._speak_in_time(address, letter, until, others)
                if not isinstance(said, NotNow):
                    return said
                outcome = _so_far(outcome, said)
        return outcome

    async def _speak_in_time(
        self, address: str, letter: Letter, until: float, others: int
    ) -> Handover:
        """Speak to one address, and leave time for others that come after it."""
        seconds = until - asyncio.get_running_loop().time()
        if others:
            seconds = min(_ADDRESS_SECONDS, seconds / (others + 1))
        try:
            async with asyncio.timeout(seconds):
                return await self._speak(address, _PORT, letter)
        except TimeoutError:
            return NotNow(f"{address} has not done it within {seconds:.3g} s")

    async def _hosts(self, domain: str) -> list[str]:
        """The servers of a domain, best first (RFC 5321, section 5.1); none for a null MX."""
        answer = await self._resolver.ask(domain, "MX")
        hosts = [host for host in answer.values if isinstance(host, str)]
        if hosts:
            return [host for host in hosts if host != "."]  # RFC 7505: that names nobody
        return [domain] if answer.exists else []

    async def _addresses(self, host: str) -> tuple[list[str], NotNow | None]:
        """The public addresses of a host, and why there may be more."""
        found: list[str] = []
        trouble = None
        records: tuple[RecordType, ...] = ("A", "AAAA")
        for record in records:
            try:
                answer = await self._resolver.ask(host, record)
            except ResolverTrouble as error:
                trouble = NotNow(_detail(error))
            else:
                found += [each for each in answer.values if isinstance(each, str)]
        return [each for each in found if is_public(each)], trouble

    async def _speak(self, host: str, port: int, letter: Letter) -> Handover:
        # An address is connected to, which was looked at; what was said of a name may change.
        client = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            local_hostname=self._hostname,
            timeout=self._seconds,
            tls_context=self._tls,
            start_tls=None,  # where it is offered
        )
        return await transact(client, letter, str(letter.to))


async def transact(client: aiosmtplib.SMTP, letter: Letter, to: str) -> Handover:
    """One transaction on a connection of its own, which is left at the end."""
    path = _path(letter.reverse_path)
    try:
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        options = _options(client, letter, path + to)
        utf8 = "SMTPUTF8" in options
        if utf8 and not client.supports_extension("smtputf8"):
            return Never("it does not offer SMTPUTF8")
        encoding = "utf-8" if utf8 else "ascii"
        await client.mail(path, options=options, encoding=encoding)
        await client.rcpt(to, encoding=encoding)
        reply = await send_content(client, letter.content, client.timeout)
    except aiosmtplib.SMTPConnectResponseError as closed:
        # Who greets so takes nothing from anybody now; of this letter it has said nothing.
        return NotNow(_detail(f"{closed.code} {closed.message}"))
    except aiosmtplib.SMTPResponseException as refused:
        return _refused(refused)
    except (aiosmtplib.SMTPException, OSError) as trouble:
        return NotNow(_detail(trouble))
    finally:
        leave(client)
    return Handed(_detail(reply.message))


async def send_content(
    client: aiosmtplib.SMTP, content: bytes, seconds: float | None
) -> aiosmtplib.SMTPResponse:
    """DATA, and a content of lines; its answer, which takes ``seconds`` at most.

    The library's own does it with regular expressions, for which everybody waits a second where a
    message is large. Raises as that does, and leaves the connection to the caller.
    """
    start = await client.execute_command(b"DATA")
    if start.code != _GO_ON:
        raise aiosmtplib.SMTPDataError(start.code, start.message)
    protocol = client.protocol
    if protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    protocol.write(_stuffed(content))
    reply = await protocol.read_response(seconds)
    if reply.code != _OK:
        raise aiosmtplib.SMTPDataError(reply.code, reply.message)
    return reply


def _stuffed(content: bytes) -> bytes:
    """A content as it is sent (RFC 5321, sections 2.3.8 and 4.5.2), with its end."""
    if not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
        content = with_crlf(content)
    end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    first = b"." if content.startswith(b".") else b""
    return b"".join((first, content.replace(b"\r\n.", b"\r\n.."), end))


def leave(client: aiosmtplib.SMTP) -> None:
    """Close a connection, and say so where all that was said before has gone out.

    What its server has not read is not kept for it: it may never read it.
    """
    protocol, transport = client.protocol, client.transport
    if protocol is not None and protocol.is_connected and isinstance(transport, WriteTransport):
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            protocol.write(b"QUIT\r\n")  # whose answer would be waited for by nobody
    client.close()


def _path(address: Address | None) -> str:
    return str(address) if address else ""


def _options(client: aiosmtplib.SMTP, letter: Letter, addresses: str) -> list[str]:
    """What is said of a letter that is not in ASCII.

    An address that is not asks for a server that speaks it (RFC 6531, section 3.4). Fields and
    bodies that are not are declared where that can be (RFC 6152), and handed on as they came where
    it cannot: to write them anew would break their signatures.
    """
    options = []
    if client.supports_extension("size"):
        options.append(f"SIZE={len(letter.content)}")  # RFC 1870, section 6
    if not letter.content.isascii() and client.supports_extension("8bitmime"):
        options.append("BODY=8BITMIME")
    header = letter.content.partition(b"\r\n\r\n")[0]
    if not addresses.isascii() or (not header.isascii() and client.supports_extension("smtputf8")):
        options.append("SMTPUTF8")
    return options


def _so_far(before: Handover, said: NotNow | None) -> Handover:
    """What is known of a domain: that one server listens is not unsaid by one that does not."""
    listens = isinstance(before, NotNow) and before.alone
    return before if listens or said is None else said


def _refused(reply: aiosmtplib.SMTPResponseException) -> Handover:
    detail = _detail(f"{reply.code} {reply.message}")
    if reply.code >= _REFUSED:
        return Never(detail)
    about_it = (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError)
    return NotNow(detail, alone=isinstance(reply, about_it) and reply.code != _CLOSING)


def _detail(said: object) -> str:
    """What another server said, fit for a log."""
    return ascii_value(str(said), _LONGEST_DETAIL)
