"""Received bytes, read the way they came in."""

from letterbox.model.envelope import Edge
from letterbox.reading.mail import Limits, Mail, split, with_crlf
from letterbox.reading.mime import check_shape


def read_content(edge: Edge, content: bytes, limits: Limits) -> Mail:
    """A message within limits of form. Raises ``Malformed``.

    Over HTTP lines may end in LF or CR alone: stored as received, read and proven as CRLF, which is
    what they would be on the wire (RFC 5322, section 2.1).
    """
    if edge == "http":
        content = with_crlf(content)
    return check_shape(split(content, limits), limits)
