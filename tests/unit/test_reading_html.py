"""Text out of HTML, in bounded work."""

import pytest

from letterbox.reading.html import structured_in, text_of


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<p>one</p><p>two</p>", ["one", "two"]),
        ("one<br>two<BR/>three", ["one", "two", "three"]),
        ("<td>one</td><td>two</td>", ["one", "two"]),
        ("snoei<b>schaar</b> <span style='x'>nu</span>", ["snoeischaar", "nu"]),
        ("<blink>a</blink>b", ["a", "b"]),
        ("<STYLE>p{}</STYLE>a<style media='x'>b{}</style>", ["a"]),
        ("a<script>var b='<p>'</script>c", ["a", "c"]),
        ("<head><title>t</title></head>a", ["a"]),
        ("a<!-- b > c -->d", ["a", "d"]),
        ("a<!--[if mso]><td>b</td><![endif]-->c", ["a", "c"]),
        ("<![if !mso]>a<![endif]>", ["a"]),
        ("a<!-- never ended", ["a"]),
        ("a<style>never ended", ["a"]),
        ("a<p never ended", ["a"]),
        ("a<b never ended", ["a"]),
        ("<scripted>a</scripted>", ["a"]),
        ("1 < 2 <3", ["1", "<", "2", "<3"]),
        ("&euro;&nbsp;10 &amp; &lt;p&gt;", ["€", "10", "&", "<p>"]),
        ("caf&eacute caf&#233; caf&#xE9;", ["café"] * 3),
        ("&unheardof; &#0; &#xD800; &#1114112; &#146;", ["&unheardof;", *["\ufffd"] * 3, "\u2019"]),
        ("&#" + "9" * 5000 + ";", None),
        ("", []),
    ],
)
def test_what_a_reader_sees(html, words):
    text = text_of(html.encode())
    assert text.split() == words if words is not None else "9" in text


def test_bytes_that_are_no_utf8_are_shown_as_such():
    assert text_of(b"<p>a\xffb</p>").strip() == "a\ufffdb"


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script type="application/ld+json">{"a":1}</script>', [b'{"a":1}']),
        ("<SCRIPT id=x TYPE=application/ld+json >A</SCRIPT><p>ld</p>", [b"A"]),
        ('<script type="application/ld+json">a</script>' * 2, [b"a", b"a"]),
        ('<script type="application/ld+json">never ended', [b"never ended"]),
        ('<script type="text/javascript">"ld+json"</script>', []),
        ('<!-- <script type="application/ld+json">a</script> -->', []),
        ("<p>application/ld+json</p>", []),
        ("", []),
    ],
)
def test_structured_facts_are_found(html, found):
    assert structured_in(html.encode()) == found


@pytest.mark.parametrize(
    "bomb",
    [
        "<div>",
        "<a ",
        "<b x='",
        "<!---->",
        "<!--",
        "<style></style>",
        "<script>",
        "&",
        "&abcdefghijklmnopqrstuvwxyzabcd",
        "<",
        "<p><b a='1'>",
    ],
)
def test_half_a_megabyte_of_anything_gives_no_more_text_than_it_has(bomb):
    html = (bomb * (512 * 1024 // len(bomb))).encode()
    assert len(text_of(html)) <= len(html)
    assert structured_in(html + b" ld+json") == []
