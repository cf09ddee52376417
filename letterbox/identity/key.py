"""A sender who showed a vendor's key: proven, as long as the author is the vendor's own."""

import msgspec

from letterbox.identity.prover import NO_SPF, Proof
from letterbox.identity.results import authentication_results
from letterbox.model.address import is_below
from letterbox.model.preferences import Vendor
from letterbox.model.sender import Proven, Stranger
from letterbox.reading.header import Ambiguous, author
from letterbox.reading.mail import Mail


def by_key(mail: Mail, vendor: Vendor, server: str) -> Proof:
    """Prove the author of a message that came with a key of ``vendor``'s (RFC 6409, section 6.1).

    The author must be of the vendor's own domains, or the address we write API messages under.
    """
    sender = _author(mail, vendor, server)
    how = "" if isinstance(sender, Stranger) else "the author is proven by the vendor's API key"
    results = authentication_results(server, otherwise=how)
    return Proof(sender=sender, spf=NO_SPF, results=results)


def _author(mail: Mail, vendor: Vendor, server: str) -> Proven | Stranger:
    found = author(mail)
    if isinstance(found, Ambiguous):
        return Stranger(why="author-ambiguous", detail=found.why)
    address = found.address
    own = (vendor.id, server) == (address.local, address.domain)
    # Below our own name is every vendor's address, also where one of them has the domain above.
    ours = address.domain == server
    if not own and (
        ours or not any(is_below(address.domain, domain) for domain in vendor.own_domains)
    ):
        return _foreign(vendor, address.domain)
    return Proven(domain=address.domain, how="key", author=address, vendor=vendor.id)


def not_yours(proof: Proof, vendor: Vendor) -> Proof:
    """The proof of a key where the author's domain turns out to be another vendor's."""
    if not isinstance(proof.sender, Proven):
        return proof
    foreign = _foreign(vendor, proof.sender.domain)
    return msgspec.structs.replace(proof, sender=foreign, results="")


def _foreign(vendor: Vendor, domain: str) -> Stranger:
    detail = f"{vendor.id} wrote as {domain}"
    return Stranger(why="author-not-yours", detail=detail, domain=domain)
