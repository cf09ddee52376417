"""What makes two arrivals the same message: the name of the claim that keeps it single."""

import re
from hashlib import sha256

from letterbox.model.address import Address
from letterbox.reading.mail import Mail

#: What stands for the header where no signature says which fields matter.
_IDENTIFYING = frozenset(("from", "to", "subject", "date", "message-id"))
_SPACE = re.compile(rb"[ \t\r\n]+")


def digest(mail: Mail, signed: frozenset[str]) -> bytes:
    """SHA-256 over the body and the signed header fields (without a signature: the usual five).

    Space within fields counts as one, so that a relay that folds anew sends the same message.
    """
    fields = signed or _IDENTIFYING
    said = [
        # The length keeps two fields from reading as one.
        b"%s:%d:%s\n" % (name.encode(), len(value), value)
        for name in sorted(fields)
        for value in (_SPACE.sub(b" ", field.value).strip() for field in mail.all(name))
    ]
    hashed = sha256(b"".join(said))
    hashed.update(memoryview(mail.raw)[mail.header.body_at :])
    return hashed.digest()


def claim_name(domain: str, message_id: str | None, content: bytes, recipient: Address) -> str:
    """The name of the once-only claim: of 64 hexadecimal digits, whatever goes in.

    ``content`` is the message's :func:`digest`; ``domain`` the proven sender's.
    """
    parts = (domain, message_id or "", content.hex(), str(recipient))
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
