"""The facts of a message that the filters decide on, each read when first asked for."""

import re
from collections.abc import Callable, Iterable
from datetime import date
from typing import Final

import msgspec
from propcache.api import cached_property

from letterbox.model.kind import FREE_OF_INTERESTS, Kind
from letterbox.model.message import Addressees, Categories, Offer, Origin
from letterbox.model.record import Declared
from letterbox.model.sender import Proven
from letterbox.model.taxonomy import Taxonomy, upwards
from letterbox.reading import header, html, mime
from letterbox.reading.addressees import read_addressees
from letterbox.reading.charset import to_text
from letterbox.reading.kinds import Marks
from letterbox.reading.mail import DEFAULT_LIMITS, Field, Limits, Mail, Part
from letterbox.reading.passages import Passages
from letterbox.reading.prose import Prose, Tables
from letterbox.reading.signs import NO_SIGNS
from letterbox.reading.structured import Structured, category_path, day_of, understand_markup
from letterbox.reading.words import TextWords

# Marks of mail to many: RFC 2369, RFC 2919, and what mailbox providers ask of senders.
_LIST_FIELDS = ("list-id", "list-unsubscribe", "feedback-id")
_BULK = frozenset(("bulk", "list", "junk"))
# A shorter text alternative only says that the message is HTML.
_ENOUGH_TEXT = 200
_MAX_CATEGORIES = 20
_MAX_LABEL = 200
_TAG = re.compile(r"(?:re:\s*)?\[([^\s\]][^\]]{0,40})\]", re.IGNORECASE)


_NO_TAXONOMY: Final = Taxonomy(nodes={}, below={})

#: The id of ours that a label of another taxonomy means, such as ``google:1604``.
Ours = Callable[[str], str | None]


def _nothing_known(_label: str) -> None:
    return None


#: For readers that know no words.
_NO_TABLES: Final = Tables(_NO_TAXONOMY, NO_SIGNS)


class Reader:
    """Reads messages within limits: one instance serves everybody.

    ``taxonomy`` holds the categories that are ours, ``ours`` knows what foreign labels
    mean, ``tables`` what words say.
    """

    def __init__(
        self,
        limits: Limits = DEFAULT_LIMITS,
        taxonomy: Taxonomy = _NO_TAXONOMY,
        ours: Ours = _nothing_known,
        tables: Tables = _NO_TABLES,
    ) -> None:
        self.limits = limits
        self.tables = tables
        self._taxonomy = taxonomy
        self._ours = ours

    def category(self, label: str) -> str | None:
        """The id of ours that a sender's label means: it, or the nearest known one above it."""
        label = label.strip()
        path = category_path(label)
        known = (each for each in upwards(path) if each in self._taxonomy.nodes)
        return path if path in self._taxonomy.nodes else self._ours(label) or next(known, None)

    def read(self, mail: Mail, sender: Proven, *, declared: Declared | None = None) -> "MailFacts":
        """The facts of a message as its proven sender stands behind them.

        The message's shape must have passed :func:`letterbox.reading.mime.check_shape`.
        """
        return MailFacts(self, mail, sender, declared or Declared())


class _Pages:
    """The HTML parts in UTF-8, decoded when first asked for; ``most`` octets of them in all.

    Of a message that says the same in plain text nobody may ever ask.
    """

    def __init__(self, mail: Mail, parts: Iterable[Part], most: int) -> None:
        self.parts = [part for part in parts if part.type == "text/html" and not part.attached]
        self._mail = mail
        self._most = most

    def all(self) -> Iterable[bytes]:
        """Each of them, in their order."""
        return self._by_start.values()

    def at(self, part: Part) -> bytes:
        """The one that is a part."""
        return self._by_start[part.start]

    @cached_property
    def _by_start(self) -> dict[int, bytes]:
        pages: dict[int, bytes] = {}
        left = self._most
        for part in self.parts:
            raw = mime.content(self._mail, part, left)
            left -= len(raw)
            if part.charset.lower() != "utf-8":
                raw = to_text(raw, part.charset).encode("utf-8", "replace")
            pages[part.start] = raw
        return pages


class MailFacts:
    """Implements :class:`letterbox.model.message.Message` over received mail."""

    def __init__(self, reader: Reader, mail: Mail, sender: Proven, declared: Declared) -> None:
        self._reader = reader
        self._mail = mail
        self._sender = sender
        self._declared = declared
        self._limits = reader.limits

    @cached_property
    def subject(self) -> str:
        """The decoded subject on one line, at most 998 characters."""
        return header.subject(self._mail)

    @property
    def _spoken(self) -> str:
        """The subject, where the sender stands behind it: else anybody may have written it."""
        return self.subject if self._sender.vouches_for("subject") else ""

    @cached_property
    def author_name(self) -> str:
        """The display name in From, safe to show; empty where there is no one author."""
        found = header.author(self._mail)
        return found.name if isinstance(found, header.Author) else ""

    @cached_property
    def addressees(self) -> Addressees:
        """Whom To and Cc name, as far as the sender stands behind them."""
        return read_addressees((*self._vouched("to"), *self._vouched("cc")))

    @property
    def kind(self) -> Kind:
        """Declared, or from structured offers, or as the header and the words read."""
        return self._kind[0]

    @property
    def kind_origin(self) -> Origin:
        """Where the kind comes from."""
        return self._kind[1]

    @cached_property
    def categories(self) -> Categories:
        """What it is about: declared beside the message or in it, else its markup, its words.

        Labels that mean nothing here are as if they were not there.
        """
        if self._declared.categories:
            return Categories(ids=self._declared.categories)
        named = self._label("letterbox-category").split(",")
        origins: tuple[tuple[Origin, Iterable[str]], ...] = (
            ("declared", (name for name in named if len(name) <= _MAX_LABEL)),
            ("structured", self._structured.categories),
        )
        for origin, labels in origins:
            found = dict.fromkeys(filter(None, map(self._reader.category, labels)))
            if found:
                return Categories(ids=tuple(found)[:_MAX_CATEGORIES], origin=origin)
        return self._prose.categories

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """The offers it carries; declared ones alone where there are any."""
        if self._declared.offer:
            return (self._declared.offer,)
        offers = self._structured.offers
        # What was bought or is talked about is not on offer.
        if not offers and self.kind not in FREE_OF_INTERESTS:
            offers = self._prose.offers
        until = self._offer_until
        if until is None:
            return offers
        if not offers:
            return (Offer(origin="declared", valid_until=until),)
        return tuple(
            msgspec.structs.replace(offer, valid_until=until, until_origin="declared")
            for offer in offers
        )

    @cached_property
    def words(self) -> TextWords:
        """Subject, text, and the words of a declared offer, folded; no subject of nobody's."""
        offer = self._declared.offer
        said = (offer.title, *offer.keywords) if offer else ()
        read = self._passages
        return TextWords(read.subject, "\n".join(said), read.body, read.rest, read.footer)

    @cached_property
    def text(self) -> str:
        """What a reader sees, as plain text, at most ``limits.text_chars`` characters."""
        read: list[str] = []
        left = self._limits.text_chars
        for part in self._shown:
            if left <= 0:
                break
            is_page = part.type == "text/html"
            text = html.text_of(self._pages.at(part)) if is_page else self._plain(part)
            read.append(text[:left])
            left -= len(text)
        return "\n".join(read)[: self._limits.text_chars]

    # ---- what the parts say -------------------------------------------------------------------

    @cached_property
    def _parts(self) -> tuple[Part, ...]:
        return mime.parts(self._mail, self._limits)

    @property
    def _shown(self) -> list[Part]:
        """The parts that a reader sees: of alternatives that say the same, the plain one."""
        plain = [p for p in self._parts if p.type == "text/plain" and not p.attached]
        told = {p.alternative for p in plain if p.alternative and self._is_enough(p)}
        return [
            part
            for part in self._parts
            if (part.type == "text/plain" and not part.attached)
            or (part.type == "text/html" and not part.attached and part.alternative not in told)
        ]

    def _is_enough(self, part: Part) -> bool:
        return len(mime.content(self._mail, part, 4 * _ENOUGH_TEXT).strip()) >= _ENOUGH_TEXT

    def _plain(self, part: Part) -> str:
        # No character takes more than four bytes.
        return to_text(mime.content(self._mail, part, 4 * self._limits.text_chars), part.charset)

    @cached_property
    def _pages(self) -> "_Pages":
        return _Pages(self._mail, self._parts, self._limits.html_bytes)

    @cached_property
    def _structured(self) -> Structured:
        # Markup is named by a type with a plus sign: where none can stand, nothing is decoded.
        if not any(mime.may_hold_plus(self._mail, part) for part in self._pages.parts):
            return Structured()
        return understand_markup(
            script for page in self._pages.all() for script in html.structured_in(page)
        )

    # ---- what the header says -----------------------------------------------------------------

    @cached_property
    def _kind(self) -> tuple[Kind, Origin]:
        declared = _kind_named(self._declared.kind or "")
        if self._declared.offer and (declared is None or declared in FREE_OF_INTERESTS):
            return Kind.OFFER, "declared"  # what is offered beside it says what it is
        if declared and not self._is_belied(declared):
            return declared, "declared"
        labelled = _kind_named(self._label("letterbox-kind"))
        # RFC 3865: a solicitation says of itself that it is advertising.
        soliciting = bool(self._vouched("solicitation"))
        if labelled and not self._is_unlikely(labelled, soliciting=soliciting):
            return labelled, "declared"
        if soliciting:
            return Kind.OFFER, "declared"
        if self._structured.offers:
            return Kind.OFFER, "structured"
        return self._prose.kind, "read"

    def _is_unlikely(self, label: Kind, *, soliciting: bool) -> bool:
        """Whether a label counts for nothing: service mail is free of the consumer's limits.

        What goes to many, or advertises, is no service mail whatever it calls itself.
        """
        if label is Kind.SERVICE and (self._to_many or soliciting or self._structured.offers):
            return True
        return self._is_belied(label)

    def _is_belied(self, kind: Kind) -> bool:
        """Whether the words show that it is not of a kind that would free it of limits."""
        # What has nothing to gain by its name is believed unread.
        return kind in FREE_OF_INTERESTS and self._prose.belies(kind)

    @cached_property
    def _passages(self) -> Passages:
        return self._reader.tables.parting.part(self._spoken, self.text)

    @cached_property
    def _prose(self) -> Prose:
        """The words, with what the header says of them."""
        date_field = next(iter(self._vouched("date")), None)
        return Prose(
            self._reader.tables,
            self._spoken,
            self.text,
            self._passages,
            pages=self._pages.all,
            marks=Marks(
                to_many=self._to_many,
                automatic=self._automatic,
                role=self._is_role,
                discussed=self._is_discussed,
                answers=any(self._vouched(name) for name in ("in-reply-to", "references")),
            ),
            sent=header.unfold(date_field) if date_field else "",
        )

    @cached_property
    def _to_many(self) -> bool:
        return any(self._vouched(name) for name in _LIST_FIELDS) or any(
            header.unfold(field).lower() in _BULK for field in self._vouched("precedence")
        )

    @property
    def _automatic(self) -> bool:
        """Sent by a program (RFC 3834, section 5)."""
        return any(
            header.unfold(field).partition(";")[0].strip().lower() not in {"no", ""}
            for field in self._vouched("auto-submitted")
        )

    @property
    def _is_role(self) -> bool:
        """Whether no person has the author's address: by its local part or a subdomain."""
        author = self._sender.author
        names = {author.local.lower(), *author.domain.split(".")[:-2]}
        return not names.isdisjoint(self._reader.tables.roles)

    @property
    def _is_discussed(self) -> bool:
        """Whether a list that is not the author's put its tag before the subject: ``[ILUG]``."""
        tag = _TAG.match(self._spoken)
        author = str(self._sender.author).lower()
        return bool(tag and self._to_many and tag[1].split()[0].lower() not in author)

    @property
    def _offer_until(self) -> date | None:
        return day_of(self._label("letterbox-offer-until"))

    def _vouched(self, name: str) -> tuple[Field, ...]:
        """The fields of a name, where the sender stands behind them."""
        fields = self._mail.all(name)
        return fields if fields and self._sender.vouches_for(name) else ()

    def _label(self, name: str) -> str:
        """The value of a field that may stand once only: a second could be added unsigned."""
        fields = self._vouched(name)
        return header.unfold(fields[0]).strip() if len(fields) == 1 else ""


_KINDS: Final = {str(kind): kind for kind in Kind}


def _kind_named(name: str) -> Kind | None:
    return _KINDS.get(name.lower())
