"""Whatever a message is, cleaning it never fails, grows within a bound, and is done once."""

import email

from hypothesis import given
from hypothesis import strategies as st

from letterbox.configuration import shipped
from letterbox.reading.mail import with_crlf
from letterbox.reading.trackers import clean_message, clean_part, read_rules

RULES = read_rules(shipped("trackers.toml"))
TOKEN = "Zk3x9QaB7LmT2pR8vW5c"
PIECES = st.sampled_from(
    [
        *(
            "<",
            ">",
            '"',
            "'",
            "=",
            "/",
            "&",
            "&amp;",
            "&#58;",
            "<!--",
            "-->",
            "--!>",
            "\\",
            " ",
            "\n",
        ),
        *(
            "<img ",
            "<a ",
            "</a>",
            "<style>",
            "</style>",
            "<svg>",
            "<title>",
            "<!",
            "<?",
            "</",
            "\0",
        ),
        *("src=", "href=", "style=", "srcset=", "width=1 ", "height=1 ", "display:none", "ping="),
        *(
            "url(",
            ")",
            "//t.example/o",
            "https://x.mjt.lu/oo/a",
            "https://shop.example/?utm_a=b&c=d",
        ),
        f"https://click.a.example/c?u=https%3A%2F%2Fs.example%2F&k={TOKEN}",
        f"https://s.example/{TOKEN}/x?{TOKEN}#utm_a=b",
        "https://www.google.com/url?q=https%3A%2F%2Fs.example%2F%3Futm_a%3Db",
        *("unsubscribe", "here", "anna@letterbox.example", "é", "\ud800", "=3D", "[x](", "1"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join)
GRADES = st.sampled_from(["careful", "strict"])
KINDS = st.sampled_from(["text/html", "text/plain"])


@given(text=TEXTS, kind=KINDS, grade=GRADES)
def test_any_text(text, kind, grade):
    def clean(written):
        return clean_part(written, kind, RULES, grade, readers=("anna@letterbox.example",))

    done = clean(text)
    assert len(done.text) <= 8 * len(text) + 200
    assert clean(done.text).text == done.text


@given(
    text=TEXTS,
    head=st.sampled_from(
        [
            "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable",
            "Content-Type: text/html; charset=utf-16\r\nContent-Transfer-Encoding: base64",
            "Content-Type: text/plain; charset=x\r\nContent-Transfer-Encoding: x",
            "Content-Type: multipart/mixed; boundary=x",
            "Content-Type: text/html\nList-Unsubscribe: <https://s.example/?r=a1b2c3d4>",
            "",
        ]
    ),
    grade=GRADES,
)
def test_any_message(text, head, grade):
    raw = f"{head}\r\n\r\n{text}".encode("utf-8", "surrogatepass")
    done = clean_message(raw, RULES, grade)
    assert clean_message(done.content, RULES, grade).content == done.content
    before, after = (email.message_from_bytes(with_crlf(each)) for each in (raw, done.content))
    assert after.items() == before.items()


@given(text=TEXTS, html=TEXTS, grade=GRADES)
def test_any_text_that_says_what_html_says(text, html, grade):
    raw = (
        "Content-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\n"
        f"[here]({text}) here (https://s.example/?utm_a=b)\r\n"
        f"--y\r\nContent-Type: text/html\r\n\r\n<a href='https://click.a.example/{TOKEN}'>here</a>"
        f"<a href='{html}'>here</a>{html}\r\n--y--\r\n"
    ).encode("utf-8", "surrogatepass")
    done = clean_message(raw, RULES, grade)
    assert clean_message(done.content, RULES, grade).content == done.content


@given(raw=st.binary(max_size=400), grade=GRADES)
def test_any_bytes(raw, grade):
    done = clean_message(raw, RULES, grade)
    assert clean_message(done.content, RULES, grade).content == done.content
