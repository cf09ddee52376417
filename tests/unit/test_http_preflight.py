"""``POST /v1/preflight``: what would stand against a message; less than sending it would tell."""

import asyncio
from datetime import timedelta

import pytest

from letterbox.model.configuration import Configuration, ProbesSection, SmtpSection
from letterbox.model.vendor import Suspension
from tests.support.api import PRUNERS, open_api
from tests.support.counting import Counting
from tests.support.house import HERE, mail, signed
from tests.support.signing import Signer, craft

ANNA, BEN, NOBODY = (f"{name}@letterbox.example" for name in ("anna", "ben", "nobody"))
DEAR = {"categories": ["home-garden/garden-tools"], "price": {"amount": "170", "currency": "EUR"}}
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[vendor]]
id = "voltshop"
name = "Voltshop"
domains = ["voltshop.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example",
             {{ address = "anna+volt@letterbox.example", vendor = "voltshop" }}]
  [[consumer.interest]]
  id = "garden-tools"
  categories = ["home-garden/garden-tools"]
  max_price = {{ amount = "150.00", currency = "EUR" }}
  [[consumer.window]]
  days = ["tue"]
  from = "09:00"
  until = "12:00"
  kinds = ["newsletter"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  tells = "{tells}"

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
newcomers = "{newcomers}"
interest = [{{ id = "all", open_to = "anyone" }}]
"""


def api_of(tells="remedy", newcomers="refuse", **probes):
    configuration = Configuration(
        public_url="https://letterbox.example", probes=ProbesSection(**probes)
    )
    people = PEOPLE.format(tells=tells, newcomers=newcomers)
    return open_api(people, configuration=configuration)


async def ask(api, *, who="greenleaf", **changes):
    form = {k: v for k, v in (PRUNERS | changes).items() if v is not None}
    return await api.call("POST", "/v1/preflight", who=who, json=form)


async def seen(api, **changes):
    reply = await ask(api, **changes)
    assert reply.status == 200, reply.body
    return reply.json


async def foretold(api, **changes):
    (one,) = (await seen(api, **changes))["recipients"]
    return one


async def of_mail(api, content, query="", who="greenleaf"):
    headers = {"Content-Type": "message/rfc822"}
    reply = await api.call("POST", f"/v1/preflight{query}", who=who, data=content, headers=headers)
    assert reply.status == 200, reply.body
    return reply.json


def codes(notes):
    return [note["code"] for note in notes]


# ---- what it keeps ----------------------------------------------------------------------------


async def test_nothing_is_decided_stored_or_sent():
    async with api_of() as api:
        for changes in ({}, {"offer": DEAR}, {"kind": "newsletter"}, {"to": [BEN]}):
            await seen(api, **changes)
        house = api.house
        await house.work()
        assert await house.inbox("anna") == []
        assert await house.feed("greenleaf") == []
        assert (await house.app.mailboxes.decisions("anna", after=None, limit=10)).items == ()
        assert (await house.app.mailboxes.held("anna", after=None, limit=10)).items == ()
        assert (await api.call("GET", "/v1/stats", who="greenleaf")).json["items"] == []
        assert house.app.store._bodies == {}


# ---- what it says -----------------------------------------------------------------------------


async def test_it_says_what_stands_against_a_message_and_how_it_is_read():
    async with api_of() as api:
        found = await seen(api, offer=DEAR)
        assert found["form"] == {"fits": True, "notes": []}
        assert found["proof"] is None
        assert found["read"]["kind"] == "offer"
        assert found["read"]["categories"] == ["home-garden/garden-tools"]
        assert found["read"]["offers"][0]["price"] == {"amount": "170", "currency": "EUR"}
        (one,) = found["recipients"]
        assert (one["to"], one["verdict"]) == (ANNA, "refuse")
        assert one["reason"]["code"] == "price-above-limit"
        assert one["reason"]["remedies"] == ["at most 150.00 EUR"]
        assert one["reason"]["url"] == "https://letterbox.example/reasons/price-above-limit"


@pytest.mark.parametrize("tells", ["class", "reason", "remedy"])
async def test_it_tells_as_much_of_a_refusal_and_a_hold_as_the_answer_would(tells):
    async with api_of(tells) as api:
        for changes in ({"offer": DEAR}, {"kind": "newsletter"}):
            ahead = await foretold(api, **changes)
            (sent,) = (await api.send(**changes)).json["results"]
            assert ahead["verdict"] == sent["verdict"]
            assert ahead.get("until") == sent.get("until")
            told, answered = ahead["reason"], sent["reason"]
            assert told.pop("url") == f"https://letterbox.example/reasons/{told['code']}"
            answered.pop("url")
            assert told == answered


async def test_that_nothing_stands_against_it_is_no_promise():
    async with api_of() as api:
        reply = await ask(api)
        assert reply.json["recipients"] == [{"to": ANNA, "verdict": "open"}]
        assert b"deliver" not in reply.body


async def test_every_recipient_is_answered_in_order_also_twice():
    async with api_of() as api:
        to = [BEN, ANNA, "ANNA@letterbox.example", BEN]
        found = await seen(api, to=to)
        assert [one["to"] for one in found["recipients"]] == to
        assert [one["verdict"] for one in found["recipients"]] == [
            "untold",
            "open",
            "open",
            "untold",
        ]


async def test_what_calls_itself_service_and_reads_as_an_offer_is_told_so():
    async with api_of() as api:
        found = await seen(api, kind="service")
        assert found["read"]["kind"] == "offer"
        assert codes(found["effects"]) == ["kind-doubted"]


# ---- what it must not say ---------------------------------------------------------------------


@pytest.mark.parametrize("newcomers", ["refuse", "ask", "interests"])
async def test_an_unknown_address_looks_like_one_that_knows_no_vendor(newcomers, monkeypatch):
    async with api_of(newcomers=newcomers) as api:
        await seen(api)
        answers, work = [], []
        for to in (BEN, NOBODY):
            await foretold(api, to=[to])
            counting = Counting(api.house, monkeypatch)
            answers.append(await foretold(api, to=[to]) | {"to": None})
            work.append(counting.taken())
        assert answers[0] == answers[1] == {"to": None, "verdict": "untold"}
        assert work[0] == work[1]


@pytest.mark.parametrize(
    "changes", [{}, {"offer": DEAR}, {"kind": "newsletter"}, {"kind": "personal"}]
)
async def test_who_tells_nothing_looks_like_nobody_whatever_would_happen(changes, monkeypatch):
    async with api_of("nothing") as api:
        answers, work = [], []
        for to in (ANNA, NOBODY):
            await foretold(api, to=[to], **changes)
            counting = Counting(api.house, monkeypatch)
            answers.append(await foretold(api, to=[to], **changes) | {"to": None})
            work.append(counting.taken())
        assert answers[0] == answers[1] == {"to": None, "verdict": "untold"}
        assert work[0] == work[1]


@pytest.mark.parametrize("tells", ["class", "reason", "remedy"])
async def test_an_address_of_another_vendor_looks_like_nobody(tells, monkeypatch):
    async with api_of(tells) as api:
        answers, work = [], []
        for to in ("anna+volt@letterbox.example", NOBODY):
            await foretold(api, to=[to])
            counting = Counting(api.house, monkeypatch)
            answers.append(await foretold(api, to=[to]) | {"to": None})
            work.append(counting.taken())
        assert answers[0] == answers[1] == {"to": None, "verdict": "untold"}
        assert work[0] == work[1]


# ---- how often --------------------------------------------------------------------------------


def priced(amount):
    return DEAR | {"price": {"amount": str(amount), "currency": "EUR"}}


@pytest.mark.parametrize("tells", ["class", "reason", "remedy"])
async def test_past_the_bound_of_probes_nothing_is_told_of_that_consumer(tells):
    async with api_of(tells, per_day=3) as api:
        verdicts = [(await foretold(api, offer=priced(n)))["verdict"] for n in (120, 180, 150, 165)]
        assert verdicts == ["open", "refuse", "open", "untold"]
        # What was asked before gets its answer again.
        assert (await foretold(api, offer=priced(180)))["verdict"] == "refuse"
        api.house.clock.advance(days=1)
        assert (await foretold(api, offer=priced(165)))["verdict"] == "refuse"


async def test_asking_ahead_and_sending_share_one_bound():
    async with api_of(per_day=2) as api:
        await seen(api, offer=priced(160))
        await seen(api, offer=priced(161))
        (sent,) = (await api.send(offer=priced(162))).json["results"]
        assert sent["reason"]["code"] == "choice"


async def test_other_words_are_another_question():
    async with api_of(per_day=2) as api:
        for word in ("pruners", "saws"):
            assert (await foretold(api, text=word))["verdict"] == "open"
        assert (await foretold(api, text="loppers"))["verdict"] == "untold"


async def test_many_at_once_learn_no_more():
    async with api_of(per_day=3) as api:
        found = await asyncio.gather(*(foretold(api, offer=priced(151 + n)) for n in range(12)))
        assert sum(one["verdict"] != "untold" for one in found) == 3


async def test_many_sent_at_once_learn_no_more():
    async with api_of(per_day=3) as api:
        sent = await asyncio.gather(*(api.send(offer=priced(151 + n)) for n in range(12)))
        found = [reply.json["results"][0]["reason"]["code"] for reply in sent]
        assert sorted(found) == ["choice"] * 9 + ["price-above-limit"] * 3


async def test_so_many_recipients_may_be_asked_about_in_a_day():
    async with api_of(preflights_per_day=5) as api:
        assert (await seen(api))["left_today"] == 4
        assert (await seen(api, to=[ANNA, BEN, NOBODY]))["left_today"] == 1
        reply = await ask(api, to=[ANNA, BEN])
        assert reply.status == 429
        assert 0 < int(reply.headers["Retry-After"]) <= 12 * 3600 + 1
        assert (await of_mail(api, mail()))["left_today"] == 0
        assert (await ask(api)).status == 429
        assert (await ask(api, who="voltshop")).status == 200
        api.house.clock.advance(hours=12)
        assert (await seen(api))["left_today"] == 4


# ---- mail -------------------------------------------------------------------------------------

RAW = mail("Pruners", Letterbox_Kind="newsletter", List_Id="<news.greenleaf.example>")


async def test_a_signed_mail_is_proven_as_over_smtp():
    async with api_of() as api:
        found = await of_mail(api, signed(RAW), f"?to={ANNA}")
        (signature,) = found["proof"]["signatures"]
        assert (signature["domain"], signature["status"]) == ("greenleaf.example", "pass")
        assert signature["aligned"]
        assert (found["proof"]["sender"], found["proof"]["how"]) == ("proven", "dkim")
        assert found["proof"]["spf"] is None
        assert found["proof"]["yours"]
        assert (found["read"]["kind"], found["read"]["kind_origin"]) == ("newsletter", "declared")
        assert codes(found["effects"]) == ["no-unsubscribe"]
        assert found["recipients"][0]["to"] == ANNA


async def test_a_mail_without_recipients_is_looked_at_all_the_same():
    async with api_of() as api:
        found = await of_mail(api, RAW)
        assert found["recipients"] == []
        assert found["proof"]["reason"] == "dkim-missing"
        assert "unsigned-fields" in codes(found["effects"])


@pytest.mark.parametrize(
    ("address", "result", "sender"),
    [(HERE, "pass", "proven"), ("192.0.2.99", "fail", "stranger")],
)
async def test_spf_is_judged_where_the_address_and_the_path_are_named(address, result, sender):
    async with api_of() as api:
        query = f"?ip={address}&mail_from=bounces@greenleaf.example"
        proof = (await of_mail(api, RAW, query))["proof"]
        assert proof["spf"] == {
            "result": result, "domain": "greenleaf.example", "aligned": result == "pass",
        }  # fmt: skip
        assert proof["sender"] == sender


async def test_a_platforms_signature_and_the_policy_against_it_are_named():
    async with api_of() as api:
        platform = Signer(domain="platform.example")
        api.house.zone.records |= platform.records
        api.house.zone.records["_dmarc.greenleaf.example"] = {"TXT": ["v=DMARC1; p=reject"]}
        found = await of_mail(api, craft(RAW, {"d": platform.domain}))
        assert found["proof"]["policy"] == "reject"
        assert found["proof"]["signatures"][0]["aligned"] is False
        assert "platform-signature" in codes(found["effects"])


@pytest.mark.parametrize("author", ["voltshop.example", "other.example"])
async def test_what_others_would_be_told_is_told_them_alone(author):
    async with api_of() as api:
        found = await of_mail(api, mail(domain=author), f"?to={ANNA}&to={NOBODY}")
        assert found["proof"]["yours"] is False
        assert found["read"] is None
        assert [one["verdict"] for one in found["recipients"]] == ["untold", "untold"]


FORMS = {
    "several authors": (mail().replace(b"From:", b"From: a@greenleaf.example\r\nFrom:"), False,
                        "author-ambiguous"),
    "too many fields": (b"X: y\r\n" * 2000 + b"\r\n", False, "malformed"),
    "in circles": (b"Received: by x\r\n" * 101 + mail(), False, "mail-loop"),
    "no id": (mail().replace(b"Message-ID", b"X-Id"), True, "no-message-id"),
    "no date": (mail().replace(b"Date", b"X-Date"), True, "no-date"),
    "bare LF": (mail().replace(b"\r\n", b"\n"), True, "bare-line-ends"),
    "NUL": (mail(text="a\0b\r\n"), True, "nul"),
    "8 bit in the header": (mail("Snoeischaar \u20ac 5"), True, "eight-bit-header"),
    "8 bit in the body": (mail(text="\u20ac 5\r\n"), True, "eight-bit-body"),
    "a long line": (mail(text="x" * 999 + "\r\n"), True, "long-lines"),
    "a long line that does not end": (mail(text="x\r\n" + "x" * 999), True, "long-lines"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
async def test_the_form_is_looked_at(form):
    content, fits, code = FORMS[form]
    async with api_of() as api:
        found = await of_mail(api, content, f"?to={ANNA}")
        assert found["form"]["fits"] is fits
        assert codes(found["form"]["notes"]) == [code]
        if not fits:
            assert found["recipients"] == [{"to": ANNA, "verdict": "untold"}]


async def test_what_is_larger_than_is_taken_is_told_so():
    configuration = Configuration(smtp=SmtpSection(max_size=1000))
    async with open_api(configuration=configuration) as api:
        found = await of_mail(api, mail(text="x\r\n" * 400), f"?to={ANNA}")
        assert (found["form"]["fits"], codes(found["form"]["notes"])) == (False, ["too-large"])
        assert (found["proof"], found["read"]) == (None, None)
        found = await seen(api, text="x" * 1000)
        assert codes(found["form"]["notes"]) == ["too-large"]


async def test_a_plain_mail_has_nothing_to_be_noted():
    async with api_of() as api:
        plain = "\r\n".join(("x" * 998, "", "y" * 600, "x" * 998, "x" * 998))
        for text in ("", "x\r\n" * 3000, plain):
            assert (await of_mail(api, mail(text=text)))["form"] == {"fits": True, "notes": []}


ONE_CLICK = {"List_Unsubscribe_Post": "List-Unsubscribe=One-Click"}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, ["no-unsubscribe"]),
        ({"List_Unsubscribe": "<mailto:off@greenleaf.example>"}, ["no-one-click"]),
        ({"List_Unsubscribe": "<https://greenleaf.example/off>"}, ["no-one-click"]),
        ({"List_Unsubscribe": "<https://greenleaf.example/off>"} | ONE_CLICK, []),
    ],
)
async def test_what_large_providers_ask_of_newsletters(fields, found):
    async with api_of() as api:
        content = mail(Letterbox_Kind="newsletter", **fields)
        effects = (await of_mail(api, content))["effects"]
        noted = [code for code in codes(effects) if code.startswith("no-")]
        assert noted == found


# ---- what may be asked ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("?ip=here", "ip"),
        ("?ip=fe80::1%25eth0", "ip"),
        ("?mail_from=nobody", "mail_from"),
        ("?to=x", "to[0]"),
        ("?at=1", "at"),
    ],
)
async def test_a_mistake_beside_a_mail_is_named(query, path):
    async with api_of() as api:
        headers = {"Content-Type": "message/rfc822"}
        reply = await api.call(
            "POST", f"/v1/preflight{query}", who="greenleaf", data=RAW, headers=headers
        )
        assert reply.status == 422
        assert [error["path"] for error in reply.json["errors"]] == [path]


async def test_a_form_is_held_to_what_a_message_is():
    async with api_of() as api:
        assert (await ask(api, kind="rumour")).status == 422
        assert (await ask(api, surprise=1)).status == 422
        assert (await ask(api, offer={"categories": ["nowhere"]})).status == 422
        reply = await api.call("POST", "/v1/preflight?ip=192.0.2.1", who="greenleaf", json=PRUNERS)
        assert reply.json["errors"][0]["path"] == "?ip"


async def test_a_suspended_vendor_is_told_that_alone():
    async with api_of() as api:
        suspension = Suspension(api.house.clock.now(), "unpaid")
        await api.house.app.vendors.suspend("greenleaf", suspension)
        ahead, sent = await ask(api), await api.send()
        assert (ahead.status, ahead.json) == (sent.status, sent.json)


async def test_it_takes_a_key_that_may_send():
    async with api_of() as api:
        now = api.house.clock.now()
        key = await api.house.app.credentials.issue(
            "key", "greenleaf", now, lasts=timedelta(days=1), scopes=("feedback",)
        )
        fields = {"Authorization": f"Bearer {key}"}
        reply = await api.call("POST", "/v1/preflight", json=PRUNERS, headers=fields)
        assert reply.status == 403
