"""Credentials, explanations and exports, as the commands give them."""

from datetime import UTC, datetime

import pytest

from letterbox.administration import Failed
from letterbox.administration.shown import explanation_lines
from tests.support.house import House, mail, open_house, signed

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf"
domains = ["greenleaf.example"]
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
language = "nl"
interest = [{ id = "garden", keywords = { any = ["pruner"] } }]
vendor = [{ vendor = "greenleaf", accepts = ["offer", "newsletter"] }]
"""
OFFER = {"Letterbox_Kind": "offer"}


async def perform(house: House, command: str, **arguments):
    return await house.app.administration.perform(command, arguments)


async def explain(house: House, content: bytes, **arguments):
    asked = {"to": "anna@letterbox.example", "from_domain": "greenleaf.example"} | arguments
    return await perform(house, "explain", message=content, **asked)


# ---- credentials ----


async def test_a_key_is_issued_works_and_is_revoked():
    async with open_house(PEOPLE) as house:
        done = await perform(house, "key issue", owner="greenleaf")
        key, now = done["key"], house.clock.now()
        assert key.startswith(done["prefix"] + "_")
        assert await house.app.credentials.owner("key", key, now) == "greenleaf"
        assert await perform(house, "key revoke", prefix=done["prefix"]) == {
            "revoked": done["prefix"]
        }
        assert await house.app.credentials.owner("key", key, now) is None
        with pytest.raises(Failed, match=r"there is no key .* may be revoked already"):
            await perform(house, "key revoke", prefix=done["prefix"])


async def test_a_token_pasted_whole_is_revoked_by_its_prefix():
    async with open_house(PEOPLE) as house:
        token = (await perform(house, "token issue", owner="anna"))["token"]
        assert await house.app.credentials.owner("token", token, house.clock.now()) == "anna"
        done = await perform(house, "token revoke", prefix=token)
        assert done["revoked"] == token[:12]
        assert await house.app.credentials.owner("token", token, house.clock.now()) is None


async def test_the_operator_has_a_token_without_being_declared():
    async with open_house() as house:
        assert (await perform(house, "token issue", owner="operator"))["consumer"] == "operator"


@pytest.mark.parametrize(
    ("command", "arguments", "says"),
    [
        ("key issue", {"owner": "grenleaf"}, "no vendor 'grenleaf'.*did you mean greenleaf"),
        ("token issue", {"owner": "ana"}, "no consumer 'ana'.*did you mean anna"),
        ("key revoke", {"prefix": "lbt_12345678"}, "a key's prefix begins with lbk_"),
        ("token revoke", {"prefix": "lbt_12345678"}, "there is no token lbt_12345678"),
        ("key isue", {}, "there is no command 'key isue'; did you mean key issue"),
        ("key issue", {}, "wrong arguments: .*owner"),
        ("key issue", {"owner": "greenleaf", "x": 1}, "wrong arguments: .*x"),
        ("export", {"consumer": "ana", "section": "preferences"}, "did you mean anna"),
        ("export", {"consumer": "anna", "section": "all"}, "wrong arguments"),
        ("explain", {"message": b"", "to": "anna"}, "'anna' is no mail address"),
        ("explain", {"message": b"", "to": "a@else.example"}, "not a domain of this letterbox"),
        ("explain", {"message": "?", "to": "a@letterbox.example"}, "wrong arguments"),
        (
            "explain",
            {"message": b"", "to": "anna@letterbox.example", "from_domain": "a b"},
            "'a b' is no domain",
        ),
        (
            "explain",
            {"message": mail(), "to": "anna@letterbox.example", "from_domain": "velo.example"},
            "author is shop@greenleaf.example, whom velo.example cannot prove; write --from-domain",
        ),
        (
            "explain",
            {"message": b"", "to": "anna@letterbox.example", "at": "2026-01-01T00:00:00"},
            "has no zone",
        ),
        ("explain decision", {"decision": "nothing"}, "no decision and no reference 'nothing'"),
    ],
)
async def test_what_cannot_be_done_is_said(command, arguments, says):
    async with open_house(PEOPLE) as house:
        with pytest.raises(Failed, match=says):
            await perform(house, command, **arguments)


# ---- what would happen ----


async def test_a_mail_is_explained_filter_by_filter():
    async with open_house(PEOPLE) as house:
        told = await explain(house, mail(text="Bicycles.\r\n", **OFFER))
        assert (told["verdict"], told["reason"]) == ("refuse", "no-matching-interest")
        assert told["sentence"]
        assert told["consumer"] == "anna"
        assert told["vendor"] == {"id": "greenleaf", "name": "Greenleaf", "registered": True}
        assert told["told"].startswith("550 5.7.1 no-matching-interest: ")
        found = {finding["filter"]: finding["reason"] for finding in told["findings"]}
        assert found["interest"] == "no-matching-interest"
        assert len(found) >= 7
        assert await house.inbox("anna") == []


async def test_what_would_be_delivered_is_told_and_not_done():
    async with open_house(PEOPLE) as house:
        told = await explain(house, mail(text="A pruner.\r\n", **OFFER))
        assert told["sender"] == "shop@greenleaf.example, taken as proven for greenleaf.example"
        assert (told["verdict"], told["reason"]) == ("deliver", None)
        assert told["interests"] == ["garden"]
        assert told["told"].startswith("250 2.0.0 delivered ")
        assert await house.inbox("anna") == []
        assert (await house.app.mailboxes.decisions("anna", after=None, limit=9)).items == ()


async def test_the_time_can_be_chosen():
    window = "window = [{ from = '09:00', until = '10:00' }]\n"
    async with open_house(PEOPLE.replace("interest = ", window + "interest = ")) as house:
        content = mail(text="A pruner.\r\n", **OFFER)
        held = await explain(house, content, at="2026-11-23T12:00:00Z")
        assert (held["verdict"], held["reason"]) == ("hold", "window-closed")
        assert held["until"] == "2026-11-24T09:00:00Z"
        told = await explain(house, content, at="2026-11-23T09:30:00Z")
        assert told["verdict"] == "deliver"


async def test_without_a_domain_dkim_decides_who_it_is():
    async with open_house(PEOPLE) as house:
        content = signed(mail(text="A pruner.\r\n", **OFFER))
        told = await explain(house, content, from_domain=None)
        assert told["verdict"] == "deliver"
        assert told["sender"] == "shop@greenleaf.example proven for greenleaf.example by dkim"
        assert any("DKIM alone" in note for note in told["notes"])
        told = await explain(house, content.replace(b"pruner", b"prunes"), from_domain=None)
        assert (told["verdict"], told["reason"]) == ("refuse", "dkim-failed")
        assert told["vendor"] is None
        assert "not-accepted" in told["told"]


async def test_a_lookup_that_fails_is_undetermined():
    async with open_house(PEOPLE) as house:
        content = signed(mail(**OFFER))
        house.zone.trouble = frozenset(house.zone.records)
        told = await explain(house, content, from_domain=None)
        assert (told["verdict"], told["reason"]) == ("defer", "lookup-failed")
        assert told["told"].startswith("451 4.4.3 ")


async def test_a_mail_that_is_not_read_is_explained_too():
    async with open_house(PEOPLE) as house:
        told = await explain(house, b"X: 1\r\n" * 2000 + b"\r\n")
        assert (told["verdict"], told["reason"]) == ("refuse", "message-malformed")
        assert told["findings"] == []


async def test_an_author_who_is_not_one_cannot_be_taken_as_proven():
    async with open_house(PEOPLE) as house:
        two = mail(**OFFER).replace(b"From: ", b"From: a@velo.example, ")
        told = await explain(house, two)
        assert (told["verdict"], told["reason"]) == ("refuse", "author-ambiguous")


async def test_the_operators_mail_always_arrives_and_is_explained():
    async with open_house(PEOPLE) as house:
        told = await explain(house, mail(), to="Abuse@letterbox.example", from_domain=None)
        assert (told["verdict"], told["consumer"]) == ("deliver", "operator")
        stranger = mail("Help", domain="nobody.example")
        await house.send(stranger, "postmaster@letterbox.example", sender="x@nobody.example")
        (entry,) = (await perform(house, "export", consumer="operator", section="inbox"))["items"]
        told = await perform(house, "explain decision", decision=entry["id"])
        assert (told["verdict"], told["recipient"]) == ("deliver", "postmaster@letterbox.example")
        assert told["sender"].startswith("a stranger: ")
        assert "always arrives" in told["notes"][0]
        assert "  message    personal: Help" in explanation_lines(told)


async def test_an_unknown_recipient_is_explained_to_the_operator():
    async with open_house(PEOPLE) as house:
        told = await explain(house, mail(**OFFER), to="nobody@letterbox.example")
        assert (told["verdict"], told["reason"]) == ("refuse", "recipient-unknown")
        assert told["consumer"] is None
        assert "no-relationship" in told["told"]


# ---- what did happen ----


async def delivered(house: House) -> str:
    await house.send(mail(text="A pruner.\r\n", List_Id="<a.greenleaf.example>"),
                     "anna@letterbox.example")  # fmt: skip
    page = await house.app.mailboxes.decisions("anna", after=None, limit=1)
    return page.items[0].id


async def test_a_recorded_decision_is_taken_again_by_id_and_by_reference():
    async with open_house(PEOPLE) as house:
        name = await delivered(house)
        told = await perform(house, "explain decision", decision=name)
        assert (told["decision"], told["verdict"]) == (name, "deliver")
        assert told["replay"] == {
            "same": True, "verdict": "deliver", "reason": None, "differs": []
        }  # fmt: skip
        assert told["notes"] == ["decided again under the same preferences: the same"]
        reference = told["told"].rpartition(" ")[2]
        assert await perform(house, "explain decision", decision=reference) == told


async def test_a_replay_says_when_the_rules_have_changed():
    async with open_house(PEOPLE) as house:
        name = await delivered(house)
        await house.people(PEOPLE.replace('"pruner"', '"spade"'))
        told = await perform(house, "explain decision", decision=name)
        assert told["verdict"] == "deliver"
        assert told["replay"] == {
            "same": False,
            "verdict": "refuse",
            "reason": "no-matching-interest",
            "differs": ["interest"],
        }
        assert told["notes"][0].startswith("the rules have changed since (preferences revision 1")
        await house.people(PEOPLE.replace('language = "nl"', 'language = "en"'))
        told = await perform(house, "explain decision", decision=name)
        assert told["notes"][0].endswith("decided again, still the same")


async def test_a_limit_counts_in_a_replay_what_it_counted_then():
    limit = 'limit = { messages = 1, per = "week" }, accepts'
    async with open_house(PEOPLE.replace("accepts", limit)) as house:
        told = await perform(house, "explain decision", decision=await delivered(house))
        assert told["replay"]["same"]
        assert told["replay"]["differs"] == []
        assert "Het is de eerste van één bericht per week die Greenleaf mag sturen." in "\n".join(
            told["lines"]
        )


async def test_the_consumers_own_word_is_not_replayed():
    ask = PEOPLE.replace("accepts", 'standing = "ask", accepts')
    async with open_house(ask) as house:
        held = await delivered(house)
        house.clock.advance(hours=1)
        assert await house.app.holds.answer("anna", held, yes=False)
        page = await house.app.mailboxes.decisions("anna", after=None, limit=1)
        told = await perform(house, "explain decision", decision=page.items[0].id)
        assert told["replay"] is None
        assert "the consumer or the time" in told["notes"][0]


async def test_an_explanation_reads_well_and_carries_nothing_unsafe():
    async with open_house(PEOPLE) as house:
        subject = "=?utf-8?q?A=1B[2Jsale=E2=80=A8now?="
        told = await explain(house, mail(subject, text="Bicycles.\r\n", **OFFER))
        lines = explanation_lines(told)
        assert lines[0] == "Geweigerd: Het past bij geen van je interesses."
        assert "  verdict    refuse (no-matching-interest)" in lines
        assert any(line.startswith("  told       550 5.7.1 no-matching") for line in lines)
        assert any(line.split()[:2] == ["interest", "refuse"] for line in lines)
        rules = {finding["filter"] for finding in told["findings"]}
        table = [line for line in lines if line.split()[0] in rules]
        assert len(table) == len(rules)
        assert len({line.index(line.split()[1]) for line in table}) == 1
        assert not any("[" in line for line in table)
        assert all(line.isprintable() for line in lines)


# ---- export ----


async def test_an_export_has_everything_page_by_page():
    async with open_house(PEOPLE) as house:
        name = await delivered(house)
        house.clock.advance(hours=1)
        await house.send(
            mail(text="Bicycles.\r\n", number=2, List_Id="<a.greenleaf.example>"),
            "anna@letterbox.example",
        )
        preferences = await perform(house, "export", consumer="anna", section="preferences")
        assert preferences["items"]["language"] == "nl"
        inbox = await perform(house, "export", consumer="anna", section="inbox")
        assert [item["id"] for item in inbox["items"]] == [name]
        decisions = await perform(house, "export", consumer="anna", section="decisions")
        assert [(item["verdict"], item["reason"]) for item in decisions["items"]] == [
            ("refuse", "no-matching-interest"),
            ("deliver", None),
        ]
        assert decisions["after"] is None
        rest = await perform(
            house, "export", consumer="anna", section="decisions",
            after=decisions["items"][0]["id"],
        )  # fmt: skip
        assert [item["id"] for item in rest["items"]] == [name]
        held = await perform(house, "export", consumer="anna", section="held")
        assert held == {"consumer": "anna", "items": [], "after": None}


async def test_an_export_counts_strangers_and_names_tokens():
    async with open_house(PEOPLE) as house:
        token = await perform(house, "token issue", owner="anna")
        stranger = mail(domain="nobody.example")
        await house.send(stranger, "anna@letterbox.example", sender="x@nobody.example")
        strangers = await perform(house, "export", consumer="anna", section="strangers")
        day = f"{house.clock.now():%Y-%m-%d}"
        assert strangers["items"] == [{"day": day, "reason": "dkim-missing", "count": 1}]
        tokens = await perform(house, "export", consumer="anna", section="tokens")
        assert tokens["items"] == [token["prefix"]]
        await perform(house, "token revoke", prefix=token["prefix"])
        tokens = await perform(house, "export", consumer="anna", section="tokens")
        assert tokens["items"] == []


async def test_what_became_of_a_held_message_is_said_on_both_sides():
    ask = PEOPLE.replace("accepts", 'standing = "ask", accepts')
    async with open_house(ask) as house:
        held = await delivered(house)
        house.clock.advance(hours=1)
        assert await house.app.holds.answer("anna", held, yes=True)
        page = await house.app.mailboxes.decisions("anna", after=None, limit=1)
        after = page.items[0].id
        told = await perform(house, "explain decision", decision=held)
        assert f"what became of it: the decision {after}" in told["notes"]
        told = await perform(house, "explain decision", decision=after)
        assert f"it followed the decision {held}" in told["notes"]


async def test_times_are_given_with_their_zone():
    async with open_house(PEOPLE) as house:
        told = await explain(house, mail(**OFFER), at="2026-12-24T13:00:00+01:00")
        assert datetime.fromisoformat(told["at"]) == datetime(2026, 12, 24, 12, tzinfo=UTC)
