"""Pages, the description of the API, and what every answer carries."""

import re
from importlib import resources
from importlib.metadata import version

import msgspec
import pytest
from markupsafe import escape

from letterbox.configuration import shipped
from letterbox.gateways.http.examples import EXAMPLES
from letterbox.gateways.http.problems import KINDS, ProblemDocument
from letterbox.gateways.http.routes import ROUTES
from letterbox.model.configuration import Configuration, VendorsSection
from letterbox.model.reason import read_registry
from tests.support.api import PEOPLE, open_api
from tests.support.counting import Counting
from tests.support.house import mail

DEAR = {"categories": ["home-garden/garden-tools"], "price": {"amount": "170", "currency": "EUR"}}
PUBLIC = ["/", "/docs", "/reasons", "/reasons/price-above-limit", "/reasons/nope", "/r/nope"]

# ---- the page of one message ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Refused", "The price is above the limit", "at most 150.00 EUR", "Not final")),
        ("nl", ("Geweigerd", "De prijs", "hoogstens 150.00 EUR", "Niet definitief")),
    ],
)
async def test_the_page_of_a_refusal_says_what_was_told_and_not_to_whom(language, words):
    async with open_api() as api:
        (result,) = (await api.send(offer=DEAR)).json["results"]
        page = await api.call("GET", f"/r/{result['reference']}?lang={language}")
        text = page.body.decode()
        assert page.status == 200
        for word in (*words, "/reasons/price-above-limit", "550 5.7.1", result["reference"]):
            assert word in text
        assert "anna" not in text
        assert "garden-tools" not in text
        assert "<script" not in text
        assert 'content="noindex"' in text
        assert page.headers["X-Robots-Tag"] == "noindex"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Content-Language"] == language


@pytest.mark.parametrize(
    ("field", "language"),
    [
        (None, "en"),
        ("nl", "nl"),
        ("nl-BE, fr;q=0.9", "nl"),
        ("fr, nl;q=0.3, en;q=0.7", "en"),
        ("en;q=0.1, nl;q=0.2", "nl"),
        ("en;q=0, nl;q=0.001", "nl"),
        ("de, fr", "en"),
        ("nl;q=2, ;;;, *;q=x", "en"),
        ("NL", "nl"),
        (f"{'x,' * 4000}nl", "en"),
    ],
)
async def test_a_page_is_in_the_language_of_its_reader(field, language):
    async with open_api() as api:
        headers = {"Accept-Language": field} if field else {}
        for path in ("/", "/reasons", "/reasons/too-often", "/reasons/nope", "/r/nope"):
            page = await api.call("GET", path, headers=headers)
            assert page.headers["Content-Language"] == language
            assert page.headers["Vary"] == "Accept-Language"
            assert f'<html lang="{language}">' in page.body.decode()
            other = {"en": "nl", "nl": "en"}[language]
            assert f'<a href="?lang={other}" hreflang="{other}"' in page.body.decode()
            chosen = await api.call("GET", f"{path}?lang={other}", headers=headers)
            assert chosen.headers["Content-Language"] == other
            # Whoever chose a language goes on in it.
            assert f'href="/reasons?lang={other}"' in chosen.body.decode()
        page = await api.call("GET", "/r/nope?lang=de", headers=headers)
        assert (page.status, page.headers["Content-Language"]) == (404, language)
        assert "?lang=de" not in page.body.decode()


@pytest.mark.parametrize(
    ("tells", "english", "dutch", "missing"),
    [
        ("nothing", "no-relationship", "Geen relatie", "pri"),
        ("class", "does not want this", "De ontvanger wil dit niet", "price-above-limit"),
        ("reason", "price-above-limit", "De prijs is hoger", "150"),
        ("remedy", "at most 150.00 EUR", "hoogstens 150.00 EUR", "anna"),
    ],
)
async def test_the_page_tells_no_more_than_the_level(tells, english, dutch, missing):
    people = PEOPLE.replace(
        'vendor = "greenleaf"\n  accepts', f'vendor = "greenleaf"\n  tells = "{tells}"\n  accepts'
    )
    async with open_api(people) as api:
        (result,) = (await api.send(offer=DEAR)).json["results"]
        for language, there in (("en", english), ("nl", dutch)):
            page = await api.call("GET", f"/r/{result['reference']}?lang={language}")
            # The reference's digits are drawn, and may spell anything.
            text = page.body.decode().replace(result["reference"], "")
            assert there in text
            assert missing not in text


@pytest.mark.parametrize("language", ["en", "nl"])
async def test_a_hold_at_level_class_is_not_called_unwanted(language):
    people = PEOPLE.replace(
        'vendor = "greenleaf"\n  accepts', 'vendor = "greenleaf"\n  tells = "class"\n  accepts'
    )
    async with open_api(people) as api:
        (result,) = (await api.send(kind="newsletter")).json["results"]
        page = await api.call("GET", f"/r/{result['reference']}?lang={language}")
        said = {"en": "The recipient decides later", "nl": "De ontvanger beslist later"}
        assert said[language] in page.body.decode()


@pytest.mark.parametrize(
    ("language", "until", "final"),
    [("en", "Held until 2026-11-28", "inal"), ("nl", "In bewaring tot 2026-11-28", "efinitief")],
)
async def test_the_page_of_what_is_held_says_its_day_once_and_asks_for_nothing(
    language, until, final
):
    async with open_api() as api:
        (result,) = (await api.send(kind="newsletter")).json["results"]
        page = await api.call("GET", f"/r/{result['reference']}?lang={language}")
        text = page.body.decode()
        assert until in text
        assert text.count("2026-11-28") == 1
        assert final not in text


LOCKED_OUT = {
    "vendor": "greenleaf",
    "standing": "blocked",
    "because": "too-often",
    "remedy": {"limit": {"messages": 1, "per": "month"}},
}
CAUSE = {"en": "Locked out: too often", "nl": "Buitengesloten: te vaak"}
REMEDY = {"en": "at most 1 per month", "nl": "hoogstens 1 per maand"}


@pytest.mark.parametrize("language", ["en", "nl"])
async def test_the_page_of_a_lock_out_says_how_to_come_back(language):
    async with open_api() as api:
        await api.send()
        path = "/v1/me/vendors/greenleaf"
        await api.call("PUT", path, who="anna", json=LOCKED_OUT, headers={"If-Match": "*"})
        (event,) = await api.house.feed("greenleaf")
        (result,) = (await api.send(subject="Another")).json["results"]
        for reference in (event.reference, result["reference"]):
            page = await api.call("GET", f"/r/{reference}?lang={language}")
            text = page.body.decode()
            assert CAUSE[language] in text
            assert REMEDY[language] in text
            assert f"POST /v1/relations/{reference}/reconnect" in text
            assert "anna" not in text
        rule = {"vendor": "greenleaf"}
        await api.call("PUT", path, who="anna", json=rule, headers={"If-Match": "*"})
        back = (await api.house.feed("greenleaf"))[-1]
        page = (await api.call("GET", f"/r/{back.reference}?lang={language}")).body.decode()
        assert {"en": "has changed what may come", "nl": "heeft veranderd wat"}[language] in page
        assert "Delivered" not in page
        assert "reconnect" not in page


@pytest.mark.parametrize("language", ["en", "nl"])
async def test_who_exists_shows_neither_in_a_page_nor_in_its_work(language, monkeypatch):
    people = PEOPLE.replace('vendor = "greenleaf"\n  accepts', 'vendor = "voltshop"\n  accepts')
    async with open_api(people) as api:
        both = ["anna@letterbox.example", "nobody@letterbox.example"]
        results = (await api.send(to=both)).json["results"]
        pages, costs = [], []
        for result in results:
            with monkeypatch.context() as patch:
                counting = Counting(api.house, patch)
                page = await api.call("GET", f"/r/{result['reference']}?lang={language}")
            costs.append(counting.taken())
            pages.append(page.body.replace(result["reference"].encode(), b""))
        assert pages[0] == pages[1]
        assert costs[0] == costs[1]


@pytest.mark.parametrize("opened", [False, True])
async def test_a_page_says_how_to_hear_more(opened):
    configuration = Configuration(
        public_url="https://letterbox.example",
        vendors=VendorsSection(self_registration=opened),
    )
    async with open_api(configuration=configuration) as api:
        for language in ("en", "nl"):
            page = await api.call("GET", f"/r/{'0' * 32}?lang={language}")
            assert (b"POST /v1/vendors" in page.body) == opened
            assert (b"postmaster@letterbox.example" in page.body) == (not opened)


async def test_what_is_accepted_at_level_nothing_stays_accepted_on_its_page():
    people = PEOPLE.replace(
        'vendor = "greenleaf"\n  accepts', 'vendor = "greenleaf"\n  tells = "nothing"\n  accepts'
    )
    async with open_api(people) as api:
        delivered = (await api.send()).json["results"][0]
        held = (await api.send(kind="newsletter")).json["results"][0]
        pages = []
        for result in (delivered, held):
            assert result.keys() == {"to", "verdict", "reference"}
            assert result["verdict"] == "accepted"
            page = await api.call("GET", f"/r/{result['reference']}")
            pages.append(page.body.replace(result["reference"].encode(), b""))
        assert pages[0] == pages[1]


async def test_the_page_of_a_stranger_is_the_page_of_one_that_never_was():
    async with open_api() as api:
        received = await api.house.send(mail(domain="unknown.example"), "anna@letterbox.example")
        told = received.outcomes[0].told
        pages = [
            await api.call("GET", f"/r/{name}")
            for name in (told.reference, "0" * 22, "x" * 32, "short", "%00", "a%20b", "x" * 500)
        ]
        assert {page.status for page in pages} == {404}
        assert len({page.body for page in pages}) == 1
        assert len({tuple(sorted(set(page.headers) - {"Date"})) for page in pages}) == 1


# ---- what every answer carries ----------------------------------------------------------------


@pytest.mark.parametrize("path", PUBLIC)
async def test_pages_are_plain_and_ask_for_nothing_elsewhere(path):
    async with open_api() as api:
        page = await api.call("GET", path)
        text = page.body.decode()
        assert page.headers["Content-Type"].startswith("text/html")
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert text.count("<h1>") == 1
        assert '<html lang="en">' in text
        for active in ("<script", "style=", "<style", "http://", "https://", "javascript:"):
            assert active not in text
        assert (await api.call("GET", "/style.css")).status == 200


async def test_every_registered_reason_has_its_page_in_both_languages():
    async with open_api() as api:
        everything = (await api.call("GET", "/reasons")).body.decode()
        for code, reason in api.house.app.registry.items():
            assert f'href="/reasons/{code}"' in everything
            for language, texts in reason.texts.items():
                page = await api.call("GET", f"/reasons/{code}?lang={language}")
                text = page.body.decode()
                assert page.status == 200
                assert f"{reason.reply} {reason.enhanced}" in text
                assert escape(texts.title) in text
                assert "{" not in text
                assert "<var></var>" not in text


@pytest.mark.parametrize(
    ("name", "english", "dutch", "code"),
    [
        ("choice", "does not want this", "De ontvanger wil dit niet", "price-above-limit"),
        ("timing", "does not want this now", "De ontvanger wil dit nu niet", "too-often"),
        ("sender", "is not proven as", "is niet bewezen zoals", "dkim-missing"),
    ],
)
async def test_a_class_that_stands_in_place_of_a_code_has_its_page(name, english, dutch, code):
    async with open_api() as api:
        everything = (await api.call("GET", "/reasons")).body.decode()
        assert f'href="/reasons/{name}"' in everything
        for language, title in (("en", english), ("nl", dutch)):
            page = await api.call("GET", f"/reasons/{name}?lang={language}")
            text = page.body.decode()
            assert (page.status, page.headers["Content-Language"]) == (200, language)
            assert title in text
            assert f'href="/reasons/{code}?lang={language}"' in text
            # What is told by a code of its own, whatever the level, is not among them.
            for other in ("no-relationship", "recipient-unknown", "author-not-yours"):
                assert other not in text
        assert name not in api.house.app.registry


async def test_whatever_is_told_at_level_class_is_in_the_catalogue():
    people = PEOPLE.replace(
        'vendor = "greenleaf"\n  accepts', 'vendor = "greenleaf"\n  tells = "class"\n  accepts'
    )
    async with open_api(people) as api:
        everything = (await api.call("GET", "/reasons")).body.decode()
        for changes in ({"offer": DEAR}, {"kind": "newsletter"}):
            (result,) = (await api.send(**changes)).json["results"]
            code = result["reason"]["code"]
            assert f'href="/reasons/{code}"' in everything
            assert (await api.call("GET", f"/reasons/{code}")).status == 200
            page = (await api.call("GET", f"/r/{result['reference']}")).body.decode()
            assert f'href="/reasons/{code}"' in page


async def test_the_page_of_a_reason_shows_how_it_reads():
    async with open_api() as api:
        page = (await api.call("GET", "/reasons/price-above-limit")).body.decode()
        assert "at most <var>150.00 EUR</var>." in page
        page = (await api.call("GET", "/reasons/price-above-limit?lang=nl")).body.decode()
        assert "<var>169.95 EUR</var> is meer dan je grens van <var>150.00 EUR</var>" in page
        page = (await api.call("GET", "/reasons/kind-not-wanted")).body.decode()
        assert "send only <var>service mail, offers</var>." in page
        page = (await api.call("GET", "/reasons/kind-not-wanted?lang=nl")).body.decode()
        assert "stuur alleen <var>servicemail, aanbiedingen</var>." in page


async def test_every_answer_is_guarded_and_names_no_version():
    async with open_api() as api:
        calls = [(route.method, route.path) for route in ROUTES]
        calls += [("GET", "/nope"), ("BREW", "/"), ("OPTIONS", "/"), ("HEAD", "/reasons")]
        for method, pattern in calls:
            path = re.sub(r"\{\w+\}", "x", pattern)
            for who in (None, "anna"):
                reply = await api.call(method, path, who=who)
                assert reply.headers["Server"] == "letterbox"
                assert reply.headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
                assert "Access-Control-Allow-Origin" not in reply.headers
                assert reply.status < 500


ODD = ["%ED%A0%80", "%00", "%FF", "%2F", "%2e%2e", "%0d%0a", "%F0%9F%8C%B1", "%25", "%", "a" * 4000]
WITH_NAMES = [(route.method, route.path, route.who) for route in ROUTES if "{" in route.path]


@pytest.mark.parametrize(("method", "pattern", "who"), WITH_NAMES)
async def test_what_cannot_be_a_name_is_not_there(method, pattern, who):
    async with open_api() as api:
        token = await api.credential({"consumer": "anna", "vendor": "greenleaf"}.get(who, "anna"))
        for odd in ODD:
            path = re.sub(r"\{\w+\}", odd, pattern)
            answer = await api.raw(
                f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n"
                "\r\n{}".encode()
            )
            assert answer.startswith(b"HTTP/1.1 404 "), (path, answer[:300])


@pytest.mark.parametrize("path", ["/", "/reasons", "/openapi.json"])
async def test_head_is_get_without_the_body(path):
    async with open_api() as api:
        get, head = await api.call("GET", path), await api.call("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == str(len(get.body))


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("PUT", "/v1/messages", 405, "OPTIONS, POST"),
        ("GET", "/v1/messages", 405, "OPTIONS, POST"),
        ("POST", "/v1/me/preferences", 405, "GET, HEAD, OPTIONS, PUT"),
        ("OPTIONS", "/v1/me/preferences", 204, "GET, HEAD, OPTIONS, PUT"),
        ("PROPFIND", "/", 405, "GET, HEAD, OPTIONS"),
    ],
)
async def test_what_may_be_done_is_named(method, path, status, allowed):
    async with open_api() as api:
        reply = await api.call(method, path)
        assert (reply.status, reply.headers["Allow"]) == (status, allowed)


def test_the_words_of_the_pages_are_the_same_in_both_languages():
    words = msgspec.toml.decode(shipped("pages.toml"))
    english, dutch = (flat(words[language]) for language in ("en", "nl"))
    assert english.keys() == dutch.keys()
    assert all(english.values())
    assert all(dutch.values())
    assert {name for name in english if english[name] == dutch[name]} == {"code", "site"}
    used = {reason.enhanced for reason in read_registry(shipped("reasons.toml")).values()}
    assert used == set(words["en"]["wire"])


def flat(words, before=""):
    found = {}
    for name, value in words.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{name}.")
        else:
            found[before + name] = value
    return found


# ---- the description --------------------------------------------------------------------------


async def test_the_description_holds_every_route_and_the_docs_too():
    async with open_api() as api:
        document = (await api.call("GET", "/openapi.json")).json
        assert document["info"]["version"] == version("letterbox")
        docs = (await api.call("GET", "/docs")).body.decode()
        described = {
            (method.upper(), path)
            for path, methods in document["paths"].items()
            for method in methods
        }
        assert described == {(route.method, route.path) for route in ROUTES}
        for route in ROUTES:
            assert f"{route.method} {route.path}" in docs
        for name in KINDS:
            assert f'id="{name}"' in docs


async def test_every_reference_in_the_description_leads_somewhere():
    async with open_api() as api:
        body = (await api.call("GET", "/openapi.json")).body
        document = msgspec.json.decode(body)
        found = [piece.split(b'"')[0] for piece in body.split(b'"$ref":"')[1:]]
        assert found
        for reference in found:
            place = document
            for step in reference.decode().removeprefix("#/").split("/"):
                place = place[step]


@pytest.mark.parametrize("kind", [*EXAMPLES, ProblemDocument], ids=str)
async def test_every_example_is_one(kind):
    if kind is ProblemDocument:
        async with open_api() as api:
            body = (await api.call("GET", "/nope")).body
    else:
        body = msgspec.json.encode(EXAMPLES[kind])
    value = msgspec.json.decode(body, type=kind)
    assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value


def test_every_type_in_the_table_has_an_example():
    types = [t for route in ROUTES for t in (*route.takes.values(), *route.gives.values()) if t]
    assert set(types) == set(EXAMPLES)


async def test_the_examples_may_be_sent():
    configuration = Configuration(public_url="https://letterbox.example")
    kinds = {
        kind.__name__: example for kind, example in EXAMPLES.items() if hasattr(kind, "__name__")
    }
    async with open_api(configuration=configuration) as api:
        sent = await api.call("POST", "/v1/messages", who="greenleaf", json=kinds["NewMessage"])
        assert sent.status == 200
        put = await api.call(
            "PUT",
            "/v1/me/preferences",
            who="anna",
            json=kinds["Preferences"],
            headers={"If-Match": "*"},
        )
        assert put.status == 200, put.body


def test_the_public_pages_have_the_tokens_of_all_others():
    def tokens(path: str) -> set[str]:
        text = (resources.files("letterbox") / path).read_text("utf-8")
        return set(re.findall(r"--[\w-]+: [^;]+;", text.partition("\n*,")[0]))

    public = tokens("gateways/http/templates/style.css")
    assert len(public) > 30
    assert public <= tokens("web/static/letterbox.css")
