"""A consumer's digest as a mail: what came, what waits, what was refused, in their language.

Plain text and HTML say the same. Nothing in it is loaded from anywhere: whoever opens it tells
nobody, and the links are ours.
"""

from collections.abc import Iterator
from datetime import datetime
from html import escape
from typing import NamedTuple

from letterbox.feedback.letters import ascii_value, date, field
from letterbox.feedback.sentences import Sentences, safe
from letterbox.feedback.written import part, unstructured
from letterbox.model.preferences import DigestList
from letterbox.model.verdict import Fact

_LONGEST = 300


class Link(NamedTuple):
    """What may be done, by its name in the wording, and where."""

    name: str
    url: str


class Line(NamedTuple):
    """One message."""

    company: str
    subject: str
    sentence: str
    links: tuple[Link, ...] = ()


class Section(NamedTuple):
    """One list: its first lines, how many there are in all, and where the others are."""

    name: DigestList
    lines: tuple[Line, ...]
    total: int
    url: str


class Digest(NamedTuple):
    """All that one says. ``days`` is how long its links serve; ``off`` ends digests at one POST."""

    language: str
    sections: tuple[Section, ...]
    days: int
    off: str
    settings: str


class Digester:
    """Writes digests."""

    def __init__(self, sentences: Sentences, hostname: str) -> None:
        self._sentences = sentences
        self._hostname = hostname

    def subject(self, digest: Digest) -> str:
        """What came, in numbers."""
        names = {"delivered": "delivered", "waiting": "waits", "refused": "refused"}
        parts = [
            self._said(digest, names[s.name] + ("" if s.total > 1 else "-one"), n=s.total)
            for s in digest.sections
        ]
        return self._said(digest, "subject", parts=parts)

    def compose(self, digest: Digest, *, name: str, at: datetime, to: str) -> bytes:
        """The mail (RFC 5322). ``name`` is the local part of its Message-ID, and in no part."""
        header = (
            field("From", f"letterbox <postmaster@{self._hostname}>")
            + field("To", ascii_value(to))
            + f"Subject: {unstructured(self.subject(digest))}\r\n".encode()
            + field("Date", date(at))
            + field("Message-ID", f"<{name}@{self._hostname}>")
            # RFC 3834, section 5: nobody's machine is to answer this.
            + field("Auto-Submitted", "auto-generated")
            # RFC 8058: the mail program's own button, without a visit.
            + field("List-Unsubscribe", f"<{digest.off}>")
            + field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
        )
        boundary = f"=_{name}"
        pieces = [
            header,
            b"MIME-Version: 1.0\r\n",
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'.encode(),
        ]
        for each in (part("plain", self._text(digest)), part("html", self._html(digest))):
            pieces += [f"--{boundary}\r\n".encode(), each, b"\r\n"]
        return b"".join((*pieces, f"--{boundary}--\r\n".encode()))

    def _text(self, digest: Digest) -> str:
        lines: list[str] = []
        for section in digest.sections:
            lines += [f"{self._heading(digest, section)}", ""]
            for line in section.lines:
                lines.append("- " + " ".join(_words(line)))
                lines += [f"  {self._said(digest, each.name)}: {each.url}" for each in line.links]
            if (left := section.total - len(section.lines)) > 0:
                lines.append(self._said(digest, "more", n=left, url=section.url))
            lines.append("")
        lines += [*self._closing(digest)]
        return "\n".join(lines) + "\n"

    def _html(self, digest: Digest) -> str:
        body: list[str] = []
        for section in digest.sections:
            body += [f"<h2>{escape(self._heading(digest, section))}</h2>", "<ul>"]
            for line in section.lines:
                company, *others = _words(line)
                links = " · ".join(
                    f'<a href="{escape(each.url)}">{escape(self._said(digest, each.name))}</a>'
                    for each in line.links
                )
                said = " ".join((f"<b>{escape(company)}</b>", *map(escape, others)))
                body.append(f"<li>{said}{'<br>' if links else ''}{links}</li>")
            body.append("</ul>")
            if (left := section.total - len(section.lines)) > 0:
                more = self._said(digest, "more", n=left, url=section.url)
                body.append(f"<p>{_linked(more, section.url)}</p>")
        urls = {digest.off, digest.settings}
        for closing in self._closing(digest):
            url = next((each for each in urls if each in closing), "")
            body.append(f"<p>{_linked(closing, url)}</p>")
        head = f'<meta charset="utf-8"><title>{escape(self.subject(digest))}</title>'
        content = "\n".join(body)
        return (
            f'<!doctype html>\n<html lang="{digest.language}">\n<head>{head}</head>\n'
            f"<body>\n{content}\n</body>\n</html>\n"
        )

    def _heading(self, digest: Digest, section: Section) -> str:
        return f"{self._said(digest, f'heading-{section.name}')} ({section.total})"

    def _closing(self, digest: Digest) -> Iterator[str]:
        if any(line.links for section in digest.sections for line in section.lines):
            yield self._said(digest, "links", n=digest.days)
        yield self._said(digest, "settings", url=digest.settings)
        yield self._said(digest, "off", url=digest.off)

    def _said(self, digest: Digest, name: str, **facts: Fact) -> str:
        return self._sentences.line("own", name, facts, digest.language, longest=_LONGEST * 3)


def _words(line: Line) -> tuple[str, ...]:
    """What a line says, each on one line and without what could hide there."""
    company = safe(line.company, _LONGEST)
    subject = safe(line.subject, _LONGEST) or "-"
    sentence = safe(line.sentence, _LONGEST)
    said = (f"{company}:", f"{subject}." if sentence and subject[-1:].isalnum() else subject)
    words = (*said, sentence) if sentence else said
    # Half a surrogate pair is no text.
    return tuple(each.encode(errors="replace").decode() for each in words)


def _linked(text: str, url: str) -> str:
    """Text as HTML, its URL as a link."""
    if not url:
        return escape(text)
    before, _, after = text.partition(url)
    return f'{escape(before)}<a href="{escape(url)}">{escape(url)}</a>{escape(after)}'
