"""What is sent: plain text for smtp-source, and newsletters as platforms send them.

Those have text and HTML alternatives, quoted-printable, and each is another. They are made and not
collected, so that the bench runs anywhere: sizes and shape are those of shop mail of today, a
tenth of it words and the rest layout.
"""

import binascii
from collections.abc import Sequence
from functools import cache
from itertools import count
from random import Random
from textwrap import wrap
from typing import Final, overload

from bench.rules import WANTED
from bench.source import on_the_wire

AUTHOR = "news@greenleaf.example"
#: What the text is made of, besides the one wanted word at its end.
PROSE = (
    "and are as autumn before bed bulbs by carefully choose cold cut deep dig early every frost "
    "fruit garden good ground growing half hands in it leaves light moss neighbours of old or "
    "our path plant price rain ripe roots rows seed shade shed slowly small soil spring stems "
    "sun sunny the their then this to tree under until warm watch week when which winter with "
    "without worms year yellow you your"
)


#: What makes a message another: it is replaced when it is sent.
_TOKEN: Final = "0123456789abcdef01234567"
_DIFFERENT: Final = 50  # texts; then they come again under other tokens
_NUMBERS: Final = count()
_STYLE: Final = (
    "margin:0;padding:12px 24px;font-family:Helvetica,Arial,sans-serif;font-size:16px;"
    "line-height:24px;color:#33373d;background-color:#ffffff;text-align:left"
)
_CELL: Final = (
    '<tr><td align="center" valign="top" style="{style}"><h2 style="{style}">{title}</h2>'
    '<img src="https://static.greenleaf.example/{token}/{number}.jpg" width="560" height="320"'
    ' alt="{title}" style="display:block;border:0">'
    '<p style="{style}">{text}</p>'
    '<a href="https://click.greenleaf.example/{token}?n={number}" style="{style}">Look at it</a>'
    "</td></tr>\n"
)
_HEAD: Final = """\
From: "Greenleaf Garden" <{author}>
To: <garden-news@greenleaf.example>
Date: Fri, 27 Nov 2026 09:00:00 +0000
Message-ID: <{token}@greenleaf.example>
Subject: In the garden this week: {title}
List-Unsubscribe: <https://greenleaf.example/stop?{token}>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="=_{token}"

"""
_PART: Final = """\
--=_{token}
Content-Type: text/{kind}; charset=utf-8
Content-Transfer-Encoding: quoted-printable

"""


def newsletter(size: int) -> str:
    """Subject, a mailing list's mark and a text, together about ``size`` octets.

    smtp-source writes From, To, Date and a Message-ID of its own before it; its own text is one
    letter over and over, which no reader of words would find hard.
    """
    random = Random(size)
    words = random.choices(PROSE.split(), k=size // 5)
    lines = wrap(" ".join(words), width=74)
    head = "In the garden this week\r\nList-Unsubscribe: <https://greenleaf.example/stop>\r\n\r\n"
    last = f"\r\nAnd a {WANTED[0]} at half price."
    return head + "\r\n".join(lines)[: size - len(head) - len(last)] + last


class Prepared(Sequence[bytes]):
    """Messages as they go over the wire, no two of them the same in one process."""

    def __init__(self, made: Sequence[bytes], numbers: Sequence[int]) -> None:
        self._made = made
        self._numbers = numbers

    @classmethod
    def anew(cls, messages: int, size: int, first: int = 0, *, plain: bool = False) -> "Prepared":
        """So many of about ``size`` octets that were never sent before, in parts unless ``plain``.

        ``first`` keeps those of several processes apart.
        """
        made = (_plain(size),) if plain else _made(size)
        return cls(made, [first + next(_NUMBERS) for _ in range(messages)])

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> "Prepared": ...
    def __getitem__(self, at: int | slice) -> "bytes | Prepared":
        if isinstance(at, slice):
            return Prepared(self._made, self._numbers[at])
        number = self._numbers[at]
        token = f"{number:0{len(_TOKEN)}x}".encode()
        return self._made[number % len(self._made)].replace(_TOKEN.encode(), token)


@cache
def _made(size: int) -> tuple[bytes, ...]:
    return tuple(on_the_wire(multipart(number, size)) for number in range(_DIFFERENT))


@cache
def _plain(size: int) -> bytes:
    """What smtp-source makes of :func:`newsletter`."""
    head = (
        f"From: <{AUTHOR}>\r\nTo: <garden-news@greenleaf.example>\r\n"
        "Date: Fri, 27 Nov 2026 09:00:00 +0000\r\n"
        f"Message-ID: <{_TOKEN}@greenleaf.example>\r\nSubject: "
    )
    return on_the_wire(f"{head}{newsletter(size)}\r\n".encode())


def multipart(seed: int, size: int) -> bytes:
    """A message of about ``size`` octets."""
    random = Random(seed)
    words = [*PROSE.split(), *(_word(random) for _ in range(300))]
    titles, texts, cells = [], [], []
    while sum(map(len, cells)) < size * 3 // 4:
        titles.append(" ".join(random.choices(words, k=4)).capitalize())
        texts.append(" ".join(random.choices(words, k=28)) + ".")
        cells.append(
            _CELL.format(
                style=_STYLE, title=titles[-1], text=texts[-1], token=_TOKEN, number=len(cells)
            )
        )
    last = f"And a {WANTED[0]} at half price."
    plain = "\n\n".join("\n".join(wrap(each, 74)) for each in (*texts, last))
    page = (
        '<html><head><meta charset="utf-8"><style>td { border: 0 }</style></head><body>'
        f'<table width="600">{"".join(cells)}</table><p>{last}</p></body></html>'
    )
    head = _HEAD.format(author=AUTHOR, token=_TOKEN, title=titles[0])
    parts = [
        _crlf(_PART.format(token=_TOKEN, kind=kind)) + _quoted(content)
        for kind, content in (("plain", plain), ("html", page))
    ]
    end = f"--=_{_TOKEN}--\r\n".encode()
    return _crlf(head) + b"".join(parts) + end


def _word(random: Random) -> str:
    """Something to be read once: real mail has hundreds of different words."""
    return "".join(random.choice("bdfgklmnprst") + random.choice("aeiou") for _ in range(3)) + "n"


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def _quoted(text: str) -> bytes:
    return binascii.b2a_qp(_crlf(text + "\n"), istext=True)
