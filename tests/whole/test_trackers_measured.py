"""What real mail tells of its readers, counted; and what is left of one campaign to two people."""

import json
import re
from html import unescape

import pytest

from letterbox.cli import main
from letterbox.configuration import shipped
from letterbox.reading.charset import to_text
from letterbox.reading.mail import DEFAULT_LIMITS, split, with_crlf
from letterbox.reading.mime import content, parts
from letterbox.reading.trackers import clean_message, read_rules
from letterbox.reading.trackers.message import leaving_of
from tests.support.shared import real_mail, shared

RULES = read_rules(shipped("trackers.toml"))
_URL = re.compile(r"https?://[^\s\"'<>\])]+")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{4,}")
_LEAVING = re.compile(r"(?i)unsub|opt-?out|afmeld|uitschrijv|abmeld|abbestell")
_LINK = re.compile(r"(?is)<a\s[^>]*?href\s*=\s*[\"']?([^\"'\s>]+)[^>]*>(.*?)</a>")


def texts(raw):
    """What is read of a mail, each part as text."""
    mail = split(raw)
    return [
        to_text(content(mail, part, part.end - part.start), part.charset)
        for part in parts(mail, DEFAULT_LIMITS)
        if part.type.startswith("text/") and not part.attached
    ]


def told_of(raw, but=()):
    """Every word of a mail, but for addresses that begin as one of ``but`` does."""
    found = set()
    for text in texts(raw):
        rest = _URL.sub(lambda url: "" if unescape(url[0])[:300] in but else url[0], text)
        found.update(_TOKEN.findall(unescape(rest)))
    return found


@pytest.mark.parametrize("name", ["katjes", "schreibsuchti"])
def test_nothing_of_one_campaign_tells_its_two_readers_apart_but_their_own_links(name):
    folder = shared("mail/newsletters")
    raws = {each: with_crlf((folder / f"modern-{name}-{each}.eml").read_bytes()) for each in "ab"}
    assert told_of(raws["a"]) - told_of(raws["b"])
    cleaned = {each: clean_message(raw, RULES, "strict") for each, raw in raws.items()}
    own = {
        finding.address
        for done in cleaned.values()
        for finding in done.found.kept
        if finding.why in {"unsubscribe", "account"}
    }
    left = {each: told_of(done.content, own) for each, done in cleaned.items()}
    # The addresses of the two may stand in the text: hpot2212u1@untrack.email.
    assert left["a"] - left["b"] <= {"hpot2212u1"}
    assert left["b"] - left["a"] <= {"hpot2212u2"}
    for done in cleaned.values():
        assert {finding.why for finding in done.found.kept} <= {"unsubscribe", "token-in-path"}


def test_every_link_to_unsubscribe_is_kept():
    if not real_mail():
        shared("mail")
    kept = 0
    for path in real_mail():
        raw = with_crlf(path.read_bytes())
        before = [
            unescape(url)
            for text in texts(raw)
            for url, said in _LINK.findall(text)
            if url.startswith("http") and _LEAVING.search(url + re.sub(r"<[^>]*>", "", said))
        ]
        wanted = {*before, *(url for url in leaving_of(split(raw)) if url.startswith("http"))}
        whole = " ".join(texts(raw))
        for grade in ("careful", "strict"):
            after = unescape(" ".join(texts(clean_message(raw, RULES, grade).content)))
            for url in wanted:
                if url in unescape(whole):
                    assert url in after, (path, grade, url)
                    kept += 1
    assert kept >= 50


def test_cleaned_twice_is_cleaned_once_and_what_is_read_stays():
    for path in real_mail():
        raw = with_crlf(path.read_bytes())
        for grade in ("careful", "strict"):
            done = clean_message(raw, RULES, grade)
            assert clean_message(done.content, RULES, grade).content == done.content, path
            assert done.untouched == (), path
            header = split(raw).header.body_at
            assert done.content[:header] == raw[:header], path


def test_the_figures_of_the_command(capsys):
    folder = shared("mail")
    assert main(["--json", "trackers", str(folder)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["mails"]) == len(real_mail())
    careful, strict = told["all"]["careful"], told["all"]["strict"]
    # Figures of the collection as it is; a rule that takes out more or less shows here.
    for counts in (careful, strict):
        assert (counts["images"], counts["links"], counts["parameters"]) == (1695, 1649, 1322)
        assert counts["kept link unsubscribe"] == 40
        assert counts["kept link account"] == 27
        assert counts["removed image tiny"] == 386
        assert counts["removed image hidden"] == 4
        assert counts["removed image open-counter"] == 3
        assert counts["removed parameter address"] == 12
    assert careful["removed parameter parameter"] == 8
    assert careful["kept link redirect-kept"] == 51
    assert strict["removed parameter parameter"] == 16
    assert strict["removed link target-in-text"] == 40
    assert strict["removed link target-hidden"] == 449
