"""Every text of the pages, as the source has it, and what the catalogues lack.

``python -m tests.support.texts`` prints what is to be added to each catalogue, ready to be pasted.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from babel.messages.extract import extract
from babel.messages.pofile import read_po

WEB = Path(__file__).parents[2] / "letterbox" / "web"
_KEYWORDS = {
    "N_": None,
    "say": None,
    "count": (1, 2),
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
}


class Text(NamedTuple):
    """A text: one form, or two where it counts."""

    forms: tuple[str, ...]
    where: str


def texts() -> Iterator[Text]:
    """Every text of templates and modules."""
    for path in sorted(WEB.rglob("*.py")) + sorted(WEB.rglob("*.html")):
        method = "python" if path.suffix == ".py" else "jinja2.ext:babel_extract"
        options = {"newstyle_gettext": "true", "trimmed": "true"}
        content = io.BytesIO(path.read_bytes())
        for line, said, _, _ in extract(method, content, _KEYWORDS, options=options):
            forms = tuple(each for each in ([said] if isinstance(said, str) else said) if each)
            yield Text(forms, f"{path.relative_to(WEB)}:{line}")


def lacking(language: str) -> list[Text]:
    """Texts that a catalogue does not have, or has no word for in one of its forms."""
    catalogue = read_po(io.BytesIO((WEB / "locale" / f"{language}.po").read_bytes()), language)
    found = {}
    for text in texts():
        message = catalogue.get(text.forms[0])
        said = () if message is None else message.string
        said = (said,) if isinstance(said, str) else said
        fuzzy = message is not None and message.fuzzy
        if fuzzy or not said or not all(said) or len(said) < len(text.forms):
            found.setdefault(text.forms, text)
    return list(found.values())


def unused(language: str) -> list[str]:
    """Texts of a catalogue that nothing says."""
    catalogue = read_po(io.BytesIO((WEB / "locale" / f"{language}.po").read_bytes()), language)
    there = {text.forms[0] for text in texts()}
    ids = [m.id if isinstance(m.id, str) else m.id[0] for m in catalogue if m.id]
    return [each for each in ids if each not in there]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


if __name__ == "__main__":
    for file in sorted((WEB / "locale").glob("*.po")):
        for text in lacking(file.stem):
            print(f"#: {text.where.rpartition(':')[0]}\nmsgid {_quoted(text.forms[0])}")
            if len(text.forms) > 1:
                print(f'msgid_plural {_quoted(text.forms[1])}\nmsgstr[0] ""\nmsgstr[1] ""\n')
            else:
                print('msgstr ""\n')
