"""Received bytes, read the way they came in."""

import re

from letterbox.model.envelope import Edge
from letterbox.reading.mail import Limits, Mail, split
from letterbox.reading.mime import check_shape

_LINE_END = re.compile(rb"\r\n|\r|\n")


def read_content(edge: Edge, content: bytes, limits: Limits) -> Mail:
    """A message within limits of form. Raises ``Malformed``.

    Over HTTP lines may end in LF alone: stored as received, read and proven as CRLF, which is
    what they would be on the wire (RFC 5322, section 2.1).
    """
    if edge == "http":
        content = _LINE_END.sub(b"\r\n", content)
    mail = split(content, limits)
    check_shape(mail, limits)
    return mail
