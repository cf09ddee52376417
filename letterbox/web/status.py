"""What was just done, said once on the next page, with the way back.

It travels in a cookie of ours that the next page takes away: an address never repeats it.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from letterbox.web.texts import N_

COOKIE: Final = "letterbox-said"
#: Seconds in which the next page has to come.
LASTS: Final = 60
_LONGEST_FACT: Final = 100
_LONGEST: Final = 2000


class Status(NamedTuple):
    """A sentence; where it can be put back, the form that does so.

    ``back`` is its path and ``fields`` what it says; facts stand in for ``{name}`` in both.
    """

    text: str
    back: str = ""
    fields: Mapping[str, str] = {}
    #: Where to look at it.
    see: str = ""


#: The form that makes the rules what they were.
_RULES_BACK: Final = ("/rules/put-back", {"revision": "{revision}", "now": "{now}"})


def _back_to(page: str) -> tuple[str, Mapping[str, str]]:
    """The same, which leads to another page."""
    path, fields = _RULES_BACK
    return path, fields | {"page": page}


#: Everything that may be said, by its code.
STATUS: Mapping[str, Status] = {
    "archived": Status(N_("Archived: %(subject)s"), "/inbox/{id}/marks", {"archived": "no"}),
    "unarchived": Status(
        N_("Back in the inbox: %(subject)s"), "/inbox/{id}/marks", {"archived": "yes"}
    ),
    "unread": Status(N_("Marked as unread: %(subject)s"), "/inbox/{id}/marks", {"read": "yes"}),
    "read": Status(N_("Marked as read: %(subject)s"), "/inbox/{id}/marks", {"read": "no"}),
    "advertising": Status(
        N_("%(vendor)s may send you no service mail any more."),
        *_RULES_BACK,
    ),
    "advertising-none": Status(N_("%(vendor)s had no right to service mail.")),
    "locked-out": Status(
        N_("%(vendor)s is locked out."),
        *_RULES_BACK,
    ),
    "objected": Status(
        N_("You objected to advertising of %(vendor)s."),
        *_RULES_BACK,
    ),
    "objected-before": Status(
        N_("You had objected to advertising of %(vendor)s already: nothing was sent again.")
    ),
    "objected-by-none": Status(
        N_("No message of %(vendor)s is in your inbox: you object by way of one.")
    ),
    "objection-withdrawn": Status(
        N_("Withdrawn: your objection to %(vendor)s. What it may send stays as it is.")
    ),
    "let-in": Status(N_("Let in: %(subject)s"), see="/inbox/{id}"),
    "let-in-changed": Status(
        N_("Let in, and the rule is changed: %(subject)s"),
        *_RULES_BACK,
        see="/inbox/{id}",
    ),
    "released": Status(N_("Let in: %(subject)s")),
    "answered-yes": Status(N_("You said yes: %(subject)s")),
    "answered-no": Status(N_("Refused: %(subject)s")),
    "let-back-in": Status(N_("%(vendor)s is let back in.")),
    "stays-out": Status(N_("%(vendor)s stays locked out.")),
    "company-added": Status(
        N_("%(vendor)s is on your list."),
        *_back_to("vendors"),
    ),
    "company-changed": Status(
        N_("Changed: %(vendor)s."),
        *_back_to("vendors"),
    ),
    "company-locked-out": Status(
        N_("%(vendor)s is locked out."),
        *_back_to("vendors"),
    ),
    "company-unlocked": Status(
        N_("%(vendor)s may write again."),
        *_back_to("vendors"),
    ),
    "company-removed": Status(
        N_("%(vendor)s is not on your list any more."),
        *_back_to("vendors"),
    ),
    "companies-changed": Status(
        N_("Changed: %(count)s."),
        *_back_to("vendors"),
    ),
    "companies-some": Status(
        N_("Changed: %(count)s. Changed in between, and so left alone: %(left)s."),
        *_back_to("vendors"),
    ),
    "address-made": Status(
        N_("You have %(address)s now."),
        *_back_to("addresses"),
    ),
    "address-removed": Status(
        N_("%(address)s is given up."),
        *_back_to("addresses"),
    ),
    "expecting": Status(
        N_("Everything of %(vendor)s comes until %(until)s."),
        *_back_to("expecting"),
    ),
    "expecting-address": Status(
        N_("%(address)s is yours to give. It waits for its first user until %(until)s."),
        *_back_to("expecting"),
    ),
    "expecting-kept": Status(
        N_("%(vendor)s is on your list."),
        *_back_to("expecting"),
    ),
    "expecting-closed": Status(
        N_("No longer expected: %(vendor)s."),
        *_back_to("expecting"),
    ),
    "choices-made": Status(
        N_("Changed: %(count)s."),
        *_back_to("start"),
    ),
    "choices-made-some": Status(
        N_("Changed: %(count)s. Not done: %(left)s."),
        *_back_to("start"),
    ),
    "mail-read": Status(N_("Read to its end: %(count)s mails.")),
    "mail-forgotten": Status(N_("What was found is forgotten.")),
    "company-confirmed": Status(N_("%(vendor)s goes on as it was.")),
    "companies-none": Status(N_("Nothing was changed.")),
    "put-back": Status(N_("Put back: the rules are as they were.")),
    "asked-back": Status(N_("They are asked. An answer may come until %(day)s.")),
    "domain-claimed": Status(N_("Claimed: %(domain)s. Now publish its record.")),
    "domain-proven": Status(N_("%(domain)s is proven to be yours.")),
    "domain-given-up": Status(N_("%(domain)s is yours no more.")),
    "key-revoked": Status(N_("Revoked: %(prefix)s. It opens nothing any more.")),
    "webhook-changed": Status(N_("Changed. It counts from the next event on.")),
    "webhook-enabled": Status(N_("It is called again, from where it stopped.")),
    "webhook-removed": Status(N_("Removed, with its keys and its log: %(url)s")),
    "webhook-tested": Status(N_("The test arrived: status %(status)s in %(milliseconds)s ms.")),
    "webhook-untested": Status(N_("The test did not arrive: %(detail)s.")),
    "reply-refuse": Status(
        N_("Refusals are answered over SMTP with a code from now on."),
        "/vendor/reporting",
        {"reply": "report", "agreed": "yes"},
    ),
    "reply-report": Status(
        N_("Refusals that are not final are told in your feedback alone from now on."),
        "/vendor/reporting",
        {"reply": "refuse"},
    ),
    "language-changed": Status(
        N_("Your language and time zone are saved."),
        *_RULES_BACK,
    ),
    "newcomers-changed": Status(
        N_("What new companies may do is saved."),
        *_RULES_BACK,
    ),
    "digest-changed": Status(N_("When a digest comes is saved."), *_back_to("notices")),
    "digest-sent": Status(N_("A digest is on its way.")),
    "digest-none": Status(N_("There is nothing new to tell, so no digest was sent.")),
    "notify-changed": Status(N_("What you are given notice of is saved."), *_back_to("notices")),
    "channel-added": Status(N_("Added. Send a test to see that it arrives.")),
    "channel-removed": Status(N_("Removed. Nothing is sent there any more.")),
    "channel-on": Status(N_("It is used again from now on.")),
    "channel-tested": Status(N_("The test arrived.")),
    "channel-untested": Status(N_("The test did not arrive: %(detail)s")),
    "onward-saved": Status(N_("Where your mail goes is saved."), *_back_to("delivery")),
    "onward-tried": Status(N_("It is tried again now: %(subject)s")),
    "mailbox-added": Status(N_("A letter goes to %(address)s. Its link says yes.")),
    "mailbox-there": Status(N_("You have %(address)s already.")),
    "mailbox-removed": Status(N_("Removed: %(address)s. Nothing goes there any more.")),
    "mailbox-confirmed": Status(N_("Confirmed: %(address)s. Now choose what goes there.")),
    "tracking-changed": Status(
        N_("What is taken out of your messages is saved."),
        *_RULES_BACK,
    ),
    "tracking-allowed": Status(
        N_("%(vendor)s may see that you read it."),
        *_RULES_BACK,
    ),
    "tracking-ended": Status(
        N_("%(vendor)s sees no more of it than others."),
        *_RULES_BACK,
    ),
    "erased": Status(N_("Everything of yours is being erased. No mail is taken for you any more.")),
    "password-set": Status(N_("Your password is set. All other browsers are signed out.")),
    "password-removed": Status(N_("Your password is removed.")),
    "passkey-added": Status(N_("You can sign in with it from now on: %(name)s")),
    "passkey-renamed": Status(N_("It is called %(name)s now.")),
    "passkey-removed": Status(N_("The passkey is removed.")),
    "session-ended": Status(N_("That browser is signed out.")),
    "others-ended": Status(N_("All other browsers are signed out.")),
    "interest-saved": Status(N_("Saved: %(name)s. Wanted: %(effect)s"), *_RULES_BACK),
    "interest-removed": Status(N_("Removed: %(name)s. It lets nothing in now."), *_RULES_BACK),
    "times-saved": Status(N_("Saved. %(effect)s"), *_RULES_BACK),
    "replay-used": Status(N_("From now on: %(change)s"), *_RULES_BACK),
    "suggestion-adopted": Status(
        N_("From now on: %(change)s"),
        *_back_to("suggestions"),
    ),
    "suggestions-adopted": Status(
        N_("Adopted: %(count)s."),
        *_back_to("suggestions"),
    ),
    "mode-observe": Status(
        N_("From now on you only watch: everything is let in."),
        *_RULES_BACK,
    ),
    "mode-filter": Status(
        N_("From now on your rules decide what comes in."),
        *_RULES_BACK,
    ),
    "nothing-changed": Status(N_("Nothing was changed.")),
    "signed-out": Status(N_("You are signed out.")),
}


class Said(msgspec.Struct, frozen=True):
    """What stands in the cookie."""

    code: str
    facts: dict[str, str] = {}


def write(code: str, **facts: str) -> str:
    """A cookie's value."""
    short = {name: value[:_LONGEST_FACT] for name, value in facts.items()}
    return base64.urlsafe_b64encode(msgspec.json.encode(Said(code, short))).decode()


def read(cookie: str | None) -> Said | None:
    """What a cookie says; None where it is none of ours."""
    try:
        said = msgspec.json.decode(
            base64.urlsafe_b64decode((cookie or "")[:_LONGEST].encode()), type=Said
        )
    except (msgspec.MsgspecError, binascii.Error, UnicodeError, ValueError):
        return None
    return said if said.code in STATUS else None


class _Empty(dict[str, str]):
    """What is not said is left out."""

    def __missing__(self, name: str) -> str:
        return ""


def filled(pattern: str, facts: Mapping[str, str]) -> str:
    """A pattern with facts in its places."""
    return pattern.format_map(_Empty(facts))
