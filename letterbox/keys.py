"""The installation's own keys, read from where the configuration has them."""

from pathlib import Path

from letterbox.identity.signing import OwnSigner
from letterbox.model.configuration import Configuration


def own_signer(configuration: Configuration) -> OwnSigner | None:
    """What signs mail that leaves us, where a key is configured."""
    section = configuration.outbound.dkim
    if not section.key:
        return None
    domain = section.domain or configuration.hostname
    return OwnSigner(domain, section.selector, Path(section.key).read_bytes())
