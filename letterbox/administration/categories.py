"""Files of foreign taxonomies: read, and each line given the best of our categories.

Google publishes ``taxonomy-with-ids.en-US.txt`` and, without ids, ``taxonomy.en-US.txt``; Shopify
publishes ``categories.txt``. All have one category a line, its path of names from the top down,
and comments that begin with ``#``::

    166 - Apparel & Accessories
    gid://shopify/TaxonomyCategory/aa-1 : Apparel & Accessories > Clothing
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, NoReturn

import msgspec

from letterbox.administration.failed import Failed
from letterbox.administration.matching import Matching
from letterbox.administration.shape import Misshapen, nearest, read_toml
from letterbox.feedback.sentences import safe
from letterbox.model.taxonomy import Taxonomy
from letterbox.records.categories import SHOPIFY_ID, Foreign, Source, path_key

#: Google's file has about 5,600 lines in 0.5 MB, Shopify's about 12,000 in 1.6 MB; one language
#: more doubles that.
MAX_SIZE: Final = 4 << 20
MAX_LINES: Final = 50_000
_MAX_PATH = 500  # characters
_MAX_STEPS = 16
_LONGEST_SHOWN = 60
_MAX_CORRECTIONS = 256 << 10
_MOST_MISTAKES = 20

_GOOGLE_VERSION = re.compile(r"#\s*Google_Product_Taxonomy_Version:\s*(\S{1,40})")
_SHOPIFY_VERSION = re.compile(r"#\s*Shopify Product Taxonomy\b[^:]*:\s*(\S{1,40})")
_GOOGLE_LINE = re.compile(r"([0-9]{1,10}) - (.+)")
_SHOPIFY_LINE = re.compile(rf"{SHOPIFY_ID}([a-z]{{2}}(?:-[0-9]{{1,6}})*)\s+:\s+(.+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class TaxonomyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file as it was given: its name for people, and what is in it."""

    name: str
    content: bytes


class Line(NamedTuple):
    """A category as a file has it; the id is empty where the form has none."""

    id: str
    path: str


class Published(NamedTuple):
    """A file that was read."""

    source: Source
    version: str
    lines: list[Line]


class Mapped(msgspec.Struct, frozen=True):
    """The lines of all files with what they mean, and how well that was known."""

    source: Source
    version: str
    lines: tuple[Foreign, ...]
    exact: int
    broader: int
    unmapped: int


def map_files(
    files: Sequence[TaxonomyFile], corrections: TaxonomyFile | None, taxonomy: Taxonomy
) -> Mapped:
    """Give every line of the files the best of our categories.

    Files of one source belong together, such as two languages: a line whose id an earlier file
    has means what it meant there. Raises :class:`Failed` with the line and what is expected.
    """
    published = _read_all(files)
    matching = Matching(taxonomy, _corrected(corrections, published, taxonomy))
    counts = [0, 0, 0]
    by_id: dict[str, str] = {}
    lines: list[Foreign] = []
    for line in (line for each in published for line in each.lines):
        ours = by_id.get(line.id)
        if ours is None:
            match = matching.of(line.path)
            counts[2 if match.ours is None else 0 if match.exact else 1] += 1
            ours = match.ours or ""
            if line.id:
                by_id[line.id] = ours
        lines.append(Foreign(id=line.id, path=line.path, ours=ours))
    return Mapped(
        source=published[0].source,
        version=published[0].version,
        lines=tuple(lines),
        exact=counts[0],
        broader=counts[1],
        unmapped=counts[2],
    )


# ---- reading ----------------------------------------------------------------------------------


def _read_all(files: Sequence[TaxonomyFile]) -> list[Published]:
    if not files:
        raise Failed("no file was given; name a taxonomy file of Google's or Shopify's")
    if sum(len(file.content) for file in files) > MAX_SIZE:
        raise Failed(f"the files have more than {MAX_SIZE >> 20} MiB; no published taxonomy does")
    published = [read_published(file) for file in files]
    if len({each.source for each in published}) > 1:
        raise Failed("the files are of different taxonomies; import Google's and Shopify's apart")
    if sum(len(each.lines) for each in published) > MAX_LINES:
        raise Failed(f"the files have more than {MAX_LINES:,} lines; no published taxonomy does")
    return published


def read_published(file: TaxonomyFile) -> Published:
    """The categories of one file. Raises :class:`Failed`."""
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = file.content[: error.start].count(b"\n") + 1
        raise Failed(
            f"{file.name}: line {number} is not UTF-8; save the file as it came"
        ) from error
    rows = text.split("\n", MAX_LINES + 1)
    if len(rows) > MAX_LINES:
        raise Failed(f"{file.name} has more than {MAX_LINES:,} lines; no published taxonomy does")
    rows = [row.strip() for row in rows]
    source, version, form = _form(file.name, rows)
    lines: list[Line] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if not row or row.startswith("#"):
            continue
        line = _line(row, form)
        if line is None:
            _broken(file.name, number, row, _EXPECTED[form])
        # Without ids a path is what a category is known by.
        first = seen.setdefault(line.id or line.path, number)
        if first != number:
            raise Failed(f"{file.name}: line {number} repeats line {first}; each category once")
        lines.append(line)
    return Published(source, version, lines)


_EXPECTED: Final[Mapping[str, str]] = {
    "google-ids": "166 - Apparel & Accessories",
    "google": "Apparel & Accessories > Clothing",
    "shopify": f"{SHOPIFY_ID}ap-1 : Animals & Pet Supplies > Live Animals",
}


def _form(name: str, rows: Sequence[str]) -> tuple[Source, str, str]:
    """Whose file it is, its version, and how its lines look."""
    comments = "\n".join(row for row in rows[:10] if row.startswith("#"))
    number, first = next(
        ((nth, row) for nth, row in enumerate(rows, start=1) if row and row[0] != "#"), (1, "")
    )
    google, shopify = _GOOGLE_VERSION.search(comments), _SHOPIFY_VERSION.search(comments)
    if _SHOPIFY_LINE.fullmatch(first):
        return "shopify", shopify[1] if shopify else "", "shopify"
    if _GOOGLE_LINE.fullmatch(first):
        return "google", google[1] if google else "", "google-ids"
    # Any line of text could be a path: only the comment tells whose it is.
    if google and first:
        return "google", google[1], "google"
    expected = f"{_EXPECTED['google-ids']!r} or {_EXPECTED['shopify']!r}"
    shown = f"line {number} is {safe(first, _LONGEST_SHOWN)!r}" if first else "it is empty"
    raise Failed(f"{name} is no taxonomy of Google's or Shopify's: {shown}, not such as {expected}")


def _line(row: str, form: str) -> Line | None:
    match form:
        case "google":
            found, path = "", row
        case _:
            shape = _GOOGLE_LINE if form == "google-ids" else _SHOPIFY_LINE
            parts = shape.fullmatch(row)
            if parts is None:
                return None
            found, path = parts[1], parts[2]
    # Some languages have spaces in it that do not break.
    steps = [" ".join(step.split()) for step in path.split(">")]
    sound = len(path) <= _MAX_PATH and len(steps) <= _MAX_STEPS and all(steps)
    path = " > ".join(steps)
    return Line(found, path) if sound and not _CONTROL.search(path) else None


def _broken(name: str, number: int, row: str, expected: str) -> NoReturn:
    raise Failed(
        f"{name}: line {number} is {safe(row, _LONGEST_SHOWN)!r}; "
        f"a line such as {expected!r} is expected"
    )


# ---- the operator's corrections ---------------------------------------------------------------


def _corrected(
    file: TaxonomyFile | None, published: Sequence[Published], taxonomy: Taxonomy
) -> dict[str, str | None]:
    """Our id, or None for none, by the path of each line that the operator corrects."""
    if file is None:
        return {}
    if len(file.content) > _MAX_CORRECTIONS:
        raise Failed(f"{file.name} has more than {_MAX_CORRECTIONS >> 10} KiB; correct fewer lines")
    try:
        table = read_toml(file.content)
    except Misshapen as misshapen:
        raise Failed(
            f"{file.name} cannot be read", [str(mistake) for mistake in misshapen.mistakes]
        ) from misshapen
    paths = {path_key(line.path) for each in published for line in each.lines}
    mistakes: list[str] = []
    corrected: dict[str, str | None] = {}
    for path, ours in table.items():
        shown = f"{file.name}: {safe(path, _MAX_PATH)!r}"
        if path_key(path) not in paths:
            mistakes.append(f"{shown} is none of the categories imported; write its whole path")
        elif not isinstance(ours, str):
            mistakes.append(f'{shown} must be the id of a category, or "" for none')
        elif ours and ours not in taxonomy.nodes:
            like = nearest(ours, taxonomy.nodes)
            mistakes.append(f"{shown}: there is no category {safe(ours, _MAX_PATH)!r}{like}")
        else:
            corrected[path_key(path)] = ours or None
    if mistakes:
        raise Failed("nothing was imported", mistakes[:_MOST_MISTAKES])
    return corrected
