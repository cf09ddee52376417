"""``tag=value; tag=value`` lists, as DKIM and DMARC write them (RFC 6376, section 3.2). Pure."""

import re

_SPACE = " \t\r\n"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class BadTags(Exception):
    """Not a tag list, or a tag stands twice."""


def read_tags(text: bytes) -> dict[str, str]:
    """Read a list, in its order, space around names and values removed.

    Raises :class:`BadTags`. Values keep the space within them.
    """
    try:
        pieces = text.decode("utf-8").split(";")
    except UnicodeDecodeError as error:
        raise BadTags("it is neither ASCII nor UTF-8") from error
    if not pieces[-1].strip(_SPACE):
        pieces.pop()
    tags: dict[str, str] = {}
    for piece in pieces:
        name, equals, value = piece.partition("=")
        name = name.strip(_SPACE)
        if not equals or not _NAME.fullmatch(name):
            raise BadTags("a tag has no name or no value")
        if name in tags:
            raise BadTags(f"the tag {name[:20]} stands twice")
        tags[name] = value.strip(_SPACE)
    return tags
