"""HTML of others made safe to be shown: nothing active, nothing from elsewhere."""

import re
from collections.abc import Mapping
from typing import Final

import nh3

#: Pictures that a message may bring.
PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: HTML beyond this is shown as text; mailbox programs cut it off at about 100 KB.
_MOST: Final = 512 * 1024
#: Elements within one another. A parser's time grows with the square of them; mail has some 40.
_DEEPEST: Final = 800
_DATA: Final = re.compile(r"(?i)data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][^\s/>\"'<]*)")
#: A tag, and what is none, that cannot be read in another way.
_WHOLE: Final = re.compile(
    _TAG.pattern + r"""(?:\s+[^\s"'<>/=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=`]+))?)*\s*/?>"""
)
_COMMENT: Final = re.compile(r"<!--(?!-?>)(?:(?!--!?>).)*-->|<[!?](?!--)[^>]*>", re.DOTALL)
#: What a style would fetch, or hide behind escapes.
_ADDRESS: Final = re.compile(r"(?i)\\|(?:url|image|image-set|src|expression)\s*\(")
#: They hold nothing, or are closed by what follows.
_SHALLOW: Final = _words(
    """area base br col embed hr img input link meta param source track wbr option p
    td th tr tbody thead tfoot colgroup"""
)
_TAGS: Final = _words(
    """a abbr address article b bdi bdo big blockquote br caption center cite code col colgroup dd
    del dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd
    li main mark ol p pre q s samp section small span strike strong sub sup table tbody td tfoot
    th thead tr tt u ul var wbr"""
)
#: They go with all that is in them.
_CUT: Final = _words(
    """script style title noscript template iframe object embed applet svg math select textarea
    noembed noframes xmp plaintext frameset"""
)
_LISTS: Final = _words("dl ol ul")
#: They need no end: one of these ends them, or the end of their list.
_ENDED: Final[Mapping[str, frozenset[str]]] = {
    "li": _words("li"),
    "dt": _words("dt dd"),
    "dd": _words("dt dd"),
}
#: What is in them is text; and what is in these is read by rules of their own.
_TEXT: Final = _words("style title")
_OTHERWISE: Final = _CUT - _TEXT
_ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "*": _words("align bgcolor dir height lang valign width style"),
    "a": _words("href title"),
    "img": _words("src alt title"),
    "td": _words("colspan rowspan nowrap"),
    "th": _words("colspan rowspan nowrap scope"),
    "table": _words("border cellpadding cellspacing"),
    "font": _words("color face size"),
    "ol": _words("start type"),
}
#: Nothing that places an element elsewhere, or names an address.
_STYLES: Final = _words(
    """background-color border border-bottom border-collapse border-color border-left
    border-radius border-right border-spacing border-style border-top border-width color direction
    display font font-family font-size font-style font-weight height letter-spacing line-height
    margin margin-bottom margin-left margin-right margin-top max-width min-width padding
    padding-bottom padding-left padding-right padding-top text-align text-decoration text-indent
    text-transform vertical-align white-space width word-break"""
)


def is_too_much(html: str) -> bool:
    """Whether HTML is so large or so deep that it would take long to make safe."""
    if len(html) > _MOST:
        return True
    # An end counts where it ends the last thing that began, and nothing before it could be read
    # in another way: else nobody knew how deep it is.
    within: list[str] = []
    at, certain = 0, True
    while (at := html.find("<", at)) >= 0:
        if certain and (comment := _COMMENT.match(html, at)):
            at = comment.end()
            continue
        whole = _WHOLE.match(html, at) if certain else None
        tag = whole or _TAG.match(html, at)
        if tag is None:
            certain = certain and html[at + 1 : at + 2] not in set("!?/")
            at += 1
            continue
        at, name = tag.end(), tag[2].lower()
        certain = whole is not None and name not in _OTHERWISE
        if name in _SHALLOW:
            continue
        ended = _ENDED.get(within[-1], frozenset()) if within else frozenset[str]()
        if not tag[1]:
            if certain and name in ended:
                within.pop()
            within.append(name)
            if name in _TEXT:
                end = re.compile(f"</{name}", re.IGNORECASE).search(html, at)
                certain, at = certain and end is not None, end.start() if end else at
        elif certain and within[-1:] == [name]:
            within.pop()
        elif certain and ended and name in _LISTS and within[-2:-1] == [name]:
            del within[-2:]
        if len(within) > _DEEPEST:
            return True
    return False


def sanitised(html: str, pictures: Mapping[str, str]) -> tuple[str, int]:
    """HTML with nothing active and nothing from elsewhere, and how many pictures that leaves out.

    ``pictures`` are those that the message brings, as ``data:`` addresses by Content-ID.
    """
    left_out = 0

    def keep(tag: str, attribute: str, value: str) -> str | None:
        nonlocal left_out
        match tag, attribute:
            case "img", "src":
                if value[:4].lower() == "cid:":
                    return pictures.get(value[4:].strip())
                if _DATA.fullmatch(value):
                    return value
                left_out += 1
                return None
            case _, "style":
                return None if _ADDRESS.search(value) else value
            case _, "href":
                return None if value.strip().lower().startswith(("data:", "cid:")) else value
            case _:
                return value

    clean = nh3.clean(
        html,
        tags=set(_TAGS),
        clean_content_tags=set(_CUT),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=keep,
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        url_relative="deny",
        filter_style_properties=set(_STYLES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return clean, left_out
