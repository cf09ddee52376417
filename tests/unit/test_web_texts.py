"""Every text of the pages is there in every language, and is said by the pages alone."""

import gettext
import re

import pytest

from letterbox.model import language as ours
from letterbox.web import Room
from letterbox.web.texts import Texts, load
from tests.support.api import PEOPLE
from tests.support.house import mail, signed
from tests.support.site import open_pages
from tests.support.texts import lacking, texts, unused

LANGUAGES = [each for each in ours.LANGUAGES if each != "en"]
PLACE = re.compile(r"%\(\w+\)[sd]|\{\w+\}")
#: What is written the same in every language, or is of those who wrote it.
DATA = re.compile(
    r"(?:letterbox|Greenleaf Garden|shop@\S+|Pruners|Boots|Winter|garden-tools|anna|[^\w]|\d)+"
)


def test_texts_are_found():
    assert len({text.forms for text in texts()}) > 100
    assert LANGUAGES == ["nl"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_lacks_its_translation(language):
    assert lacking(language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_of_a_text_that_is_gone(language):
    assert unused(language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_speaks_of_what_the_text_does(language):
    said = load()[language]
    wrong = [
        text.where
        for text in texts()
        if set(PLACE.findall(text.forms[0]))
        != set(PLACE.findall(said.catalogue.gettext(text.forms[0])))
        and len(text.forms) == 1
    ]
    assert wrong == []


def places(text: str) -> set[str]:
    return set(PLACE.findall(text))


class Pseudo(gettext.NullTranslations):
    """A language that shows what was translated."""

    def gettext(self, message):
        return f"⟦{message}⟧"

    def ngettext(self, msgid1, msgid2, n):
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"


async def test_nothing_on_a_page_is_written_past_the_catalogue():
    """In a made-up language every word of ours stands between brackets."""

    def pages(app):
        return Room(app.pages()._parts, load() | {"nl": Texts("nl", Pseudo())})

    sent = [
        ("Pruners", "offer", "home-garden/garden-tools"),
        ("Boots", "offer", "fashion/shoes"),
        ("Winter", "newsletter", "home-garden/garden-tools"),
    ]
    async with open_pages(PEOPLE, pages=pages) as site:
        for number, (subject, kind, about) in enumerate(sent):
            fields = {"Letterbox_Kind": kind, "Letterbox_Category": about}
            content = signed(mail(subject, number=number, text="anna", **fields))
            await site.house.send(content, "anna@letterbox.example")
        anna = site.visitor()
        link = await anna.link("anna")
        spoken = {"Accept-Language": "nl"}
        found = [await anna.get(path, headers=spoken) for path in (link, "/signin", "/signin/x")]
        await anna.sign_in("anna")
        lists = ("/inbox", "/waiting", "/refused", "/inbox?q=zz", "/inbox/" + "0" * 32)
        found += [await anna.get(path) for path in lists]
        shown = " ".join(page.body.decode() for page in found)
        items = sorted(set(re.findall(r'"(/(?:inbox|refused)/[0-9a-f]{32})"', shown)))
        assert len(items) == 2
        found += [await anna.get(path) for path in items]
        assert [loose(page.body.decode()) for page in found] == [[]] * len(found)


def loose(html: str) -> list[str]:
    """Words that stand outside of the brackets, and are nobody's data."""
    # What is told of a decision comes from the wording of sentences, which has its own tests.
    html = re.sub(r"(?s)<(\w+)[^>]* data-told[^>]*>.*?</\1>|<time\b.*?</time>", " ", html)
    text = re.sub(r"(?s)⟦.*?⟧", "", re.sub(r"<[^>]*>", "\n", html))
    lines = map(str.strip, text.split("\n"))
    return [line for line in lines if line and not DATA.fullmatch(line)]
