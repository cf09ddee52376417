"""``/v1/me/times``: times as a calendar program has them."""

from datetime import UTC, datetime

import pytest

from tests.support.api import open_api

ICS = {"Content-Type": "text/calendar", "If-Match": "*"}
SATURDAY = """\
BEGIN:VEVENT
UID:1
SUMMARY:Reading
DTSTART;TZID=Europe/Amsterdam:20260103T090000
DTEND;TZID=Europe/Amsterdam:20260103T120000
RRULE:FREQ=WEEKLY;BYDAY=SA
END:VEVENT
"""
HOLIDAY = """\
BEGIN:VEVENT
SUMMARY:Away
DTSTART;VALUE=DATE:20260801
DTEND;VALUE=DATE:20260821
END:VEVENT
"""


def file(*components, zone=None):
    text = "".join(components)
    head = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//EN\n"
    head += f"X-WR-TIMEZONE:{zone}\n" if zone else ""
    return f"{head}{text}END:VCALENDAR\n".replace("\n", "\r\n")


async def put(api, content, headers=None):
    return await api.call("PUT", "/v1/me/times", who="anna", data=content, headers=headers or ICS)


async def test_times_go_out_and_come_back():
    async with open_api() as api:
        before = await api.call("GET", "/v1/me/preferences", who="anna")
        got = await api.call("GET", "/v1/me/times", who="anna")
        assert got.headers["Content-Type"] == "text/calendar; charset=utf-8"
        assert got.headers["ETag"] == before.headers["ETag"]
        assert b"X-LETTERBOX-KINDS:newsletter" in got.body
        assert b"BEGIN:VTIMEZONE" in got.body
        same = await put(api, got.body)
        assert (same.status, same.headers["ETag"]) == (200, before.headers["ETag"])
        assert same.json == before.json


async def test_the_order_of_a_calendar_says_nothing():
    apart = [{"on": "2026-12-06"}, {"on": "2026-12-05"}]
    async with open_api() as api:
        got = await api.call("GET", "/v1/me/preferences", who="anna")
        done = await api.call(
            "PUT",
            "/v1/me/preferences",
            who="anna",
            json={**got.json, "exceptions": apart},
            headers={"If-Match": got.headers["ETag"]},
        )
        times = await api.call("GET", "/v1/me/times", who="anna")
        same = await put(api, times.body)
        assert (same.status, same.headers["ETag"]) == (200, done.headers["ETag"])
        assert same.json["exceptions"] == apart


async def test_a_file_of_another_program_is_taken_in():
    available = (
        "BEGIN:VAVAILABILITY\nUID:a\nBEGIN:AVAILABLE\nUID:b\nSUMMARY:Evenings\n"
        "DTSTART;TZID=Europe/Paris:20260105T190000\nDURATION:PT3H\n"
        "RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,WE;WKST=MO\nEND:AVAILABLE\n"
        "BEGIN:AVAILABLE\nDTSTART;TZID=Europe/Paris:20260105T220000\n"
        "DTEND;TZID=Europe/Paris:20260106T013000\nRRULE:FREQ=DAILY\nEND:AVAILABLE\n"
        "BEGIN:AVAILABLE\nDTSTART;TZID=Europe/Paris:20261224T150000\n"
        "DTEND;TZID=Europe/Paris:20261225T000000\nEND:AVAILABLE\nEND:VAVAILABILITY\n"
    )
    async with open_api() as api:
        done = await put(api, file(available, HOLIDAY))
        assert done.status == 200, done.body
        assert done.json["timezone"] == "Europe/Paris"
        assert done.json["window"] == [
            {"from": "19:00", "until": "22:00", "days": ["mon", "wed"]},
            {"from": "22:00", "until": "01:30"},
        ]
        assert done.json["exceptions"] == [{"on": "2026-12-24", "from": "15:00", "until": "24:00"}]
        assert done.json["pauses"] == [{"from": "2026-08-01", "until": "2026-08-20"}]


AVAILABLE = """\
BEGIN:VAVAILABILITY
BEGIN:AVAILABLE
SUMMARY:Reading
DTSTART:20260103T090000
DTEND:20260103T120000
RRULE:FREQ=WEEKLY
END:AVAILABLE
END:VAVAILABILITY
"""
CANCELLED = "STATUS:CANCELLED\nSUMMARY"


async def test_what_is_cancelled_is_left_out():
    gone = [
        SATURDAY.replace("SUMMARY", CANCELLED).replace("Amsterdam", "London"),
        HOLIDAY.replace("SUMMARY", CANCELLED).replace("202608", "202609"),
        AVAILABLE.replace("SUMMARY", CANCELLED),
        AVAILABLE.replace("BEGIN:AVAILABLE", "STATUS:cancelled\nBEGIN:AVAILABLE"),
        SATURDAY.replace("SUMMARY", CANCELLED).replace("FREQ=WEEKLY", "FREQ=MONTHLY"),
        "BEGIN:VTODO\nSTATUS:CANCELLED\nEND:VTODO\n",
    ]
    async with open_api() as api:
        done = await put(api, file(SATURDAY, *gone, HOLIDAY))
        assert done.status == 200, done.body
        assert done.json["timezone"] == "Europe/Amsterdam"
        assert done.json["window"] == [{"from": "09:00", "until": "12:00", "days": ["sat"]}]
        assert done.json["pauses"] == [{"from": "2026-08-01", "until": "2026-08-20"}]


# (components, the zone the calendar is said to be in, the zone that comes of it)
ZONED = [
    (AVAILABLE, "Europe/London", "Europe/London"),
    (HOLIDAY, "Europe/London", "Europe/London"),
    (SATURDAY, "Europe/London", "Europe/Amsterdam"),  # each time says its own
    (SATURDAY.replace(";TZID=Europe/Amsterdam:20260103T120000", ":20260103T120000"),
     "Europe/Amsterdam", "Europe/Amsterdam"),
    (AVAILABLE.replace("0000\n", "0000Z\n"), "Africa/Abidjan", "Africa/Abidjan"),
    (AVAILABLE.replace("0000\n", "0000Z\n"), "Europe/London", "UTC"),
    (SATURDAY, "Home", "Europe/Amsterdam"),
    (HOLIDAY, "Home", "Europe/Amsterdam"),
    (AVAILABLE, None, "Europe/Amsterdam"),  # the consumer's own
]  # fmt: skip


@pytest.mark.parametrize(("component", "named", "zone"), ZONED)
async def test_times_without_a_zone_are_in_that_of_the_calendar(component, named, zone):
    async with open_api() as api:
        done = await put(api, file(component, zone=named))
        assert done.status == 200, done.body
        assert done.json.get("timezone", "UTC") == zone


async def test_a_calendar_whose_times_are_in_no_one_zone_is_refused():
    async with open_api() as api:
        for named, says in [("Europe/London", "several time zones"), ("Home", "no time zone")]:
            reply = await put(api, file(SATURDAY, AVAILABLE, zone=named))
            assert reply.status == 422
            (error,) = reply.json["errors"]
            assert error["path"] == "VCALENDAR"
            assert says in error["mistake"]


async def test_a_window_may_begin_within_two_weeks():
    async with open_api() as api:  # Monday, 23 November 2026
        soon = SATURDAY.replace("20260103", "20261205")
        assert (await put(api, file(soon))).status == 200
        reply = await put(api, file(soon.replace("20261205", "20261212")))
        assert reply.status == 422
        (error,) = reply.json["errors"]
        assert error["mistake"] == "it begins on 2026-12-12; a window here holds from now on"
        # What has a date of its own may lie ahead as far as it likes.
        later = AVAILABLE.replace("RRULE:FREQ=WEEKLY\n", "").replace("20260103", "20300105")
        done = await put(api, file(later, HOLIDAY.replace("202608", "203008")))
        assert done.status == 200, done.body


RULE = "RRULE:FREQ=WEEKLY;BYDAY=SA"
TZ = ";TZID=Europe/Amsterdam"
# (components, the component that is named, what is said of it)
UNSUPPORTED = [
    (SATURDAY.replace(RULE, f"{RULE};COUNT=3"), "VEVENT 'Reading'", "COUNT is not supported"),
    (SATURDAY.replace(RULE, f"{RULE};UNTIL=20270101T000000Z"), "VEVENT 'Reading'", "UNTIL"),
    (SATURDAY.replace(RULE, f"{RULE};INTERVAL=2"), "VEVENT 'Reading'", "every week"),
    (SATURDAY.replace(RULE, f"{RULE};BYMONTH=3,4,5"), "VEVENT 'Reading'", "BYMONTH"),
    (SATURDAY.replace(RULE, "RRULE:FREQ=MONTHLY;BYDAY=1SA"), "VEVENT 'Reading'", "FREQ=MONTHLY"),
    (SATURDAY.replace(RULE, "RRULE:FREQ=WEEKLY;BYDAY=1SA"), "VEVENT 'Reading'", "plain weekdays"),
    (SATURDAY.replace(RULE, f"{RULE}\n{RULE}"), "VEVENT 'Reading'", "several RRULEs"),
    (SATURDAY.replace(RULE, f"{RULE}\nEXDATE{TZ}:20260110T090000"), "VEVENT 'Reading'", "EXDATE"),
    (SATURDAY.replace(RULE, f"{RULE}\nRDATE{TZ}:20260111T090000"), "VEVENT 'Reading'", "RDATE"),
    (SATURDAY.replace(f"{RULE}\n", ""), "VEVENT 'Reading'", "a single event with times"),
    (SATURDAY.replace("T120000", "T090000"), "VEVENT 'Reading'", "no time"),
    (SATURDAY.replace("20260103T120000", "20260105T120000"), "VEVENT 'Reading'", "over a day"),
    (SATURDAY.replace("T120000", "T120030"), "VEVENT 'Reading'", "seconds"),
    (SATURDAY.replace("Europe/Amsterdam", "Home"), "VEVENT 'Reading'", "no time zone 'Home'"),
    (SATURDAY.replace("Europe/Amsterdam", "localtime"), "VEVENT 'Reading'", "no time zone"),
    (SATURDAY + SATURDAY.replace("Amsterdam", "London"), "VCALENDAR", "several time zones"),
    (SATURDAY.replace("20260103T090000", "soon"), "VEVENT 'Reading'", "DTSTART"),
    (SATURDAY.replace("20260103", "20300105"), "VEVENT 'Reading'", "it begins on 2030-01-05"),
    (AVAILABLE.replace("20260103", "20300105"), "AVAILABLE 'Reading'", "it begins on 2030-01-05"),
    (SATURDAY.replace("SUMMARY", "TRANSP:TRANSPARENT\nSUMMARY"), "VEVENT 'Reading'", "free time"),
    # One Saturday that is called off is a date apart, and not the whole of what is called off.
    (SATURDAY.replace("SUMMARY", f"RECURRENCE-ID{TZ}:20260110T090000\n{CANCELLED}"),
     "VEVENT 'Reading'", "RECURRENCE-ID"),
    (HOLIDAY.replace("SUMMARY", "TRANSP:TRANSPARENT\nSUMMARY"), "VEVENT 'Away'", "free time"),
    (HOLIDAY.replace("DTEND", "RRULE:FREQ=YEARLY\nDTEND"), "VEVENT 'Away'", "repeats whole days"),
    (HOLIDAY.replace("20260821", "20260701"), "VEVENT 'Away'", "before it begins"),
    ("BEGIN:VTODO\nSUMMARY:Call\nEND:VTODO\n", "VTODO 'Call'", "nothing here stands for it"),
    ("BEGIN:VAVAILABILITY\nUID:v\nDTSTART:20260101T000000Z\nEND:VAVAILABILITY\n",
     "VAVAILABILITY 'v'", "DTSTART"),
    (SATURDAY.replace(RULE, f"{RULE}\nX-LETTERBOX-KINDS:adverts"), "VEVENT 'Reading'", "adverts"),
    (SATURDAY.replace(RULE, f"{RULE}\nX-LETTERBOX-VENDOR:greenlef"), "window[0].vendors[0]",
     "there is no vendor 'greenlef'"),
    (SATURDAY.replace(RULE, f"{RULE}\nX-LETTERBOX-KINDS:service"), "window[0].kinds", "never"),
]  # fmt: skip


@pytest.mark.parametrize(("component", "path", "says"), UNSUPPORTED)
async def test_what_is_not_supported_is_named_and_nothing_changes(component, path, says):
    async with open_api() as api:
        before = await api.call("GET", "/v1/me/preferences", who="anna")
        reply = await put(api, file(HOLIDAY.replace("Away", "Fine"), component))
        assert reply.status == 422
        assert [error["path"] for error in reply.json["errors"]] == [path]
        assert says in reply.json["errors"][0]["mistake"]
        after = await api.call("GET", "/v1/me/preferences", who="anna")
        assert (after.body, after.headers["ETag"]) == (before.body, before.headers["ETag"])


NO_CALENDARS = [
    b"", b"hello", b"\xff\xfe", b"BEGIN:VEVENT\r\nEND:VEVENT\r\n", b"BEGIN:VCALENDAR\r\n",
    b"x" * 300_000, file(HOLIDAY * 900).encode(),
]  # fmt: skip


@pytest.mark.parametrize("content", NO_CALENDARS, ids=range(len(NO_CALENDARS)))
async def test_what_is_no_calendar_is_refused(content):
    async with open_api() as api:
        reply = await put(api, content)
        assert reply.status == 422
        assert reply.json["errors"][0]["allowed"]


async def test_a_change_of_times_is_guarded():
    async with open_api() as api:
        bare = {"Content-Type": "text/calendar"}
        assert (await put(api, file(SATURDAY), bare)).status == 428
        assert (await put(api, file(SATURDAY), bare | {"If-Match": '"9"'})).status == 412
        assert (await put(api, "{}", ICS | {"Content-Type": "application/json"})).status == 415


# ---- what is held follows ---------------------------------------------------------------------


async def advance(api, at):
    api.house.clock.at = at
    await api.house.work()


async def test_what_is_held_follows_a_changed_zone_and_window_and_comes_once():
    async with open_api() as api:
        await api.send(kind="newsletter")  # Monday; open on Saturdays from nine in Amsterdam
        (held,) = (await api.call("GET", "/v1/me/held", who="anna")).json["items"]
        assert datetime.fromisoformat(held["until"]) == datetime(2026, 11, 28, 8, tzinfo=UTC)
        await put(api, file(SATURDAY.replace("Amsterdam", "London")))
        await api.house.work()
        (held,) = (await api.call("GET", "/v1/me/held", who="anna")).json["items"]
        assert datetime.fromisoformat(held["until"]) == datetime(2026, 11, 28, 9, tzinfo=UTC)
        assert (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"] == []
        # Never early: a second before it opens nothing happens.
        await advance(api, datetime(2026, 11, 28, 8, 59, 59, tzinfo=UTC))
        assert (await api.call("GET", "/v1/me/inbox", who="anna")).json["items"] == []
        await advance(api, datetime(2026, 11, 28, 9, tzinfo=UTC))
        assert len((await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]) == 1
        await advance(api, datetime(2026, 12, 5, 9, tzinfo=UTC))
        assert len((await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]) == 1
        assert (await api.call("GET", "/v1/me/held", who="anna")).json["items"] == []


async def test_a_window_that_opens_now_lets_out_what_is_held():
    async with open_api() as api:
        await api.send(kind="newsletter")
        await put(api, file(SATURDAY.replace("BYDAY=SA", "BYDAY=MO").replace("T12", "T23")))
        await api.house.work()
        assert len((await api.call("GET", "/v1/me/inbox", who="anna")).json["items"]) == 1
