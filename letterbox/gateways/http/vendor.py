"""``/v1/vendors`` and ``/v1/vendor``: a vendor registers, and proves which domains are its own."""

from datetime import datetime
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from letterbox.gateways.http.answers import answer, nothing
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.forms import Form, Items, Nothing
from letterbox.gateways.http.problems import Problem, Reasoned, mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.address import fold_domain
from letterbox.model.preferences import Name, Reply, Word
from letterbox.model.vendor import Basis, Chosen, ClaimState, DomainClaim, Registered
from letterbox.records.claims import MOST_CLAIMS, TooMany
from letterbox.records.credentials import PREFIX
from letterbox.registration import Application, Full, Taken
from letterbox.registration.domains import HolderSuspended, fit, record_name, record_value
from letterbox.wishes import Mistake

#: Who writes under our own name as one of these is taken for us (RFC 2142, and usage).
_RESERVED = frozenset(
    {
        "abuse", "admin", "administrator", "help", "hostmaster", "info", "letterbox",
        "mailer-daemon", "no-reply", "noreply", "operator", "postmaster", "root", "security",
        "support", "webmaster",
    }
)  # fmt: skip
_WRITE = ("Idempotency-Key",)
_DNS_SECONDS = 300  # how long an answer of the DNS may be kept that was no


class NewVendor(Form, frozen=True):
    """A vendor that registers: ``id`` for programs, ``name`` for people, domains to be proven."""

    id: Name
    name: Word
    domains: Annotated[
        tuple[Word, ...],
        Meta(min_length=1, max_length=20, description="a list of 1 to 20 domains"),
    ]


class NewDomain(Form, frozen=True):
    """A domain that is the vendor's, in its own letters or as ``xn--…``."""

    domain: Word


class TxtRecord(msgspec.Struct, frozen=True):
    """The record that proves a domain."""

    name: str
    type: str
    value: str


class DomainItem(msgspec.Struct, frozen=True):
    """A domain of a vendor's: given by the operator, or to be proven by ``record``."""

    domain: str
    state: ClaimState
    basis: Basis
    record: TxtRecord | UnsetType = UNSET
    proven: datetime | UnsetType = UNSET
    checked: datetime | UnsetType = UNSET
    failing: datetime | UnsetType = UNSET


class ReplyForm(Form, frozen=True):
    """How refusals that are not final are answered over SMTP. ``report`` needs ``agreed``: true."""

    reply: Reply
    agreed: bool = False


class Agreement(msgspec.Struct, frozen=True):
    """When a vendor agreed to reports, and by which key: its prefix; ``session``: on the pages."""

    at: datetime
    key: str


class VendorItem(msgspec.Struct, frozen=True):
    """A vendor as it sees itself. ``suspended`` is there, with the reason, only when it is.

    ``agreed`` is there where it has chosen ``report`` itself.
    """

    id: str
    name: str
    reply: Reply
    domains: tuple[DomainItem, ...]
    messages_per_second: int
    agreed: Agreement | UnsetType = UNSET
    suspended: str | UnsetType = UNSET


class NewcomerItem(msgspec.Struct, frozen=True):
    """A vendor that has just registered. ``key`` is shown this once."""

    id: str
    name: str
    key: str
    domains: tuple[DomainItem, ...]


async def register(call: Call) -> web.Response:
    """Register a vendor, where the operator lets vendors do so."""
    registration = call.parts.registration
    if not registration.is_open:
        detail = "vendors do not register by themselves here; ask the operator to take you in"
        raise Problem("forbidden", detail)
    form = await call.form(NewVendor)
    application = Application(form.id, form.name, _fit(call, form))
    try:
        welcome = await registration.register(application, call.client)
    except Taken:
        detail = "there is a vendor of that id or name, or one that looks like it; choose others"
        raise Problem("conflict", detail) from None
    except Full as full:
        detail = f"as many vendors as may in a day have registered {full}; come again tomorrow"
        raise _too_many(detail) from None
    domains = tuple(_claimed(claim) for claim in welcome.claims)
    vendor = welcome.vendor
    item = NewcomerItem(id=vendor.id, name=vendor.name, key=welcome.key, domains=domains)
    return answer(item, status=201)


def _fit(call: Call, form: NewVendor) -> tuple[str, ...]:
    """The domains of a form, folded. Raises a Problem that names every mistake."""
    mistakes = []
    if "." in form.id:
        # Wishes that name a domain must not come to mean whoever calls itself so.
        mistakes.append(Mistake("id", "a name with a dot is a domain", "an id without dots"))
    if form.id in _RESERVED:
        mistakes.append(Mistake("id", f"{form.id} is the operator's", "another id"))
    if not form.name.strip() or not form.name.isprintable():
        mistakes.append(
            Mistake("name", "it is blank, or holds what is not to be seen", "a name on one line")
        )
    domains = []
    for nth, text in enumerate(form.domains):
        domain, mistake = _domain(call, text, f"domains[{nth}]")
        domains.append(domain)
        mistakes += [mistake] if mistake else []
    if mistakes:
        raise mistaken(*mistakes)
    return tuple(dict.fromkeys(domains))


def _domain(call: Call, text: str, path: str) -> tuple[str, Mistake | None]:
    """A domain, folded, and why it cannot be a vendor's."""
    found = fit(text, call.parts.domains, call.parts.configuration)
    wrong = Mistake(path, found.mistake, found.allowed) if found.mistake else None
    return found.domain, wrong


def _too_many(detail: str) -> Reasoned:
    return Reasoned("rate-limited", "Not now: too many", detail, 429, 86_400)


# ---- who am I


async def get_vendor(call: Call) -> web.Response:
    """The vendor whose key this is."""
    return answer(await _item(call, await _vendor(call)))


async def _item(call: Call, vendor: Registered) -> VendorItem:
    most = vendor.messages_per_second
    usual = call.parts.configuration.limits.messages_per_vendor_second
    suspended, chosen = vendor.suspended, vendor.chosen
    agreed = chosen is not None and chosen.reply == "report"
    return VendorItem(
        id=vendor.id,
        name=vendor.name,
        reply=vendor.effective_reply,
        domains=await _domains(call, vendor),
        messages_per_second=most or usual,
        agreed=Agreement(chosen.at, chosen.by) if chosen and agreed else UNSET,
        suspended=suspended.because if suspended else UNSET,
    )


async def choose_reply(call: Call) -> web.Response:
    """Choose how refusals that are not final are answered; an agreement is written down."""
    form = await call.form(ReplyForm)
    if form.reply == "report" and not form.agreed:
        mistake = "such refusals are answered 250 then, and told in the feed alone"
        raise mistaken(Mistake("agreed", mistake, "true, which says that you read the feed"))
    key = call.request.headers["Authorization"].split()[-1]
    chosen = Chosen(form.reply, call.parts.clock.now(), by=key[:PREFIX])
    vendor = await call.parts.vendors.choose(call.owner, chosen)
    if vendor is None:
        raise Problem("unauthorized")
    return answer(await _item(call, vendor))


async def _vendor(call: Call) -> Registered:
    vendor = await call.parts.vendors.get(call.owner)
    if vendor is None:
        raise Problem("unauthorized")
    return vendor


# ---- domains


async def list_domains(call: Call) -> web.Response:
    """Its domains, those to be proven among them."""
    return answer(Items(items=await _domains(call, await _vendor(call)), after=None))


async def _domains(call: Call, vendor: Registered) -> tuple[DomainItem, ...]:
    items = {
        domain: DomainItem(domain=domain, state="proven", basis="operator")
        for domain in vendor.given_domains
    }
    for claim in await call.parts.claims.of(vendor.id):
        items.setdefault(claim.domain, _claimed(claim))
    return tuple(items[domain] for domain in sorted(items))


def _claimed(claim: DomainClaim) -> DomainItem:
    record = TxtRecord(record_name(claim.domain), "TXT", record_value(claim))
    return DomainItem(
        domain=claim.domain,
        state=claim.state,
        basis="dns",
        record=record,
        proven=claim.proven or UNSET,
        checked=claim.checked or UNSET,
        failing=claim.failing or UNSET,
    )


async def claim_domain(call: Call) -> web.Response:
    """Say that a domain is the vendor's; the answer holds the record to publish."""
    vendor = await _vendor(call)
    domain, wrong = _domain(call, (await call.form(NewDomain)).domain, "domain")
    if wrong:
        raise mistaken(wrong)
    if domain in vendor.given_domains:
        raise Problem("conflict", f"{domain} is yours already, by the operator's word")
    try:
        claim = await call.parts.claims.ask(vendor.id, domain, call.parts.clock.now())
    except TooMany:
        raise Problem("conflict", f"at most {MOST_CLAIMS} domains; give one up first") from None
    return answer(_claimed(claim), status=201)


async def verify_domain(call: Call) -> web.Response:
    """Look for the record now."""
    vendor = await _vendor(call)
    await call.bare()
    claim = await _claim(call)
    found = await call.parts.domain_proofs.verify(vendor.id, claim)
    match found.outcome:
        case "proven":
            return answer(_claimed(found.claim))
        case "trouble":
            detail = f"the DNS gave no answer: {found.detail}"
            raise Problem("unavailable", detail, headers={"Retry-After": "60"})
        case "contested":
            raise Problem("conflict", found.detail)
        case "absent":
            raise Problem(
                "conflict",
                f"there is no TXT record {record_value(claim)} at {record_name(claim.domain)}; "
                f"publish it, and verify again after {_DNS_SECONDS // 60} minutes: so long may "
                "the DNS go on saying that there is none",
                headers={"Retry-After": str(_DNS_SECONDS)},
            )


async def give_up_domain(call: Call) -> web.Response:
    """Give a domain up: mail from it is the vendor's no more."""
    claim = await _claim(call)
    await call.bare()
    try:
        await call.parts.domain_proofs.give_up(call.owner, claim.domain)
    except HolderSuspended:
        raise Problem(
            "conflict", "a suspended vendor keeps its domains; ask the operator"
        ) from None
    return nothing()


async def _claim(call: Call) -> DomainClaim:
    domain = fold_domain(call.request.match_info["domain"])
    claim = await call.parts.claims.find(call.owner, domain) if domain else None
    vendor = await call.parts.vendors.get(call.owner)
    if claim is None and vendor is not None and domain in vendor.given_domains:
        raise Problem("conflict", f"{domain} is yours by the operator's word; ask the operator")
    if claim is None:
        raise Problem("not-found", "you have claimed no such domain; POST /v1/vendor/domains first")
    return claim


ROUTES = (
    Route(
        "POST",
        "/v1/vendors",
        "anyone",
        register,
        "Register as a vendor, where the operator lets vendors do so; the key is shown this once",
        takes={JSON: NewVendor},
        gives={JSON: NewcomerItem},
        fields=_WRITE,
        problems=(403, 408, 409, 413, 415, 422, 429),
        status=201,
        once="secret",
    ),
    Route("GET", "/v1/vendor", "vendor", get_vendor, "Who am I", gives={JSON: VendorItem}),
    Route(
        "PUT",
        "/v1/vendor/reply",
        "vendor",
        choose_reply,
        "Choose how refusals that are not final are answered over SMTP",
        takes={JSON: ReplyForm},
        gives={JSON: VendorItem},
        fields=_WRITE,
        problems=(403, 408, 413, 415, 422),
        scope="manage",
    ),
    Route(
        "GET",
        "/v1/vendor/domains",
        "vendor",
        list_domains,
        "The vendor's domains, and those it has yet to prove",
        gives={JSON: Items[DomainItem]},
    ),
    Route(
        "POST",
        "/v1/vendor/domains",
        "vendor",
        claim_domain,
        "Claim a domain; the answer holds the TXT record that proves it",
        takes={JSON: NewDomain},
        gives={JSON: DomainItem},
        fields=_WRITE,
        problems=(403, 408, 409, 413, 415, 422),
        status=201,
        scope="manage",
    ),
    Route(
        "POST",
        "/v1/vendor/domains/{domain}/verify",
        "vendor",
        verify_domain,
        "Look for the TXT record of a domain now",
        takes={JSON: Nothing},
        gives={JSON: DomainItem},
        fields=_WRITE,
        problems=(403, 404, 408, 409, 413, 415, 422),
        scope="manage",
    ),
    Route(
        "DELETE",
        "/v1/vendor/domains/{domain}",
        "vendor",
        give_up_domain,
        "Give a domain up",
        gives={},
        fields=_WRITE,
        problems=(403, 404, 409, 422),
        status=204,
        scope="manage",
    ),
)
