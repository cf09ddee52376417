"""What the transport said about a message, apart from its content."""

from typing import Literal

import msgspec

from letterbox.model.address import Address

#: How a message comes in. ``submission`` is SMTP with AUTH (RFC 6409); ``filter`` is SMTP between
#: two mail servers, the second of which is handed what is delivered.
Edge = Literal["smtp", "lmtp", "http", "submission", "filter"]


class Client(msgspec.Struct, frozen=True):
    """The connecting peer: ``address`` is its IP address, ``helo`` the name it gave."""

    address: str
    helo: str = ""
    #: A peer of ``smtp.trusted_peers`` that has proven the author already.
    asserts_from: bool = False
    #: A peer of ``smtp.trusted_peers``: what it found itself may be read (RFC 8601).
    trusted: bool = False
    #: An inner relay that hides the real client: refusals through it stay undetailed.
    inner: bool = False


#: When a sender wants a report about a recipient (RFC 3461, section 4.1).
Notify = Literal["success", "failure", "delay"]
#: How much of a message a report of its failure brings back (RFC 3461, section 4.3).
Returns = Literal["FULL", "HDRS"]


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a sender asked of reports about one recipient (RFC 3461).

    ``original`` is the recipient as it was first written, ``type;address``; ``notify`` when a
    report is wanted: empty for never, None where nothing was said.
    """

    original: str | None = None
    notify: tuple[Notify, ...] | None = None


class Envelope(msgspec.Struct, frozen=True):
    """One transaction. ``reverse_path`` None is the null return path (RFC 5321, section 4.5.5)."""

    session: str
    edge: Edge
    client: Client
    reverse_path: Address | None
    recipients: tuple[Address, ...]
    #: The sender's own name for the transaction, to be given back in reports (RFC 3461).
    envelope_id: str | None = None
    #: What was asked of reports, about those recipients with whom anything was.
    requests: dict[Address, Request] = {}
    #: One reply stands for all recipients; what it cannot say is reported to the return path.
    one_reply: bool = False
    #: The client has announced what is beyond ASCII (RFC 6531), and what a report brings back.
    utf8: bool = False
    returns: Returns | None = None
