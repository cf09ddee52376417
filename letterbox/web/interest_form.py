"""The form of an interest: what stands in it, and what it says."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec

from letterbox.model.money import Money
from letterbox.model.preferences import Interest, Keywords, Region
from letterbox.web.texts import N_
from letterbox.web.visit import Visit
from letterbox.wishes import Mistake

#: What is wrong, by the field that it is wrong in.
MISTAKES: Final = {
    "name": N_("Give it a name with a letter or a digit, one that no other interest has."),
    "category": N_("There is no such category. Choose one of those that are found."),
    "any": N_("Each word needs a letter or a digit, and 200 characters at most."),
    "all": N_("Each word needs a letter or a digit, and 200 characters at most."),
    "none": N_("Each word needs a letter or a digit, and 200 characters at most."),
    "brands": N_("Each brand needs a letter or a digit, and 200 characters at most."),
    "price": N_("Write the highest price as a number, such as 150 or 149.95."),
    "currency": N_("Write the currency as three letters, such as EUR."),
    "regions": N_("Write countries and regions by their codes, such as NL or NL-NH."),
    "from": N_("Write the first day as a date, such as 2027-03-01."),
    "until": N_("Write the last day as a date that is not before the first."),
    "vendors": N_("No company is known by one of these. Write its id or its domain."),
}
#: The field of the form for each field of an interest, where it is called otherwise.
_FIELDS: Final = {
    "id": "name",
    "categories": "category",
    "max_price": "price",
    "keywords.any": "any",
    "keywords.all": "all",
    "keywords.none": "none",
}
_TEXTS: Final = ("name", "any", "all", "none", "brands", "price", "currency", "regions", "from",
                 "until", "vendors", "open_to", "declared_only", "q")  # fmt: skip
_CURRENCY: Final = "EUR"
_LONGEST_NAME: Final = 63
_LONGEST_WORD: Final = 200


class Filled(NamedTuple):
    """What stands in the form, as it was written; and the categories that are chosen."""

    texts: Mapping[str, str]
    categories: tuple[str, ...]


def filled(interest: Interest | None) -> Filled:
    """The form for an interest; empty for a new one."""
    if interest is None:
        return Filled(dict.fromkeys(_TEXTS, "") | {"currency": _CURRENCY}, ())
    words, price = interest.keywords, interest.max_price
    texts = {
        "name": interest.id,
        "any": ", ".join(words.any),
        "all": ", ".join(words.all),
        "none": ", ".join(words.none),
        "brands": ", ".join(interest.brands),
        "price": f"{price.amount:f}" if price else "",
        "currency": price.currency if price else _CURRENCY,
        "regions": ", ".join(interest.regions),
        "from": interest.from_.isoformat() if interest.from_ else "",
        "until": interest.until.isoformat() if interest.until else "",
        "vendors": ", ".join(interest.vendors),
        "open_to": "anyone" if interest.open_to == "anyone" else "",
        "declared_only": "yes" if interest.declared_only else "",
        "q": "",
    }
    return Filled(texts, interest.categories)


def sent(visit: Visit) -> Filled:
    """The form as somebody has sent it."""
    texts = {name: visit.field(name) for name in _TEXTS}
    return Filled(texts, tuple(dict.fromkeys(visit.fields("category"))))


class Read(NamedTuple):
    """The interest that a form says; None where fields of it are ``mistaken``."""

    interest: Interest | None
    mistaken: tuple[str, ...]


def read(form: Filled, name: str | None, known: Iterable[str]) -> Read:
    """Read a form. ``name`` is that of the interest there is; a new one has another than those."""
    texts = form.texts
    wrong: list[str] = []

    def taken(field: str, value: object, kind: Any) -> Any:
        try:
            return msgspec.convert(value, kind)
        except (msgspec.ValidationError, ValueError):
            wrong.append(field)
            return None

    def words(field: str) -> tuple[str, ...]:
        values = _listed(texts[field])
        if any(len(each) > _LONGEST_WORD for each in values):
            wrong.append(field)
        return values

    id_ = name or slug(texts["name"] or _named_by(form))
    if not id_ or (name is None and id_ in set(known)):
        wrong.append("name")
    price = None
    if amount := texts["price"].replace(",", "."):
        currency = (texts["currency"] or _CURRENCY).upper()
        if not re.fullmatch("[A-Z]{3}", currency):
            wrong.append("currency")
        else:
            price = taken("price", {"amount": amount, "currency": currency}, Money)
    regions = taken("regions", [each.upper() for each in _listed(texts["regions"])], list[Region])
    start = taken("from", texts["from"], date) if texts["from"] else None
    end = taken("until", texts["until"], date) if texts["until"] else None
    keywords = Keywords(any=words("any"), all=words("all"), none=words("none"))
    brands, vendors = words("brands"), words("vendors")
    if wrong:
        return Read(None, tuple(dict.fromkeys(wrong)))
    interest = Interest(
        id=id_,
        categories=form.categories,
        keywords=keywords,
        brands=brands,
        max_price=price,
        regions=tuple(regions),
        from_=start,
        until=end,
        vendors=vendors,
        open_to="anyone" if texts["open_to"] == "anyone" else "allowed",
        declared_only=texts["declared_only"] == "yes",
    )
    return Read(interest, ())


def mistaken(mistakes: Iterable[Mistake], field: str = "") -> tuple[str, ...]:
    """The fields that mistakes of an interest are about; ``field`` is its path, if it has one."""
    found = []
    for each in mistakes:
        path = re.sub(r"\[\d+\]$", "", each.path.removeprefix(f"{field}."))
        name = _FIELDS.get(path, path)
        found.append(name if name in MISTAKES else "name")
    return tuple(dict.fromkeys(found))


def slug(text: str) -> str:
    """A name as interests have them, made of what somebody wrote; empty where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_NAME].strip("-")


def _named_by(form: Filled) -> str:
    """What an interest is called that was given no name."""
    for category in form.categories:
        return category.rpartition("/")[2]
    return next(iter(_listed(form.texts["any"]) + _listed(form.texts["brands"])), "")


def _listed(text: str) -> tuple[str, ...]:
    """The values of a field in which commas stand between them."""
    return tuple(dict.fromkeys(each.strip() for each in re.split("[,;\n]", text) if each.strip()))
