"""The facts of a message that the filters decide on, each read when first asked for."""

from collections.abc import Callable
from datetime import date
from functools import cached_property
from typing import Final

import msgspec

from letterbox.model.kind import Kind
from letterbox.model.message import Categories, Offer, Origin
from letterbox.model.record import Declared
from letterbox.model.sender import Proven
from letterbox.model.taxonomy import Taxonomy
from letterbox.reading import header, html, mime
from letterbox.reading.charset import to_text
from letterbox.reading.mail import DEFAULT_LIMITS, Field, Limits, Mail
from letterbox.reading.structured import Structured, day_of, understand_markup
from letterbox.reading.words import TextWords

# Marks of mail to many: RFC 2369, RFC 2919, and what mailbox providers ask of senders.
_LIST_FIELDS = ("list-id", "list-unsubscribe", "feedback-id")
_BULK = frozenset(("bulk", "list", "junk"))
# A shorter text alternative only says that the message is HTML.
_ENOUGH_TEXT = 200
_MAX_CATEGORIES = 20
_MAX_LABEL = 200


_NO_TAXONOMY: Final = Taxonomy(nodes={}, below={})

#: The id of ours that a label of another taxonomy means, such as ``google:1604``.
Ours = Callable[[str], str | None]


def _nothing_known(_label: str) -> None:
    return None


class Reader:
    """Reads messages within limits: one instance serves everybody.

    ``taxonomy`` holds the categories that are ours, ``ours`` knows what foreign labels mean.
    """

    def __init__(
        self,
        limits: Limits = DEFAULT_LIMITS,
        taxonomy: Taxonomy = _NO_TAXONOMY,
        ours: Ours = _nothing_known,
    ) -> None:
        self.limits = limits
        self.taxonomy = taxonomy
        self.ours = ours

    def read(self, mail: Mail, sender: Proven, *, declared: Declared | None = None) -> "MailFacts":
        """The facts of a message as its proven sender stands behind them.

        The message's shape must have passed :func:`letterbox.reading.mime.check_shape`.
        """
        return MailFacts(mail, sender, declared or Declared(), self.limits)


class MailFacts:
    """Implements :class:`letterbox.model.message.Message` over received mail."""

    def __init__(self, mail: Mail, sender: Proven, declared: Declared, limits: Limits) -> None:
        self._mail = mail
        self._sender = sender
        self._declared = declared
        self._limits = limits

    @cached_property
    def subject(self) -> str:
        """The decoded subject on one line, at most 998 characters."""
        return header.subject(self._mail)

    @property
    def kind(self) -> Kind:
        """Declared, or from structured offers, or from the marks of the header."""
        return self._kind[0]

    @property
    def kind_origin(self) -> Origin:
        """Where the kind comes from."""
        return self._kind[1]

    @cached_property
    def categories(self) -> Categories:
        """Taxonomy ids: declared beside the message or in it, else from its markup."""
        if self._declared.categories:
            return Categories(ids=self._declared.categories)
        named = (name.strip().lower() for name in self._label("letterbox-category").split(","))
        ids = tuple(name for name in named if 0 < len(name) <= _MAX_LABEL)[:_MAX_CATEGORIES]
        if ids:
            return Categories(ids=ids)
        return Categories(ids=self._structured.categories, origin="structured")

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """The offers it carries; declared ones alone where there are any."""
        if self._declared.offer:
            return (self._declared.offer,)
        offers = self._structured.offers
        until = self._offer_until
        if until is None:
            return offers
        if not offers:
            return (Offer(origin="declared", valid_until=until),)
        return tuple(msgspec.structs.replace(offer, valid_until=until) for offer in offers)

    @cached_property
    def words(self) -> TextWords:
        """Subject, text, and the words of a declared offer, folded."""
        offer = self._declared.offer
        said = (offer.title, *offer.keywords) if offer else ()
        return TextWords("\n".join((self.subject, *said, self.text)))

    @cached_property
    def text(self) -> str:
        """What a reader sees, as plain text, at most ``limits.text_chars`` characters."""
        read: list[str] = []
        left = self._limits.text_chars
        for part in self._shown:
            if left <= 0:
                break
            page = self._pages.get(part.start)
            text = self._plain(part) if page is None else html.text_of(page)
            read.append(text[:left])
            left -= len(text)
        return "\n".join(read)[: self._limits.text_chars]

    # ---- what the parts say -------------------------------------------------------------------

    @cached_property
    def _parts(self) -> tuple[mime.Part, ...]:
        return mime.parts(self._mail, self._limits)

    @property
    def _shown(self) -> list[mime.Part]:
        """The parts that a reader sees: of alternatives that say the same, the plain one."""
        plain = [p for p in self._parts if p.type == "text/plain" and not p.attached]
        told = {p.alternative for p in plain if p.alternative and self._is_enough(p)}
        return [
            part
            for part in self._parts
            if (part.type == "text/plain" and not part.attached)
            or (part.type == "text/html" and not part.attached and part.alternative not in told)
        ]

    def _is_enough(self, part: mime.Part) -> bool:
        return len(mime.content(self._mail, part, 4 * _ENOUGH_TEXT).strip()) >= _ENOUGH_TEXT

    def _plain(self, part: mime.Part) -> str:
        # No character takes more than four bytes.
        return to_text(mime.content(self._mail, part, 4 * self._limits.text_chars), part.charset)

    @cached_property
    def _pages(self) -> dict[int, bytes]:
        """The HTML parts in UTF-8, by where they start; ``limits.html_bytes`` of them in all."""
        pages: dict[int, bytes] = {}
        left = self._limits.html_bytes
        for part in self._parts:
            if part.type == "text/html" and not part.attached:
                raw = mime.content(self._mail, part, left)
                left -= len(raw)
                if part.charset.lower() != "utf-8":
                    raw = to_text(raw, part.charset).encode("utf-8", "replace")
                pages[part.start] = raw
        return pages

    @cached_property
    def _structured(self) -> Structured:
        return understand_markup(
            script for page in self._pages.values() for script in html.structured_in(page)
        )

    # ---- what the header says -----------------------------------------------------------------

    @cached_property
    def _kind(self) -> tuple[Kind, Origin]:
        declared = _kind_named(self._declared.kind or "")
        if declared:
            return declared, "declared"
        labelled = _kind_named(self._label("letterbox-kind"))
        # RFC 3865: a solicitation says of itself that it is advertising.
        soliciting = bool(self._vouched("solicitation"))
        # What goes to many, or advertises, is no service mail whatever it calls itself: the label
        # counts for nothing, because service mail is free of the consumer's limits.
        if labelled and not (labelled is Kind.SERVICE and (self._to_many or soliciting)):
            return labelled, "declared"
        if soliciting:
            return Kind.OFFER, "declared"
        if self._structured.offers:
            return Kind.OFFER, "structured"
        if self._to_many:
            return Kind.NEWSLETTER, "read"
        return (Kind.SERVICE if self._automatic else Kind.PERSONAL), "read"

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
    def _offer_until(self) -> date | None:
        return day_of(self._label("letterbox-offer-until"))

    def _vouched(self, name: str) -> tuple[Field, ...]:
        """The fields of a name, where the sender stands behind them."""
        return self._mail.all(name) if self._sender.vouches_for(name) else ()

    def _label(self, name: str) -> str:
        """The value of a field that may stand once only: a second could be added unsigned."""
        fields = self._vouched(name)
        return header.unfold(fields[0]).strip() if len(fields) == 1 else ""


def _kind_named(name: str) -> Kind | None:
    try:
        return Kind(name.lower())
    except ValueError:
        return None
