"""Who wrote a message that came with a vendor's key."""

from letterbox.identity.key import by_key, not_yours
from letterbox.identity.prover import Proof
from letterbox.model.preferences import Vendor
from letterbox.model.sender import Proven
from letterbox.reading.mail import Mail
from letterbox.records.vendors import Vendors


async def proven_by_key(mail: Mail, vendor: Vendor, hostname: str, vendors: Vendors) -> Proof:
    """Prove the author by the key that was shown; ``hostname`` is our own.

    A domain below one of theirs may be another vendor's: the nearest claim holds. Our own name is
    every vendor's, whoever has a domain above it.
    """
    proof = by_key(mail, vendor, hostname)
    if isinstance(proof.sender, Proven) and proof.sender.domain != hostname:
        nearest = (await vendors.holder(proof.sender.domain)).vendor
        if nearest not in {"", vendor.id}:
            return not_yours(proof, vendor)
    return proof
