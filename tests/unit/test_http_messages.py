"""``POST /v1/messages``, over a real socket into a whole house."""

import asyncio
from dataclasses import dataclass, field

import pytest

from letterbox.intake import Outcome, Received
from letterbox.model.configuration import Configuration, HttpSection, SmtpSection
from letterbox.model.told import Told
from letterbox.records.categories import Foreign
from tests.support.api import PRUNERS, open_api
from tests.support.house import mail

JSON = {"Content-Type": "application/json"}
MAIL = {"Content-Type": "message/rfc822"}
DEAR = PRUNERS["offer"] | {"price": {"amount": "170", "currency": "EUR"}}


async def test_each_recipient_gets_its_result_in_order_and_a_repeated_one_gets_it_again():
    to = ["ben@letterbox.example", "nobody@letterbox.example", "anna@letterbox.example"]
    async with open_api() as api:
        reply = await api.send(to=[*to, to[0]], offer=DEAR, reference="spring-1")
        assert reply.status == 200
        results = reply.json["results"]
        assert [result["to"] for result in results] == [*to, to[0]]
        assert [result["verdict"] for result in results] == [
            "deliver",
            "refuse",
            "refuse",
            "deliver",
        ]
        assert results[0] == results[3]
        assert {result["your_reference"] for result in results} == {"spring-1"}
        assert results[1]["reason"]["code"] == "no-relationship"
        reason = results[2]["reason"]
        assert reason["code"] == "price-above-limit"
        assert reason["final"] is False
        assert reason["url"].endswith("/r/" + results[2]["reference"])
        assert await api.house.inbox("ben") == ["Pruners for spring"]


async def test_a_message_outside_the_window_is_held_until_a_day():
    async with open_api() as api:
        reply = await api.send(kind="newsletter")
        (result,) = reply.json["results"]
        assert (result["verdict"], result["until"]) == ("hold", "2026-11-28")


# What is wrong with the usual offer: the changes, and the paths that the problem names.
MISTAKES = [
    ({"frob": 1}, ["frob"]),
    ({"kind": "advertising"}, ["kind"]),
    ({"kind": None}, ["kind"]),
    ({"to": []}, ["to"]),
    ({"to": "anna@letterbox.example"}, ["to"]),
    ({"to": ["anna@letterbox.example"] * 101}, ["to"]),
    ({"to": ["anna", "anna@letterbox.example", "a b@x.example"]}, ["to[0]", "to[2]"]),
    ({"to": ['"anna"@letterbox.example']}, ["to[0]"]),
    ({"to": ["anna@letterbox.example\r\nBcc: ben@letterbox.example"]}, ["to[0]"]),
    ({"subject": 7}, ["subject"]),
    ({"subject": "x" * 999}, ["subject"]),
    ({"subject": "Sale\r\nBcc: ben@letterbox.example"}, ["subject"]),
    ({"subject": "Sale\u2028now"}, ["subject"]),
    ({"subject": "nul\0"}, ["subject"]),
    ({"reference": "a\nb"}, ["reference"]),
    ({"reference": ""}, ["reference"]),
    ({"offer": {"price": {"amount": "-1", "currency": "EUR"}}}, ["offer.price.amount"]),
    ({"offer": {"price": {"amount": "1e9", "currency": "EUR"}}}, ["offer.price.amount"]),
    ({"offer": {"price": {"amount": "NaN", "currency": "EUR"}}}, ["offer.price.amount"]),
    ({"to": [7, "anna@letterbox.example", None]}, ["to[0]", "to[2]"]),
    ({"offer": {"price": {"amount": "1", "currency": "euro"}}}, ["offer.price.currency"]),
    ({"offer": {"colour": "red"}}, ["offer.colour"]),
    ({"offer": {"region": "nl"}}, ["offer.region"]),
    ({"offer": {"categories": ["garden-tools"]}}, ["offer.categories[0]"]),
    ({"offer": {"valid_from": "2026-12-02", "valid_until": "2026-12-01"}}, ["offer.valid_until"]),
    ({"offer": {"valid_until": "soon"}}, ["offer.valid_until"]),
]


@pytest.mark.parametrize(("changes", "paths"), MISTAKES)
async def test_every_mistake_is_named_and_nothing_is_sent(changes, paths):
    async with open_api() as api:
        reply = await api.send(**changes)
        assert reply.status == 422, reply.body
        assert reply.headers["Content-Type"] == "application/problem+json"
        problem = reply.json
        assert {"type", "title", "status", "detail"} <= problem.keys()
        assert [error["path"] for error in problem["errors"]] == paths
        assert all(error["mistake"] and error["allowed"] for error in problem["errors"])
        assert await api.house.inbox("anna") == []


WORDS = [
    ({"to": "anna@letterbox.example"}, "'anna@letterbox.example' is not valid here",
     "a list of 1 to 100 mail addresses"),
    ({"to": None}, "it is missing", "a list of 1 to 100 mail addresses"),
    ({"to": []}, "a list of 0 is not valid here", "a list of 1 to 100 mail addresses"),
    ({"to": ["anna@letterbox.example"] * 101}, "a list of 101 is not valid here",
     "a list of 1 to 100 mail addresses"),
    ({"to": [7]}, "7 is not valid here", "a mail address such as anna@letterbox.example"),
    ({"subject": {"en": "Sale"}}, "an object is not valid here",
     "text of at most 998 characters"),
    ({"offer": 3}, "3 is not valid here",
     "an object of categories, title, brand, price, region, keywords, valid_from, valid_until"),
    ({"offer": {"categories": None}}, "null is not valid here",
     "a list of at most 50: text of at least 1 and at most 200 characters"),
    ({"offer": {"price": {"amount": "-1", "currency": "EUR"}}}, "'-1' is not valid here",
     "a number from 0 to below a billion, with six decimals at most"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "mistake", "allowed"), WORDS)
async def test_a_mistake_is_told_in_plain_words(changes, mistake, allowed):
    async with open_api() as api:
        (error,) = (await api.send(**changes)).json["errors"]
        assert (error["mistake"], error["allowed"]) == (mistake, allowed)


async def test_a_body_that_is_no_object_is_told_so():
    async with open_api() as api:
        reply = await api.call("POST", "/v1/messages", who="greenleaf", json=[1])
        assert reply.status == 422
        (error,) = reply.json["errors"]
        assert (error["path"], error["mistake"]) == ("the body", "a list of 1 is not valid here")
        assert error["allowed"].startswith("an object of to, kind, subject, text")


REPEATED = [
    (b'{"to": ["a@b.example"], "kind": "offer", "subject": "x", "text": "y", "kind": "offer"}',
     "'kind'"),
    (b'{"to": 7, "to": 7}', "'to'"),
    (b'{"offer": {"price": {"amount": "1", "am\\u006funt": "2"}}}', "'amount'"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "name"), REPEATED)
async def test_a_name_may_stand_in_an_object_once(body, name):
    async with open_api() as api:
        reply = await api.call("POST", "/v1/messages", who="greenleaf", data=body, headers=JSON)
        assert reply.status == 400
        assert reply.json["detail"] == f"{name} stands there twice in one object"


async def test_a_category_may_be_written_as_another_taxonomy_has_it():
    async with open_api() as api:
        lines = [
            Foreign(id="3214", path="Sporting Goods > Cycling", ours="sports-outdoors/cycling")
        ]
        await api.house.app.categories.replace("google", lines)
        for label in ("google:3214", "Sporting Goods > Cycling", "sports-outdoors/cycling"):
            reply = await api.send(offer={"categories": [label, "sports-outdoors/cycling"]})
            assert reply.status == 200, reply.body
        rows = (await api.call("GET", "/v1/me/decisions", who="anna")).json["items"]
        for row in rows:
            told = await api.call("GET", f"/v1/me/decisions/{row['id']}?language=en", who="anna")
            assert "It is about Cycling, as the sender declares." in str(told.json)
        assert len(rows) == 3
        unknown = await api.send(offer={"categories": ["google:1"]})
        assert unknown.status == 422


async def test_an_unknown_category_is_answered_with_its_neighbour():
    async with open_api() as api:
        reply = await api.send(offer={"categories": ["home-garden/garden-tool"]})
        assert "home-garden/garden-tools" in reply.json["errors"][0]["allowed"]


MALFORMED = [
    (b"", "line 1, column 1"),
    (b'{"to": ["a"],\n "kind": tru}', "line 2, column 14"),
    (b"\xff{}", "line 1, column 1"),
    (b'{"subject": "\xc3("}', "line 1, column 14"),
    (b"[" * 100_000, "nested too deeply"),
    (b"\xef\xbb\xbf{}", "line 1, column 1"),
]


@pytest.mark.parametrize(("body", "place"), MALFORMED)
async def test_malformed_json_is_answered_with_its_place(body, place):
    async with open_api() as api:
        reply = await api.call("POST", "/v1/messages", who="greenleaf", data=body, headers=JSON)
        assert reply.status == 400
        assert reply.json["type"].endswith("#malformed-json")
        assert place in reply.json["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json", "Idempotency-Key": "a b"}, 422),
        ({"Content-Type": "application/json", "Idempotency-Key": "x" * 256}, 422),
    ],
)
async def test_what_a_request_may_not_carry(headers, status):
    async with open_api() as api:
        reply = await api.call("POST", "/v1/messages", who="greenleaf", data=b"{}", headers=headers)
        assert reply.status == status


async def test_html_comes_beside_the_text():
    async with open_api() as api:
        await api.send(html="<p>The <b>good</b> ones.</p>")
        entry = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"][0]
        raw = await api.call("GET", f"/v1/me/inbox/{entry['id']}/raw", who="anna")
        assert b"multipart/alternative" in raw.body
        assert b"<b>good</b>" in raw.body


# ---- mail as it is ----------------------------------------------------------------------------


async def test_mail_is_stored_as_it_was_received_even_with_bare_lf():
    content = mail(Letterbox_Kind="offer", Letterbox_Category="home-garden/garden-tools")
    content = content.replace(b"\r\n", b"\n")
    async with open_api() as api:
        reply = await api.call(
            "POST",
            "/v1/messages?to=anna@letterbox.example&to=ben@letterbox.example",
            who="greenleaf",
            data=content,
            headers=MAIL,
        )
        assert [result["verdict"] for result in reply.json["results"]] == ["deliver", "deliver"]
        entry = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"][0]
        path = f"/v1/me/inbox/{entry['id']}/raw"
        original = await api.call("GET", f"{path}?original=1", who="anna")
        assert original.body == content
        traced = await api.call("GET", path, who="anna")
        assert traced.headers["Content-Type"] == "message/rfc822"
        assert traced.body.startswith(
            b"Return-Path: <>\r\nDelivered-To: anna@letterbox.example\r\n"
        )
        assert b"\n" not in traced.body.replace(b"\r\n", b"")


async def test_mail_that_is_sent_again_is_answered_with_the_message_there_is():
    query = "?to=anna@letterbox.example&to=ben@letterbox.example"
    content = mail(Letterbox_Kind="offer", Letterbox_Category="home-garden/garden-tools")

    async with open_api() as api:
        first, again = [
            await api.call(
                "POST", f"/v1/messages{query}", who="greenleaf", data=content, headers=MAIL
            )
            for _ in range(2)
        ]
        assert again.json == first.json
        (decision,) = (await api.call("GET", "/v1/me/decisions", who="anna")).json["items"]
        assert decision["message"] == again.json["id"]


async def test_the_trace_says_how_the_author_was_proven():
    async with open_api() as api:
        await api.send()
        entry = (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"][0]
        raw = await api.call("GET", f"/v1/me/inbox/{entry['id']}/raw", who="anna")
        assert (
            b"Authentication-Results: letterbox.example;\r\n"
            b" none (the author is proven by the vendor's API key)\r\n"
        ) in raw.body


WHOLE = [
    (mail(domain="voltshop.example"), 422, "author-not-yours"),
    (mail().replace(b"From: ", b"Fram: "), 422, "author-ambiguous"),
    (mail() + b"x" * 40_000, 413, "message-too-large"),
]


@pytest.mark.parametrize(("content", "status", "code"), WHOLE)
async def test_what_is_wrong_with_the_mail_itself_answers_the_whole_request(content, status, code):
    configuration = Configuration(
        public_url="https://letterbox.example", smtp=SmtpSection(max_size=40_000)
    )
    async with open_api(configuration=configuration) as api:
        reply = await api.call(
            "POST",
            "/v1/messages?to=anna@letterbox.example",
            who="greenleaf",
            data=content,
            headers=MAIL,
        )
        assert (reply.status, reply.json["type"]) == (
            status,
            f"https://letterbox.example/reasons/{code}",
        )


@pytest.mark.parametrize("query", ["", "?to=anna", "?to=" + "&to=".join(["a@b.example"] * 101)])
async def test_mail_needs_recipients(query):
    async with open_api() as api:
        reply = await api.call(
            "POST", f"/v1/messages{query}", who="greenleaf", data=mail(), headers=MAIL
        )
        assert reply.status == 422
        assert reply.json["errors"][0]["path"].startswith("to")


# ---- the same again ---------------------------------------------------------------------------


async def test_a_key_used_a_hundred_times_at_once_has_one_effect_and_one_answer():
    async with open_api() as api:
        await api.credential("greenleaf")
        calls = [
            api.call(
                "POST",
                "/v1/messages",
                who="greenleaf",
                json=PRUNERS,
                headers={"Idempotency-Key": "spring-1"},
            )
            for _ in range(100)
        ]
        replies = await asyncio.gather(*calls)
        assert {(reply.status, reply.body) for reply in replies} == {(200, replies[0].body)}
        assert await api.house.inbox("anna") == ["Pruners for spring"]


async def test_a_key_used_for_something_else_is_refused():
    async with open_api() as api:
        key = {"Idempotency-Key": "spring-1"}
        form = PRUNERS | {"subject": "Something else"}
        first = await api.call("POST", "/v1/messages", who="greenleaf", json=PRUNERS, headers=key)
        second = await api.call("POST", "/v1/messages", who="greenleaf", json=form, headers=key)
        assert (first.status, second.status) == (200, 422)
        assert second.json["type"].endswith("#key-reused")
        assert await api.house.inbox("anna") == ["Pruners for spring"]


async def test_without_a_key_each_call_is_new():
    async with open_api() as api:
        assert (await api.send()).json["id"] != (await api.send()).json["id"]
        assert len(await api.house.inbox("anna")) == 2


# ---- what goes wrong --------------------------------------------------------------------------


@dataclass
class Stub:
    """An intake that says one thing."""

    told: Told
    seen: list = field(default_factory=list)

    async def receive(self, envelope, content, submission=None):
        self.seen.append((envelope, content, submission))
        outcomes = tuple(Outcome(recipient=r, told=self.told) for r in envelope.recipients)
        return Received(message="m1", outcomes=outcomes)


@pytest.mark.parametrize(
    ("code", "status", "wait"),
    [("store-unavailable", 503, "60"), ("rate-limited", 429, "1"), ("lookup-failed", 503, "300")],
)
async def test_our_trouble_answers_the_whole_request_and_says_when_to_try_again(code, status, wait):
    async with open_api() as api:
        told = api.house.app.disclosure.tell_all(code, "r" * 22)
    async with open_api(intake=Stub(told)) as api:
        reply = await api.send()
        assert (reply.status, reply.headers["Retry-After"]) == (status, wait)
        assert reply.json["type"].endswith(f"/reasons/{code}")


class Broken:
    """An intake with a mistake of ours in it."""

    async def receive(self, envelope, content, submission=None):
        raise RuntimeError("a secret detail")


async def test_a_fault_of_ours_tells_nothing_of_itself():
    async with open_api(intake=Broken()) as api:
        reply = await api.send()
        assert reply.status == 500
        assert reply.json["type"].endswith("#our-fault")
        assert b"secret" not in reply.body
        assert reply.json["instance"]


async def test_a_body_that_is_too_large_is_refused_before_it_is_read():
    configuration = Configuration(http=HttpSection(max_body=1000))
    async with open_api(configuration=configuration) as api:
        key = await api.credential("greenleaf")
        head = (
            f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\n"
        )
        declared = await api.raw(f"{head}Content-Length: 1001\r\n\r\n".encode() + b" " * 1001)
        chunked = await api.raw(
            f"{head}Transfer-Encoding: chunked\r\n\r\n3e9\r\n".encode()
            + b" " * 1001
            + b"\r\n0\r\n\r\n"
        )
        for answer in (declared, chunked):
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert b"1,000 octets" in answer


async def test_a_slow_body_is_given_up():
    configuration = Configuration(http=HttpSection(body_timeout=0.05))
    async with open_api(configuration=configuration) as api:
        key = await api.credential("greenleaf")
        answer = await api.raw(
            f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Basic Z3JlZW5sZWFm",
        "Bearer lbk_wrong",
        "Bearer " + "x" * 5000,
        "Bearer lbk_\x7f",
        "anna",
    ],
)
async def test_without_a_valid_key_nothing_is_told(authorization):
    async with open_api() as api:
        headers = {"Authorization": authorization} if authorization else {}
        try:
            reply = await api.call("POST", "/v1/messages", json=PRUNERS, headers=headers)
        except ValueError:
            return  # the client itself refuses to send it
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"].startswith("Bearer ")
        assert reply.json["type"].endswith("#unauthorized")


async def test_a_token_is_no_key_and_a_key_no_token():
    async with open_api() as api:
        assert (await api.call("POST", "/v1/messages", who="anna", json=PRUNERS)).status == 401
        assert (await api.call("GET", "/v1/me/inbox", who="greenleaf")).status == 401


async def test_a_revoked_key_is_no_key_any_more():
    async with open_api() as api:
        key = await api.credential("greenleaf")
        assert (await api.send()).status == 200
        await api.house.app.credentials.revoke("_".join(key.split("_")[:2]))
        assert (await api.send()).status == 401


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        ({"none": ["islam"]}, "islam", "choice"),
        ({"none": ["chainsaw"]}, "chainsaw", "keyword-excluded"),
        ({"any": ["psychologists"]}, "psychologists", "choice"),
    ],
)
async def test_a_wish_in_sensitive_words_is_told_as_little_as_a_category(words, text, code):
    price = {"amount": "10", "currency": "EUR"}
    interest = {"id": "a", "keywords": words, **({"max_price": price} if "any" in words else {})}
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        done = await api.call(
            "PUT",
            "/v1/me/preferences",
            who="anna",
            json={**got.json, "interest": [interest], "window": []},
            headers={"If-Match": got.headers["ETag"]},
        )
        assert done.status == 200, done.body
        reply = await api.send(text=f"About {text}.")
        (result,) = reply.json["results"]
        assert result["reason"]["code"] == code
        assert (text in str(result)) == (code != "choice")
