"""The demonstration's people, names and mails.

Days and hours are set from the clock, so that the same things happen whenever it runs.
"""

from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

import msgspec

HOSTNAME = "letterbox.example"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

#: What the demo's own DNS server says of the vendors: who may send for them (RFC 7208).
SPF_HERE = {"TXT": ["v=spf1 ip4:127.0.0.1 ip6:::1 -all"]}
SPF_ELSEWHERE = {"TXT": ["v=spf1 ip4:192.0.2.25 -all"]}


_VENDORS = """\
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[vendor]]
id = "voltshop"
name = "Volt Shop"
domains = ["voltshop.example"]

[[vendor]]
id = "pagewise"
name = "Pagewise Books"
domains = ["pagewise.example"]

"""


def people(now: datetime) -> str:
    """The people file: two consumers with different wishes, and the vendors they know."""
    closed_today = _DAYS[(now + timedelta(days=3)).weekday()]
    tomorrow = (now + timedelta(days=1)).date()
    past, long_past = (now - timedelta(days=10)).date(), (now - timedelta(days=90)).date()
    return f"""\
{_VENDORS}[[consumer]]
id = "anna"
addresses = [
  "anna@{HOSTNAME}",
  {{ address = "garden@{HOSTNAME}", vendor = "greenleaf" }},
]
timezone = "Europe/Amsterdam"
language = "nl"

  [[consumer.interest]]
  id = "garden-tools"
  categories = ["home-garden/garden-tools"]
  max_price = {{ amount = "150.00", currency = "EUR" }}
  regions = ["NL"]

  [[consumer.interest]]
  id = "christmas-lights"
  keywords = {{ any = ["fairy lights", "kerstverlichting"] }}
  from = {long_past}
  until = {past}

  [[consumer.vendor]]
  vendor = "greenleaf"
  accepts = ["service", "offer"]

  [[consumer.vendor]]
  vendor = "voltshop"
  standing = "blocked"
  because = "too-often"
  remedy = {{ limit = {{ messages = 1, per = "month" }} }}

[[consumer]]
id = "ben"
addresses = ["ben@{HOSTNAME}"]
timezone = "Europe/London"

  [[consumer.interest]]
  id = "headphones"
  categories = ["electronics/audio"]
  brands = ["Sonorelle"]

  [[consumer.interest]]
  id = "books"
  keywords = {{ any = ["novel", "thriller"], none = ["vampire"] }}

  [[consumer.window]]
  days = ["{closed_today}"]
  from = "09:00"
  until = "12:00"
  kinds = ["newsletter"]

  [[consumer.vendor]]
  vendor = "voltshop"
  limit = {{ messages = 2, per = "week", kinds = ["offer"] }}

  [[consumer.vendor]]
  vendor = "pagewise"
  accepts = ["service", "newsletter"]
  from = {long_past}
  until = {tomorrow.replace(year=tomorrow.year + 1, day=1)}
"""


def watchers() -> str:
    """The same people before they have said anything: they only watch what comes."""
    return f"""\
{_VENDORS}[[consumer]]
id = "anna"
addresses = [
  "anna@{HOSTNAME}",
  {{ address = "garden@{HOSTNAME}", vendor = "greenleaf" }},
]
timezone = "Europe/Amsterdam"
language = "nl"
mode = "observe"

[[consumer]]
id = "ben"
addresses = ["ben@{HOSTNAME}"]
timezone = "Europe/London"
mode = "observe"
"""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One message: what it shows, by which edge it goes, and what it is."""

    shows: str
    edge: str = "smtp"
    vendor: str
    to: str
    subject: str
    text: str = "Dear reader,\n\nthis is a message of the demonstration.\n"
    headers: dict[str, str] = {}
    #: The domain whose key signs it; the author's own where nothing is said.
    signed_by: str | None = None
    #: For the API.
    body: dict[str, Any] = {}

    @property
    def recipient(self) -> str:
        """The address it goes to."""
        return f"{self.to}@{HOSTNAME}"

    @property
    def domain(self) -> str:
        """The author's domain."""
        return f"{self.vendor}.example"

    def mail(self, now: datetime, number: int) -> bytes:
        """The message as it goes over the wire, unsigned."""
        message = EmailMessage(policy=SMTP)
        message["From"] = f"{self.vendor.title()} <shop@{self.domain}>"
        message["To"] = self.recipient
        message["Subject"] = self.subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<demo-{number}.{now:%Y%m%d%H%M%S%f}@{self.domain}>"
        for name, value in self.headers.items():
            message[name] = value
        message.set_content(self.text)
        return message.as_bytes()

    def post(self) -> dict[str, Any]:
        """The message as the API takes it."""
        plain = {"to": [self.recipient], "subject": self.subject, "text": self.text}
        return plain | {"kind": "offer"} | self.body


def _priced(amount: str) -> dict[str, Any]:
    return {"price": {"amount": amount, "currency": "EUR"}}


_PRUNING = ["home-garden/garden-tools/pruning"]
_AUDIO = ["electronics/audio"]


def scenes(now: datetime) -> tuple[Scene, ...]:
    """What happens, in order: delivered, held, and refused for many different reasons."""
    garden = {"Letterbox-Kind": "offer", "Letterbox-Category": _PRUNING[0]}
    over = (now - timedelta(days=5)).date().isoformat()
    return (
        Scene(
            shows="a wanted offer by signed mail",
            vendor="greenleaf",
            to="anna",
            headers=garden,
            subject="Autumn sale: pruners for the whole garden",
        ),
        Scene(
            shows="the same shop by the API, within the price",
            edge="http",
            vendor="greenleaf",
            to="garden",
            subject="Bypass pruner, 129.95",
            body={"offer": {"categories": _PRUNING, **_priced("129.95"), "region": "NL"}},
        ),
        Scene(
            shows="too dear for Anna",
            edge="http",
            vendor="greenleaf",
            to="anna",
            subject="Battery hedge trimmer, 219.00",
            body={"offer": {"categories": _PRUNING, **_priced("219.00")}},
        ),
        Scene(
            shows="an offer that is over",
            vendor="greenleaf",
            to="anna",
            headers=garden | {"Letterbox-Offer-Until": over},
            subject="Last chance: loppers",
        ),
        Scene(
            shows="a subject nobody asked for",
            edge="http",
            vendor="greenleaf",
            to="anna",
            subject="Now also garden gnomes",
            body={"offer": {"categories": ["home-garden/decoration"]}},
        ),
        Scene(
            shows="an interest whose time is past",
            vendor="greenleaf",
            to="anna",
            headers={"Letterbox-Kind": "offer"},
            subject="Fairy lights for the terrace",
        ),
        Scene(
            shows="a kind Anna does not take from this shop",
            vendor="greenleaf",
            to="anna",
            headers={"List-Unsubscribe": "<mailto:off@greenleaf.example>"},
            subject="Our monthly letter",
        ),
        Scene(
            shows="an order confirmation, always welcome",
            vendor="greenleaf",
            to="anna",
            headers={"Letterbox-Kind": "service"},
            subject="Your order 1043 is on its way",
        ),
        Scene(
            shows="a shop Anna locked out",
            edge="http",
            vendor="voltshop",
            to="anna",
            subject="Headphones, only today",
            body={"offer": {"categories": _AUDIO, "brand": "Sonorelle"}},
        ),
        Scene(
            shows="the same shop, welcome at Ben's",
            edge="http",
            vendor="voltshop",
            to="ben",
            subject="Sonorelle headphones",
            body={"offer": {"categories": _AUDIO, "brand": "Sonorelle", **_priced("89.00")}},
        ),
        Scene(
            shows="another brand than Ben wants",
            edge="http",
            vendor="voltshop",
            to="ben",
            subject="Brummton headphones",
            body={"offer": {"categories": _AUDIO, "brand": "Brummton", **_priced("39.00")}},
        ),
        Scene(
            shows="the second offer of the week",
            vendor="voltshop",
            to="ben",
            headers={"Letterbox-Kind": "offer", "Letterbox-Category": _AUDIO[0]},
            subject="Sonorelle earbuds are in",
        ),
        Scene(
            shows="the third: over the limit of two",
            edge="http",
            vendor="voltshop",
            to="ben",
            subject="Sonorelle speakers",
            body={"offer": {"categories": _AUDIO, "brand": "Sonorelle"}},
        ),
        Scene(
            shows="a newsletter outside Ben's hours: it waits",
            vendor="pagewise",
            to="ben",
            headers={"List-Id": "<letter.pagewise.example>"},
            subject="A new novel by a quiet master",
            text="This month: one novel, two thrillers and a cookery book.\n",
        ),
        Scene(
            shows="a word that Ben shuts out",
            vendor="pagewise",
            to="ben",
            headers={"List-Id": "<letter.pagewise.example>"},
            subject="Vampire novel of the year",
        ),
        Scene(
            shows="a proven shop without a relationship",
            vendor="pagewise",
            to="anna",
            headers={"List-Id": "<letter.pagewise.example>"},
            subject="Get to know us",
        ),
        Scene(
            shows="an address that was given to another shop",
            edge="http",
            vendor="voltshop",
            to="garden",
            subject="Who gave us this address?",
        ),
        Scene(
            shows="an address that does not exist: what every stranger hears",
            vendor="pagewise",
            to="nobody",
            headers={"List-Id": "<letter.pagewise.example>"},
            subject="Get to know us",
        ),
        Scene(
            shows="somebody who writes as Greenleaf and is not",
            vendor="greenleaf",
            to="anna",
            headers=garden,
            signed_by="nobody",
            subject="Your account is locked, click here",
        ),
    )


def zone() -> dict[str, dict[str, list[str]]]:
    """The names of the demonstration, without the signing keys."""
    return {
        "greenleaf.example": dict(SPF_ELSEWHERE),  # proven by its signature alone
        "voltshop.example": dict(SPF_HERE),
        "pagewise.example": dict(SPF_HERE),
        "_dmarc.greenleaf.example": {"TXT": ["v=DMARC1; p=none"]},
    }
