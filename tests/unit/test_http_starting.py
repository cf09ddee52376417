"""Old mail and expected mail over the API."""

from tests.support.api import open_api
from tests.support.house import mail
from tests.support.oldmail import made_up, write_mbox
from tests.unit.test_sieve import SCRIPT

MBOX = {"Content-Type": "application/mbox"}


async def call(api, method, path, who="anna", **request):
    return await api.call(method, f"/v1/me/{path}", who=who, **request)


async def test_an_mbox_is_read_and_chosen_from(tmp_path):
    write_mbox(tmp_path / "old.mbox", made_up(60, vendors=6))
    data = (tmp_path / "old.mbox").read_bytes()
    async with open_api() as api:
        assert (await call(api, "GET", "import")).status == 404
        read = await call(api, "POST", "import/mbox", data=data, headers=MBOX)
        assert read.status == 200, read.body
        assert (read.json["read"], read.json["ended"]) == (60, True)
        got = (await call(api, "GET", "import")).json
        assert (got["companies"], got["people"]) == (6, 0)
        page = (await call(api, "GET", "import/proposals?limit=4")).json
        rest = (await call(api, "GET", f"import/proposals?after={page['after']}")).json
        keys = [each["key"] for each in page["items"] + rest["items"]]
        assert (len(keys), rest["after"]) == (6, None)
        choices = {
            keys[0]: {"do": "lock-out"},
            keys[1]: {"do": "limit"},
            "x.example": {"do": "allow"},
        }
        done = await call(api, "POST", "import/choices", json={"choices": choices})
        assert done.status == 200, done.body
        assert done.json["changed"] == keys[:2]
        assert [each["key"] for each in done.json["failed"]] == ["x.example"]
        rules = (await call(api, "GET", "preferences")).json["vendor"]
        assert {"domain": keys[0], "standing": "blocked"}.items() <= rules[-2].items()
        # What is another's is not there.
        assert (await call(api, "GET", "import", who="ben")).status == 404
        assert (await call(api, "DELETE", "import", who="ben")).status == 404
        assert (await call(api, "DELETE", "import")).status == 204
        assert (await call(api, "GET", "import")).status == 404


async def test_what_is_no_mbox_is_a_mistake():
    async with open_api() as api:
        sent = await call(api, "POST", "import/mbox", data=b"hello", headers=MBOX)
        assert sent.status == 422
        sent = await call(api, "POST", "import/mbox", data=b"hello")
        assert sent.status == 415
        sent = await call(api, "POST", "import/choices", json={"choices": {"x": {"do": "keep"}}})
        assert sent.status == 422


async def test_a_script_is_looked_at_and_taken_over():
    async with open_api() as api:
        looked = await call(api, "POST", "import/sieve", json={"script": SCRIPT, "dry_run": True})
        assert looked.status == 200, looked.body
        assert looked.json["adopted"] is None
        assert looked.json["unmapped"][0]["line"] == 9
        done = await call(api, "POST", "import/sieve", json={"script": SCRIPT})
        assert "spam.example" in done.json["adopted"]["changed"]
        wrong = await call(api, "POST", "import/sieve", json={"script": "if {"})
        assert wrong.status == 422
        assert "line 1" in wrong.body.decode()


async def test_mail_is_expected_kept_and_let_go():
    async with open_api() as api:
        opened = await call(api, "POST", "expecting", json={"address": True, "hours": 1})
        assert opened.status == 201, opened.body
        to = opened.json["made"]
        shop = "bounces@other.example"
        await api.house.send(mail(domain="other.example"), to, sender=shop)
        await api.house.work()
        (item,) = (await call(api, "GET", "expecting")).json["items"]
        assert (item["key"], item["over"]) == ("other.example", False)
        api.house.clock.advance(hours=2)
        (item,) = (await call(api, "GET", "expecting")).json["items"]
        assert item["over"]
        assert (await call(api, "POST", "expecting/other.example/keep", who="ben")).status == 404
        assert (await call(api, "POST", "expecting/other.example/keep")).status == 204
        assert (await call(api, "DELETE", "expecting/other.example")).status == 404
        wrong = ({}, {"vendor": "gmail.com"}, {"vendor": "x.example", "hours": 721})
        for form in wrong:
            assert (await call(api, "POST", "expecting", json=form)).status == 422
