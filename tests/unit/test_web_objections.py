"""The pages of objections, without a browser."""

import html

from tests.support.house import mail
from tests.support.signing import craft
from tests.support.site import open_pages, text_of
from tests.support.webhost import WebHost

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  [[consumer.vendor]]
  domain = "other.example"
  scope = "everything"
  accepts = ["newsletter"]
"""
NAMES = "from:to:subject:date:message-id:letterbox-kind:list-unsubscribe:list-unsubscribe-post"
OFF = "https://off.greenleaf.example/u/7?a=1&b=2"
LISTED = {
    "one-click": {
        "List_Unsubscribe": f"<{OFF}>",
        "List_Unsubscribe_Post": "List-Unsubscribe=One-Click",
    },
    "mail": {"List_Unsubscribe": "<mailto:off@greenleaf.example?subject=%3Cb%3Estop>"},
    "none": {},
}


async def come(site, number: int = 1, way: str = "one-click") -> str:
    """A newsletter comes; its id in the inbox, empty where it was refused."""
    content = mail(f"Letter {number}", number=number, Letterbox_Kind="newsletter", **LISTED[way])
    await site.house.send(craft(content, {"h": NAMES}), "anna@letterbox.example")
    page = await site.house.app.mailboxes.inbox("anna", after=None, limit=9)
    return next((each.id for each in page.items if each.subject == f"Letter {number}"), "")


async def signed_in(site):
    anna = site.visitor()
    await anna.sign_in("anna")
    site.house.app.outgoing.unsubscribing._web = WebHost()
    return anna


async def test_the_page_says_what_will_happen_and_does_nothing_yet() -> None:
    async with open_pages(PEOPLE) as site:
        anna = await signed_in(site)
        for number, (way, says) in enumerate(
            {
                "one-click": OFF,
                "mail": "<b>stop",
                "none": "Nothing is sent: they signed for no way of unsubscribing.",
            }.items()
        ):
            name = await come(site, number, way)
            reply = await anna.get(f"/inbox/{name}/object")
            assert reply.status == 200
            assert html.escape(says) in html.unescape(reply.body.decode()) or says in text_of(reply)
            assert "They have 5 days to stop" in text_of(reply)
            assert "550 5.7.1 kind-not-wanted" in text_of(reply)
            # What they would hear if everything stopped, and why.
            fields = {"act": "preview", "service": "no", "because": "never-asked"}
            reply = await anna.post(f"/inbox/{name}/object", fields)
            assert "550 5.7.1 vendor-blocked" in text_of(reply)
        assert (await site.house.app.objections.page("anna", after=None, limit=9)).items == ()
        rule = (await site.house.app.consumers.stored("anna")).preferences.vendor[0]
        assert rule.accepts == ("service", "offer", "newsletter")


async def test_who_may_send_nothing_else_is_locked_out_and_the_page_says_so() -> None:
    async with open_pages(PEOPLE) as site:
        anna = await signed_in(site)
        content = mail("Letter", domain="other.example", List_Id="<x.other.example>")
        await site.house.send(content, "anna@letterbox.example", sender="b@other.example")
        (entry,) = (await site.house.app.mailboxes.inbox("anna", after=None, limit=9)).items
        said = text_of(await anna.get(f"/inbox/{entry.id}/object"))
        assert "so they are locked out" in said
        assert "service mail goes on" not in said


async def test_done_it_is_listed_linked_and_put_back_apart_from_the_rules() -> None:
    async with open_pages(PEOPLE) as site:
        anna = await signed_in(site)
        name = await come(site)
        # From the company's page to its newest message.
        reply = await anna.get("/vendors/greenleaf/object")
        assert reply.headers["Location"] == f"/inbox/{name}/object"
        done = await anna.post(f"/inbox/{name}/object", {"act": "do", "service": "yes"})
        path = done.headers["Location"]
        assert (done.status, path.startswith("/objections/")) == (303, True)
        page = await anna.get(path)
        assert "You objected to advertising of Greenleaf Garden." in text_of(page)
        assert "Put back" in text_of(page)
        assert "on its way" in text_of(page)
        await site.house.work()
        assert "they took it" in text_of(await anna.get("/objections"))
        await come(site, 2)
        for linked in ("/vendors/greenleaf", "/refused"):
            assert path in (await anna.get(linked)).body.decode()
        assert (await anna.get("/vendors/greenleaf/object")).headers["Location"] == path
        assert (await anna.get(f"/inbox/{name}/object")).body.decode().count(path) == 1
        again = await anna.post(f"/inbox/{name}/object", {"act": "do"})
        assert again.headers["Location"] == path
        assert "already" in text_of(await anna.get(path))
        # The export has it, and its message as a file.
        assert b"objections/" in (await anna.get("/settings/export.zip")).body
        gone = await anna.post(f"{path}/withdraw")
        assert gone.headers["Location"] == "/objections"
        assert (await anna.get(path)).status == 404


async def test_without_a_message_of_theirs_it_says_so() -> None:
    async with open_pages(PEOPLE) as site:
        anna = await signed_in(site)
        reply = await anna.get("/vendors/greenleaf/object")
        assert reply.headers["Location"] == "/vendors/greenleaf"
        assert "you object by way of one" in text_of(await anna.get("/vendors/greenleaf"))


async def test_the_letter_is_a_page_and_a_file_in_either_language() -> None:
    async with open_pages(PEOPLE) as site:
        anna = await signed_in(site)
        done = await anna.post(f"/inbox/{await come(site)}/object", {"act": "do"})
        path = f"{done.headers['Location']}/letter"
        for query, word in (("", "Dear Sir or Madam"), ("?language=nl", "Geachte heer")):
            assert word in text_of(await anna.get(path + query))
            file = await anna.get(f"{path}.txt{query}")
            assert word in file.body.decode()
            assert file.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert file.headers["Content-Disposition"].startswith("attachment")


async def test_what_is_written_into_a_mail_is_text_on_every_page() -> None:
    async with open_pages(PEOPLE) as site:
        anna = await signed_in(site)
        bad = "<script>alert(1)</script> {0} %(x)s"
        content = mail(bad, Letterbox_Kind="newsletter", **LISTED["mail"])
        await site.house.send(craft(content, {"h": NAMES}), "anna@letterbox.example")
        (entry,) = (await site.house.app.mailboxes.inbox("anna", after=None, limit=9)).items
        pages = [await anna.get(f"/inbox/{entry.id}/object")]
        done = await anna.post(f"/inbox/{entry.id}/object", {"act": "do"})
        path = done.headers["Location"]
        pages += [await anna.get(each) for each in (path, f"{path}/letter", "/objections")]
        for page in pages:
            assert page.status == 200
            assert b"<script>alert" not in page.body
            assert b"<b>stop" not in page.body
