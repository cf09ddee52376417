"""A message to be shown: nothing active, nothing from elsewhere, files that are only saved."""

import base64
import re
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest

from letterbox.web.letter import read_letter
from letterbox.web.sanitising import is_too_much, sanitised
from tests.support.api import PEOPLE
from tests.support.hostile import shapes
from tests.support.house import mail, signed
from tests.support.site import open_pages

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ALLOWED = re.compile(r"(?:https?://|mailto:|tel:|data:image/(?:png|gif|jpeg|webp);)")
ADDRESSES = {"href", "src", "action", "background", "poster", "data", "srcset", "ping"}


class Elements(HTMLParser):
    """What there is in HTML, and what each says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, {name: value or "" for name, value in attributes}))


def test_the_table_is_large():
    assert len(set(shapes())) >= 100


@pytest.mark.parametrize("shape", shapes())
def test_hostile_html_is_made_safe(shape):
    clean, _ = sanitised(shape, {})
    for tag, attributes in Elements(clean).found:
        assert tag not in {
            *("script", "style", "iframe", "object", "embed", "link", "meta", "base", "form"),
            *("svg", "math", "input", "button", "video", "audio", "source", "template"),
        }
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ADDRESSES:
                assert re.match(
                    r"(?:https?://|mailto:|tel:|data:image/(?:png|gif|jpeg|webp);)", value
                )
            if name == "style":
                assert not re.search(r"(?i)url|expression|position|\\", value)
            if tag == "img" and name == "src":
                assert value.startswith("data:image/")


def test_pictures_show_where_the_message_brings_them_and_the_others_are_counted():
    html = '<img src="cid:a"><img src="CID:b"><img src="https://x.example/p"><a href="cid:a">x</a>'
    clean, left_out = sanitised(html, {"a": "data:image/png;base64,AA=="})
    assert clean.count("data:image/png") == 1
    assert "cid:" not in clean.lower()
    assert left_out == 1


def test_a_link_opens_elsewhere_and_tells_nobody_where_it_was():
    clean, _ = sanitised('<a href="https://shop.example/" target=_self onclick=x>Shop</a>', {})
    ((_, said),) = Elements(clean).found
    assert said == {
        "href": "https://shop.example/",
        "target": "_blank",
        "rel": "noopener noreferrer nofollow",
    }


@pytest.mark.parametrize("html", ["<div>" * 900, "<b><i>" * 500, "x" * 600_000])
def test_what_would_take_long_is_shown_as_text(html):
    assert is_too_much(html)


def test_ordinary_mail_is_not_too_much():
    assert not is_too_much("<table><tr><td><p>x<br><img></table>" * 5000)


def whole(**changes: str) -> bytes:
    """A mail with HTML, a picture of its own, and files."""
    message = EmailMessage()
    message["From"] = "Shop <shop@greenleaf.example>"
    message["To"] = "anna@letterbox.example"
    message["Subject"] = "Pruners"
    message["Message-ID"] = "<1@greenleaf.example>"
    message["Letterbox-Kind"] = "service"
    message.set_content("Pruners and loppers.")
    html = '<p onclick=x>Hello <img src="cid:one"><img src="https://evil.example/p.gif"></p>'
    message.add_alternative(html, subtype="html")
    part = message.get_payload()[1]
    part.add_related(PIXEL, "image", "png", cid="<one>")
    message.add_attachment(b"<script>alert(1)</script>", "text", "html", filename="../a b.html")
    message.add_attachment(b"%PDF-", "application", "pdf", filename="Rechnung ü.pdf")
    return signed(message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


async def opened(site, content):
    await site.house.send(content, "anna@letterbox.example")
    page = await site.house.app.mailboxes.inbox("anna", after=None, limit=1)
    anna = site.visitor()
    await anna.sign_in("anna")
    return anna, page.items[0].id


async def test_a_message_is_shown_in_a_frame_of_its_own_and_its_files_are_saved():
    async with open_pages() as site:
        anna, name = await opened(site, whole())
        page = (await anna.get(f"/inbox/{name}")).body.decode()
        assert f'src="/inbox/{name}/letter"' in page
        assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
        assert "1 afbeelding" in page
        assert "evil.example" not in page
        frame = await anna.get(f"/inbox/{name}/letter")
        policy = frame.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script" not in policy.replace("allow-popups", "")
        assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
        assert frame.headers["Referrer-Policy"] == "no-referrer"
        assert base64.b64encode(PIXEL) in frame.body
        assert b"evil.example" not in frame.body
        assert b"onclick" not in frame.body
        files = dict(re.findall(r'href="(/inbox/\w+/parts/\d+)" download>([^<]*)<', page))
        kinds = {}
        for path, shown in files.items():
            file = await anna.get(path)
            assert file.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''")
            assert file.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in file.headers["Content-Security-Policy"]
            kinds[shown] = file.headers["Content-Type"]
        assert kinds["-a b.html"] == "application/octet-stream"
        assert kinds["Rechnung ü.pdf"] == "application/pdf"
        for number in ("99", "-1", "x", "1" * 20):
            assert (await anna.get(f"/inbox/{name}/parts/{number}")).status == 404


async def test_a_subject_and_a_name_are_text():
    async with open_pages(PEOPLE) as site:
        subject = "<script>alert(1)</script> & Pruners"
        content = signed(mail(subject, Letterbox_Kind="service"))
        anna, name = await opened(site, content)
        for path in ("/inbox", f"/inbox/{name}"):
            page = (await anna.get(path)).body.decode()
            assert "<script>alert" not in page
            assert "&lt;script&gt;alert(1)" in page


#: Each would be 70,000 elements within one another, and says that it is not.
DISGUISED = [
    "<b></x>",
    "<b><!--</b>-->",
    '<b x="></b>">',
    "<b><table></b></table>",
    "<b><select></b></select>",
    "<b><style></b></style>",
    "<b></ b></b",
    "<b><svg><style></b></style></svg>",
    "<b><!--></b>-->",
    "<li><dd>",
    "</font><li></table><font><dt><option>",
]


@pytest.mark.parametrize("shape", DISGUISED)
def test_how_deep_it_is_cannot_be_hidden(shape):
    assert is_too_much(shape * 3000)


@pytest.mark.parametrize(
    "shape",
    [
        "<div><b>x</b><p>y</div>",
        '<table border=0><tr><td width="9"><a href="x?a>b" title=\'"\'>x</a></table>',
        "<!--[if mso]><table><tr><td><![endif]--><![if !mso]><b>x</b><![endif]><o:p></o:p>",
        "<ul><li>x<li><b>y</b></ul><dl><dt>x<dd>y</dl><ol><li>x</li></ol>",
        "<style>p > b { color: red }</style><DIV>1 < 2<br/></div>",
    ],
)
def test_ordinary_shapes_are_not_too_much_however_many(shape):
    assert not is_too_much(shape * 2000)


@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape"])
def test_half_a_character_is_no_fault_of_ours(charset):
    head = f"Subject: x\r\nContent-Type: text/html; charset={charset}\r\n\r\n"
    shown = read_letter(_Received(), head.encode() + b"<b>\\ud800</b>")
    assert shown.html == "<b>?</b>"


class _Received:
    edge = "smtp"
