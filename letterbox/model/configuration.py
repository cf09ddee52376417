"""The configuration, as types: every key with its default (``config/letterbox.toml`` explains).

Sizes are octets, times seconds, retentions days, unless a key says otherwise.
"""

from typing import Annotated, Literal

import msgspec

from letterbox.model.address import fold_domain

Size = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Days = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]

KIB = 1024
MIB = 1024 * 1024


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class TrustedPeer(_Section, frozen=True):
    """A peer whose word is taken. ``address`` is an IP address or a network (CIDR).

    ``asserts = "from"``: this inner relay has proven the author already. ``client`` says how it
    passes on the client's address; without it the client behind it is hidden, and refusals
    through it carry the stranger's text alone.
    """

    address: str
    client: Literal["proxy", "xclient", "xforward"] | None = None
    asserts: Literal["from"] | None = None


class HttpSection(_Section, frozen=True):
    """The API and the public pages."""

    listen: str = "127.0.0.1:8080"
    max_body: Size = 30 * MIB
    body_timeout: Seconds = 60.0
    max_connections: Count = 2000
    requests_per_address: Count = 1000
    requests_per_key: Count = 500
    feed_readers_per_vendor: Count = 50
    proxies: tuple[str, ...] = ()


class WebSection(_Section, frozen=True):
    """Pages for those who sign in. ``session_days`` without a visit end a session.

    So many failures to sign in within ``failure_period`` seconds lock out an address.
    ``streams_per_owner`` pages of one consumer or vendor may wait for news at once.
    """

    session_days: Days = 30
    link_hours: Count = 24
    failures_per_address: Count = 20
    failure_period: Seconds = 900.0
    streams_per_owner: Count = 10


class SmtpSection(_Section, frozen=True):
    """SMTP, and the limits that LMTP and submission share."""

    listen: str = "127.0.0.1:2525"
    max_size: Size = 25 * MIB
    max_buffered: Size = 256 * MIB
    max_line: Size = 64 * KIB
    max_command: Size = 2048
    max_recipients: Count = 100
    max_transactions: Count = 1000
    max_errors: Count = 20
    max_sessions: Count = 4000
    sessions_per_address: Count = 100
    command_timeout: Seconds = 300.0
    content_timeout: Seconds = 600.0
    session_timeout: Seconds = 3600.0
    min_rate: Count = 100
    rate_period: Seconds = 30.0
    trusted_peers: tuple[TrustedPeer, ...] = ()


class ListenSection(_Section, frozen=True):
    """A gateway with an address alone; empty is off."""

    listen: str = ""


class SubmissionSection(_Section, frozen=True):
    """SMTP with AUTH, for vendors. ``listen_tls`` speaks TLS from the first octet (RFC 8314).

    Wrong keys: so many within ``failure_period`` seconds lock out an address, or a vendor's id
    for addresses that have not shown its key before.
    """

    listen: str = ""
    listen_tls: str = ""
    failures_per_address: Count = 10
    failures_per_vendor: Count = 20
    failure_period: Seconds = 900.0


class FilterSection(_Section, frozen=True):
    """Between two mail servers: what is delivered is handed to ``next_hop`` before it is answered.

    ``connections`` to it at once. ``connect_timeout`` and ``command_timeout`` are for one step,
    ``timeout`` for a whole message; ``hours`` is how long released mail is tried.
    """

    listen: str = ""
    next_hop: str = ""
    connections: Count = 20
    connect_timeout: Seconds = 10.0
    command_timeout: Seconds = 60.0
    timeout: Seconds = 300.0
    hours: Count = 120


class AdminSection(_Section, frozen=True):
    """Operators: ``listen`` serves /metrics and health, ``socket`` the command line."""

    listen: str = ""
    socket: str = ""


class StoreSection(_Section, frozen=True):
    """Where everything is kept; all but ``url`` is for a Redis server.

    ``replicas``: so many must have a commit before it is acknowledged. ``patience``: seconds a
    command may take. ``unsafe``: take a server that would lose what was acknowledged.
    """

    url: str = "sqlite:var/letterbox.db"
    replicas: Annotated[int, msgspec.Meta(ge=0)] = 0
    patience: Seconds = 5.0
    unsafe: bool = False


class BodiesSection(_Section, frozen=True):
    """Where received bytes are kept: ``store:`` is with everything else.

    ``endpoint`` and ``region`` are of S3; empty: AWS's, and what the environment says.
    ``patience``: seconds a call may take, where they are kept outside.
    """

    url: str = "store:"
    endpoint: str = ""
    region: str = ""
    patience: Seconds = 20.0


class DnsSection(_Section, frozen=True):
    """Resolvers as ``host:port``; none are the system's."""

    servers: tuple[str, ...] = ()
    timeout: Seconds = 5.0


class IdentitySection(_Section, frozen=True):
    """Whose word is taken about an author that nothing proves here; all folded.

    ``arc_sealers`` are domains, each with all below it; ``trusted_results`` are the authserv-ids
    of inner relays, taken from peers of ``smtp.trusted_peers`` alone.
    """

    arc_sealers: tuple[str, ...] = ()
    trusted_results: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in ("arc_sealers", "trusted_results"):
            folded = tuple(fold_domain(name) or name for name in getattr(self, key))
            msgspec.structs.force_setattr(self, key, folded)


class DkimSection(_Section, frozen=True):
    """Our own signature: an RSA key (PEM file), published at ``selector`` of ``domain``.

    ``domain`` empty means the host name.
    """

    selector: str = ""
    key: str = ""
    domain: str = ""


class OutboundSection(_Section, frozen=True):
    """Mail that we send ourselves: reports. ``relay`` is ``host:port``; empty: by the DNS.

    ``timeout`` is for one attempt; ``hours`` is how long it is tried.
    """

    relay: str = ""
    dkim: DkimSection = DkimSection()
    reports_per_domain_hour: Count = 60
    hours: Count = 48
    timeout: Seconds = 120.0


class OnwardSection(_Section, frozen=True):
    """Handing on what was delivered to where its consumer reads mail.

    ``lmtp`` is a mailbox server of yours, ``host:port`` or ``unix:`` and a path; empty: none.
    ``lmtp_user`` says what a mailbox is called there: ``{address}`` is a consumer's first address,
    ``{id}`` the id; ``lmtp_users`` has those that are called otherwise, by id. ``days`` is how
    long it is tried. ``domain`` is the one that return paths are in; empty: the host name where
    that is one of ``domains``, else the first of these.
    """

    lmtp: str = ""
    lmtp_user: str = "{address}"
    lmtp_users: dict[str, str] = {}
    days: Days = 5
    timeout: Seconds = 60.0
    domain: str = ""
    at_once: Count = 50

    def __post_init__(self) -> None:
        domain = fold_domain(self.domain) or self.domain
        msgspec.structs.force_setattr(self, "domain", domain)


class TlsSection(_Section, frozen=True):
    """Certificate chain and key, PEM files; both or neither."""

    certificate: str = ""
    key: str = ""


class ReadingSection(_Section, frozen=True):
    """How much of a message is read."""

    header_bytes: Size = 256 * KIB
    header_fields: Count = 1000
    mime_depth: Count = 50
    mime_parts: Count = 1000
    text_chars: Size = 256 * KIB


class TrackersSection(_Section, frozen=True):
    """What is taken out of messages: ``rules`` are files of the operator's beside our own."""

    rules: tuple[str, ...] = ()


class LimitsSection(_Section, frozen=True):
    """Rates, and how much may wait at one consumer.

    ``reconnect_days``: a vendor that is locked out may ask a consumer once in so many days.
    ``objection_grace_days``: advertising later than that after an objection is a breach of it.
    """

    messages_per_vendor_second: Count = 100
    operator_messages_per_hour: Count = 100
    held_per_vendor: Count = 50
    held_per_consumer: Count = 1000
    reconnect_days: Days = 30
    objection_grace_days: Days = 5


class VendorsSection(_Section, frozen=True):
    """Vendors that register themselves, and the domains that vendors prove."""

    self_registration: bool = False
    registrations_per_day: Count = 200
    registrations_per_network_day: Count = 5
    unproven_days: Days = 7
    recheck_hours: Count = 24
    grace_days: Days = 7


class ProbesSection(_Section, frozen=True):
    """How often a vendor may learn about a consumer's wishes by trying, and ask ahead."""

    per_day: Count = 100
    preflights_per_day: Count = 200


class WebhooksSection(_Section, frozen=True):
    """Calling vendors' endpoints. ``timeout`` is for a whole call, ``at_once`` for all vendors.

    ``trials_per_minute`` are calls of one vendor's that no event is the cause of.
    """

    allow_private_addresses: bool = False
    timeout: Seconds = 15.0
    at_once: Count = 200
    trials_per_minute: Count = 10


class RetentionSection(_Section, frozen=True):
    """How long things are kept."""

    claims: Annotated[int, msgspec.Meta(ge=7)] = 7
    decisions: Days = 400
    activity: Days = 400
    changes: Days = 400
    feedback: Days = 90
    webhook_calls: Days = 90
    refused: Days = 30
    held: Days = 60
    requests: Days = 30
    strangers: Annotated[int, msgspec.Meta(ge=1, le=366)] = 30
    operator: Days = 400
    credentials: Days = 90
    imports: Days = 30


class ImportsSection(_Section, frozen=True):
    """``max_size``: of an mbox that is uploaded; ``at_once``: how many are read in one process."""

    max_size: Size = 2 * 1024**3
    at_once: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2


class LogSection(_Section, frozen=True):
    """``format``: ``json``, ``plain``, or ``auto`` (plain on a terminal)."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "plain"] = "auto"


class Configuration(_Section, frozen=True):
    """The whole file. ``domains`` empty means the host name; ``public_url`` the HTTP address.

    ``hostname`` and ``domains`` are kept folded, as what comes in is compared; what is no domain
    stays as it is, to be named.
    """

    hostname: str = "letterbox.example"
    domains: tuple[str, ...] = ()
    public_url: str = ""
    http: HttpSection = HttpSection()
    web: WebSection = WebSection()
    smtp: SmtpSection = SmtpSection()
    lmtp: ListenSection = ListenSection()
    submission: SubmissionSection = SubmissionSection()
    filter: FilterSection = FilterSection()
    admin: AdminSection = AdminSection()
    store: StoreSection = StoreSection()
    bodies: BodiesSection = BodiesSection()
    dns: DnsSection = DnsSection()
    identity: IdentitySection = IdentitySection()
    outbound: OutboundSection = OutboundSection()
    onward: OnwardSection = OnwardSection()
    tls: TlsSection = TlsSection()
    reading: ReadingSection = ReadingSection()
    trackers: TrackersSection = TrackersSection()
    limits: LimitsSection = LimitsSection()
    vendors: VendorsSection = VendorsSection()
    probes: ProbesSection = ProbesSection()
    webhooks: WebhooksSection = WebhooksSection()
    imports: ImportsSection = ImportsSection()
    retention: RetentionSection = RetentionSection()
    log: LogSection = LogSection()

    def __post_init__(self) -> None:
        domains = tuple(fold_domain(domain) or domain for domain in self.domains)
        msgspec.structs.force_setattr(self, "hostname", fold_domain(self.hostname) or self.hostname)
        msgspec.structs.force_setattr(self, "domains", domains)

    @property
    def our_domains(self) -> frozenset[str]:
        """The domains we take mail for, folded."""
        return frozenset(self.domains or (self.hostname,))

    @property
    def return_domain(self) -> str:
        """The domain of ours that what is handed on comes back to."""
        if self.onward.domain:
            return self.onward.domain
        ours = self.domains or (self.hostname,)
        return self.hostname if self.hostname in ours else ours[0]

    @property
    def own_url(self) -> str:
        """Where our pages are, as far as is known before HTTP listens; no final slash."""
        return self.public_url.rstrip("/") or f"http://{self.http.listen or self.hostname}"
