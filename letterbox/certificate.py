"""Our certificate, as it stands in its files now: renewed ones are used without a restart."""

import ssl
from pathlib import Path

import structlog
from cryptography import x509

from letterbox.metrics import Metrics
from letterbox.model.configuration import TlsSection

log = structlog.get_logger("letterbox.tls")

_Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """A chain and its key (PEM). Looked at again whenever TLS begins.

    Files that do not go together, as in the midst of a renewal, change nothing: what was read
    before is shown until they do. Raises OSError or ssl.SSLError where they never did.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._stamp = self._stamped()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """The certificate, ready to be shown."""
        try:
            stamp = self._stamped()
            if stamp != self._stamp:
                self._stamp = stamp
                self._context = self._read()
                log.info("certificate-read", file=str(self._chain))
        except OSError as error:  # ssl.SSLError is one
            log.error("certificate-not-read", file=str(self._chain), error=str(error))  # noqa: TRY400
        return self._context

    def ends(self) -> float:
        """When the one that is shown ends, in seconds since 1970; 0 where that cannot be told."""
        self.context()
        return self._ends

    def _stamped(self) -> _Stamp:
        found = (self._chain.stat(), self._key.stat())
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._chain, self._key)
        # Where TLS comes first the context is fixed when the port opens; this looks again.
        context.sni_callback = self._show_newest
        self._ends = _end_of(self._chain)
        return context

    def _show_newest(
        self, connection: ssl.SSLObject, _name: str | None, context: ssl.SSLContext
    ) -> None:
        newest = self.context()
        if newest is not context:
            connection.context = newest


def _end_of(chain: Path) -> float:
    """0 where it cannot be told: what TLS takes as it is must not fail for a number."""
    try:
        own = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    except ValueError:
        return 0.0
    return own.not_valid_after_utc.timestamp()


def certificate_of(section: TlsSection, metrics: Metrics) -> Certificate | None:
    """The certificate that is configured, and its end among the metrics; None where none is."""
    if not section.certificate:
        return None
    certificate = Certificate(Path(section.certificate), Path(section.key))
    metrics.certificate_expiry.set_function(certificate.ends)
    return certificate
