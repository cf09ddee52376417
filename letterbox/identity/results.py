"""What was found, in the words of RFC 8601."""

from collections.abc import Sequence

from letterbox.identity.dkim import Verified
from letterbox.identity.spf import Spf

_MOST = 900  # octets of the value: it stays within one line of a header (RFC 5322, 2.1.1)


def authentication_results(
    server: str,
    spf: Spf | None = None,
    dkim: Sequence[Verified] | None = None,
    dmarc: str | None = None,
    *,
    arc: str | None = None,
    otherwise: str = "",
) -> str:
    """Return the value of an Authentication-Results field, on one line, in ASCII.

    ``server`` is our own id; ``dmarc`` a result with its property; ``arc`` what became of a chain
    (RFC 8617, section 10.1); ``otherwise`` says as a comment how the author was proven where
    nothing was looked at. Only folded domains, selectors and words of ours stand in it, never
    what a stranger wrote. What would make the line too long is left out.
    """
    parts = []
    if spf:
        at = "smtp.mailfrom" if spf.identity == "mailfrom" else "smtp.helo"
        parts.append(f"spf={spf.result}" + (f" {at}={spf.domain}" if spf.domain else ""))
    if dmarc:
        parts.append(dmarc)
    # There is no registered word for a resolver's trouble; such a message is deferred anyhow.
    if arc in ("none", "pass", "fail"):
        parts.append(f"arc={arc}")
    if dkim is not None:
        parts.extend(_signature(verified) for verified in dkim)
        if not dkim:
            parts.append("dkim=none")
    text = server
    # RFC 8601, section 2.2: a result names a method, and ours is none of those registered.
    nothing = f"none ({otherwise})" if otherwise else "none"
    for part in parts or [nothing]:
        if len(text) + len(part) + 2 <= _MOST:
            text += f"; {part}"
    return text


def _signature(verified: Verified) -> str:
    text = f"dkim={verified.status}"
    if verified.domain:
        text += f" header.d={verified.domain}"
    if verified.selector:
        text += f" header.s={verified.selector}"
    return text
