"""The names that wishes use for the other side, as they are compared."""

from letterbox.model.address import fold_domain, parse_address
from letterbox.model.preferences import VendorRule


def name_of(vendor: str) -> str:
    """A vendor id or domain as it is compared."""
    return fold_domain(vendor) or vendor.casefold()


def mailbox_of(address: str) -> str:
    """An address as it is compared: without case and subaddress."""
    parsed = parse_address(address)
    return str(parsed.mailbox) if parsed else address.casefold()


def other_side(rule: VendorRule) -> str:
    """Whom a relationship is with, as one word that no other relationship has."""
    return mailbox_of(rule.address) if rule.address else name_of(rule.key)
