"""A certificate that is renewed while the server runs."""

import asyncio
import ssl

import pytest
from cryptography import x509

from letterbox.certificate import Certificate, certificate_of
from letterbox.gateways.smtp import SmtpGateway
from letterbox.metrics import Metrics
from letterbox.model.configuration import SmtpSection, TlsSection
from tests.support.house import open_house
from tests.support.tls import make_chain
from tests.support.wire import HOST, StubIntake, StubPaths, Wire, on_both_loops

PATIENCE = 20
NAME = "letterbox_certificate_expiry_timestamp_seconds"


async def shown(address: str, *, starttls: bool, names: bool) -> bytes:
    """The certificate that a client is shown (DER)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, _, port = address.rpartition(":")
    name = HOST if names else ""
    if starttls:
        reader, writer = await asyncio.open_connection(host, int(port))
        wire = Wire(reader, writer)
        await wire.reply()
        await wire.say("EHLO client.example")
        assert (await wire.say("STARTTLS")).startswith("220")
        await writer.start_tls(context, server_hostname=name)
    else:
        reader, writer = await asyncio.open_connection(
            host, int(port), ssl=context, server_hostname=name
        )
        await asyncio.wait_for(reader.readline(), PATIENCE)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    return found


class NoKeys:
    """Nobody ever shows one here."""


@on_both_loops
@pytest.mark.parametrize("starttls", [True, False], ids=["starttls", "tls-first"])
@pytest.mark.parametrize("names", [True, False], ids=["sni", "no-sni"])
async def test_the_renewed_one_is_shown_without_a_restart(tmp_path, starttls, names):
    chain = make_chain(tmp_path)
    certificate = certificate_of(TlsSection(certificate=str(chain), key=str(chain)), Metrics())
    async with open_house() as house:
        gateway = SmtpGateway(
            StubIntake(),
            paths=StubPaths(),
            hostname=HOST,
            domains=frozenset({HOST}),
            section=SmtpSection(),
            clock=house.clock,
            metrics=house.app.metrics,
            certificate=certificate.context,
            tls=not starttls,
            keys=None if starttls else NoKeys(),
        )
        address = await gateway.start("127.0.0.1:0")
        first = await shown(address, starttls=starttls, names=names)
        assert await shown(address, starttls=starttls, names=names) == first
        whole = chain.read_bytes()
        # In the midst of a renewal: the old one goes on.
        chain.write_bytes(whole[: len(whole) // 2])
        assert await shown(address, starttls=starttls, names=names) == first
        chain.unlink()
        assert await shown(address, starttls=starttls, names=names) == first
        make_chain(tmp_path)
        second = await shown(address, starttls=starttls, names=names)
        assert second != first
        await gateway.close()


def test_its_end_is_among_the_numbers_and_follows_a_renewal(tmp_path):
    def told():
        (line,) = [line for line in metrics.text().decode().splitlines() if line.startswith(NAME)]
        return float(line.split()[1])

    metrics = Metrics()
    assert told() == 0
    chain = make_chain(tmp_path, days=3)
    certificate_of(TlsSection(certificate=str(chain), key=str(chain)), metrics)
    first = told()
    assert first == end_of(chain)
    make_chain(tmp_path, days=60)
    assert told() == end_of(chain) > first
    # Half of one is not shown: what counts is the one that is.
    chain.write_bytes(chain.read_bytes()[:200])
    assert told() > first


def end_of(chain):
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    return certificate.not_valid_after_utc.timestamp()


def test_one_that_never_was_good_is_said_at_once(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Certificate(tmp_path / "no.pem", tmp_path / "no.pem")
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        Certificate(tmp_path / "bad.pem", tmp_path / "bad.pem")
    assert certificate_of(TlsSection(), Metrics()) is None
