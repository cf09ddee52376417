"""Where things are in the store: every partition, key, log and claim has its name here."""

from datetime import date, datetime
from hashlib import sha256

from letterbox.model.address import Address

DIRECTORY = "directory"
#: What the categories of other taxonomies are called here.
TAXONOMY = "taxonomy"
#: Refusals at unknown addresses are written here, so that they cost what the others cost.
NOBODY = ""
#: The operator's own mailbox, which takes postmaster's and abuse's mail (RFC 5321, RFC 2142).
OPERATOR = "operator"

PREFERENCES = "preferences"
MESSAGE = "message"
VENDOR = "vendor"
OWNER = "owner"
#: A name that one alone may have (an address, a domain) is passing, or has just passed.
PASSING = "passing"
#: Entries of the lists of preferences, by sort and id.
PIECE = "piece/"
CHANGE = "change/"
FEED = "feed"
#: Entries of the outbox that could not be read.
BROKEN = "broken/"
COLLECT = "collect"
#: How far it is seen to what nobody needs any more: documents, and bodies outside the store.
SWEEP = "sweep"
STRAYS = "strays"
#: Whose bodies outside the store are: the name that this store has for it.
BODIES = "bodies"
CREDENTIAL = "credential"
#: Where somebody is signed in: all of a consumer's or vendor's browsers, as one document.
SESSIONS = "sessions"
#: Whom a sign-in link signs in, and that it has.
LINK = "link"
LINK_USED = "link-used"
#: What somebody signs in with: a password, and passkeys.
PASSWORD = "password"  # noqa: S105 - the name of a place
PASSKEYS = "passkeys"
#: What a browser was asked to sign, and that it has.
CHALLENGE = "challenge"
CHALLENGE_USED = "challenge-used"
#: Links of somebody's that may still sign them in, by name; in their own partition.
LINKS = "link/"
#: Somebody is being erased: how far that has come, and when it goes on.
ERASURE = "erasure"
#: An address of somebody who was erased: it is kept from being given to others.
FREED = "freed"
#: When a credential was last used.
USED = "used"
#: A domain is looked up again.
RECHECK = "recheck"
#: A vendor that registered by itself has not proven a domain in time.
UNPROVEN = "unproven"
#: Domains that a vendor says are its own, by name.
CLAIM = "claim/"
REFERENCE = "reference"
#: Reports that are owed by mail, by id.
REPORT = "report/"
#: Complaints, and unsubscriptions that a consumer asked for, by id.
COMPLAINT = "complaint/"
UNSUBSCRIPTION = "unsubscription/"
#: Reports to one place that were too many for an hour, by hour and id.
FOLDED = "folded/"
#: As an earlier version had them, as one document of a place.
FOLDED_BEFORE = "folded"
#: A place that took nothing of late.
SILENCE = "silence"
#: All endpoints of a vendor's, as one document.
WEBHOOKS = "webhooks"
#: How far each has come, and when something is to be done about it, by its id.
WEBHOOK = "webhook/"

#: The counter of all that waits at a consumer.
WAITING = "waiting/all"

INBOX = "inbox/"
#: Which entry of the inbox a held message became.
KEPT = "kept/"
HELD = "held/"
#: What is to be handed to the mail server behind, by its entry in the inbox.
BEHIND = "behind/"
DECISION = "decision/"
#: What was told, and what happened, beside the decisions: for the consumer alone.
ACTIVITY = "activity/"
#: The address that a registered vendor last wrote to, by vendor.
WROTE = "wrote/"
#: Vendors that are locked out and ask to come back.
REQUEST = "request/"
#: Addresses beside the first by which a vendor asked that are yet to be told of the outcome.
OUTCOME = "outcome/"
#: The consumer is to be told of something that went wrong in their name.
NOTICE = "notice/"
#: An address that was taken by the first who used it: its consumer's document is to say so.
BINDING = "binding/"
#: What was found of a consumer's old mail, and how far it was read.
IMPORT = "import"
#: Something came of which a consumer is given notice, by decision: first that it did, then as a
#: row; and that the rows are to be looked at.
NEWS = "news"
NEW = "new/"
#: When the last notice was given.
NOTIFIED = "notified"
#: The channels that notices go by, as one document; a notice on its way, by its channel.
CHANNELS = "channels"
CALL = "channel-call/"
#: What notices to browsers are signed with (RFC 8292), one key for the whole installation.
PUSH_KEY = "push-key"
#: How far a consumer's digests have come, and when the next one is due.
DIGEST = "digest"
#: What the links of a consumer's digests are signed with.
ACTION_KEY = "action-key"
#: All of a consumer's mailboxes elsewhere, as one document.
DESTINATIONS = "destinations"
#: A letter that asks to confirm one is owed, by its id.
CONFIRMING = "confirming/"
#: What a link confirms.
CONFIRMATION = "confirmation"
#: Mail of the inbox is to be handed on, by the id of its entry.
ONWARD = "onward/"
#: It was not, or not yet: the consumer may want to look at it.
STUCK = "stuck/"
#: Which entry of whose inbox was handed on under a name of ours.
HANDED = "handed"
#: The installation's own secret.
SECRET = "secret"  # noqa: S105 - the name of a place
#: Objections to advertising, by id.
OBJECTION = "objection/"
#: How far it was looked through what came since, and when that goes on.
OBJECTING = "objecting"


def room(partition: str) -> tuple[str, str]:
    """The room of a partition (``consumer``, ``vendor``, ...) and its name within it."""
    kind, _, name = partition.partition("/")
    return kind, name


def consumer(name: str) -> str:
    """The partition of a consumer; of nobody where the name is empty."""
    return f"consumer/{name}"


def vendor(name: str) -> str:
    """The partition of a registered vendor."""
    return f"vendor/{name}"


def message(name: str) -> str:
    """The partition of a message."""
    return f"message/{name}"


def address(of: Address) -> str:
    """The partition that says whose an address is."""
    return f"address/{of.local.lower()}@{of.domain}"


def domain(name: str) -> str:
    """The partition that says which vendor a domain belongs to."""
    return f"domain/{name}"


def claim(of: str) -> str:
    """The key of a vendor's claim on a domain."""
    return f"{CLAIM}{of}"


def webhook(name: str) -> str:
    """The key of how far an endpoint has come, and of its entry in the due-set."""
    return f"{WEBHOOK}{name}"


def woken(name: str) -> str:
    """The key whose revision grows whenever there is something new for an endpoint."""
    return f"woken/{name}"


def deliveries(name: str) -> str:
    """What the keys of an endpoint's last calls begin with."""
    return f"delivery/{name}/"


def webhook_calls(minute: datetime) -> str:
    """The counter of a minute's (UTC) calls that a vendor asked for."""
    return f"webhook-calls/{minute:%Y-%m-%dT%H:%M}"


def registrations(day: datetime, who: str = "") -> str:
    """The counter of a day's (UTC) new vendors, of all or of one network's."""
    return f"registrations/{day:%Y-%m-%d}/{who}"


def reference(name: str) -> str:
    """The partition of one reference."""
    return f"reference/{name}"


def said_once(what: str, message: str) -> str:
    """The claim that something is said of a message once."""
    return f"{what}/{message}"


def objected(vendor: str) -> str:
    """The key that says which objection stands against a vendor."""
    return f"objected/{vendor}"


def evidence(message: str) -> str:
    """The key that says that a message is kept for an objection."""
    return f"evidence/{message}"


def breaches(objection: str) -> str:
    """What the keys of messages begin with that came in spite of an objection."""
    return f"breach/{objection}/"


def unsubscribing(address: str) -> str:
    """The partition that bounds the mail to an address that ends subscriptions."""
    return f"unsubscribing/{address}"


def mailed(day: datetime) -> str:
    """The counter of a day's (UTC) mail to end subscriptions: a consumer's, or to an address."""
    return f"mailed/{day:%Y-%m-%d}"


def reports(place: str) -> str:
    """The partition that bounds the reports to one place."""
    return f"reports/{place}"


def caller(network: str) -> str:
    """The partition of what callers of a network did without showing a key."""
    return f"caller/{network}"


def credential(prefix: str) -> str:
    """The partition of one credential, found by its public prefix."""
    return f"credential/{prefix}"


def freed(place: str) -> str:
    """The partition that says that an address, by its place, was freed; it names no address."""
    return f"freed/{sha256(place.encode()).hexdigest()}"


def passkey(name: str) -> str:
    """The partition that says whose a passkey is."""
    return f"passkey/{name}"


def challenge(said: bytes) -> str:
    """The partition of one challenge."""
    return f"challenge/{sha256(said).hexdigest()}"


def link(name: str) -> str:
    """The partition of one sign-in link, found by its public part."""
    return f"link/{name}"


def confirmation(name: str) -> str:
    """The partition of one link that confirms a mailbox, found by its public part."""
    return f"confirmation/{name}"


def elsewhere(mailbox: str) -> str:
    """The partition of what was sent to a mailbox elsewhere; it names no address."""
    return f"elsewhere/{sha256(mailbox.encode()).hexdigest()}"


def handed(name: str) -> str:
    """The partition of what was handed on under a name, by which it may come back."""
    return f"handed/{name}"


def hop(domain: str) -> str:
    """The partition of the servers of a domain that mail is handed on to."""
    return f"hop/{domain}"


def confirmations(day: datetime) -> str:
    """The counter of a day's (UTC) letters that ask to confirm a mailbox."""
    return f"confirmations/{day:%Y-%m-%d}"


def strangers(day: datetime, reason: str) -> str:
    """The counter of a day's (UTC) unproven messages, by reason."""
    return f"strangers/{day:%Y-%m-%d}/{reason}"


def probes(of: str, day: datetime) -> str:
    """The counter of a vendor's distinct questions to one consumer on a day (UTC)."""
    return f"probes/{of}/{day:%Y-%m-%d}"


def preflights(day: datetime) -> str:
    """The counter of what a vendor asked ahead on a day (UTC), within its partition."""
    return f"preflights/{day:%Y-%m-%d}"


def told(day: date, of: str, verdict: str, code: str) -> str:
    """The counter of what a vendor was told on a day (UTC), within its partition."""
    return f"told/{day}/{of}/{verdict}/{code}"


def idempotency(key: str) -> str:
    """The claim of an idempotency key, within a vendor's partition."""
    return f"idempotency/{key}"


def call(key: str) -> str:
    """The claim of the idempotency key of a vendor's call that is no message."""
    return f"call/{key}"


def waiting(of: str) -> str:
    """The counter of what waits of one vendor's at a consumer."""
    return f"waiting/with/{of}"


def operator_rate(day: datetime) -> str:
    """The counter of an hour's (UTC) mail to the operator."""
    return f"operator/{day:%Y-%m-%dT%H}"


def kept(held: str) -> str:
    """The key that says which inbox entry a held message became."""
    return f"{KEPT}{held}"


def wrote(vendor: str, *, elsewhere: bool = False) -> str:
    """The key that says which address a registered vendor last wrote to.

    ``elsewhere``: which one that was given to another vendor.
    """
    return f"wrote-elsewhere/{vendor}" if elsewhere else f"{WROTE}{vendor}"


def asked(vendor: str, recipient: str = "") -> str:
    """The claim of a vendor that has asked to come back, of all or by one address it knows."""
    return f"asked/{vendor}/{recipient}"


def noticed(about: str) -> str:
    """The key of the decision that the consumer may have to be told of, by cause and vendor."""
    return f"noticed/{about}"


def told_of(cause: str, vendor: str) -> str:
    """The claim of having told the consumer of a cause and a vendor."""
    return f"told-of/{cause}/{vendor}"


def acted(link: str) -> str:
    """The claim of a link of a digest's that has been used, by what it does; it names no entry."""
    return f"acted/{sha256(link.encode()).hexdigest()}"


def channel_call(name: str) -> str:
    """The key of a notice that is on its way by a channel, and of its entry in the due-set."""
    return f"{CALL}{name}"


def channel_trials(hour: datetime) -> str:
    """The counter of an hour's (UTC) notices that a consumer asked for to try a channel."""
    return f"channel-trials/{hour:%Y-%m-%dT%H}"


def notices(day: datetime) -> str:
    """The counter of what a consumer was told of its own accord in a week (UTC)."""
    return f"notices/{day:%G-%V}"


def broken(sequence: int) -> str:
    """The key of an entry of the outbox that could not be read."""
    return f"{BROKEN}{sequence}"


def change(revision: int) -> str:
    """The key of the change that made a revision of preferences."""
    return f"{CHANGE}{revision:012}"


def foreign(source: str) -> str:
    """The key that says what was imported from a foreign taxonomy."""
    return f"foreign/{source}"


def foreign_chunk(source: str, nth: int) -> str:
    """The key of one part of its lines, counted from 0."""
    return f"foreign/{source}/{nth:04}"


def bound(address: str) -> str:
    """The claim of whoever was the first to use an address, within its consumer's partition."""
    return f"bound/{address}"
