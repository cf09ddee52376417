"""The command line: what it understands, and what it says of itself."""

import argparse
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

MISUSED = 2
_DONE = 0
_MOST_PROCESSES = 64
_BECAUSE = ("too-often", "not-relevant", "never-asked", "bad-experience", "other")
_CONFIG_HELP = "configuration file; else LETTERBOX_CONFIG, else letterbox.toml here, else defaults"
_READY_HELP = (
    'written whole when it is ready: the bound addresses, as {"http": "127.0.0.1:8080", …}; '
    "removed at a clean stop"
)

Command = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where the rest is told."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISUSED, f"{self.prog}: {message}; {self.prog} --help tells how\n")


def parser(run: Mapping[str, Command]) -> argparse.ArgumentParser:
    """Everything that may be asked for; ``run`` does it, by name."""
    common = _Parser(add_help=False)
    for target, default in ((common, argparse.SUPPRESS), (top := _top(), None)):
        target.add_argument("--config", metavar="FILE", default=default, help=_CONFIG_HELP)
        off = default or False
        target.add_argument("--json", action="store_true", default=off, help="answer in JSON")
        target.add_argument("--debug", action="store_true", default=off, help="show our own faults")
    top.add_argument("--version", action=_Version, help="print the version")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, what: str, about: str, within: Any = commands) -> Any:
        parser = within.add_parser(name, help=about, description=about, parents=[common])
        parser.set_defaults(run=run[what])
        return parser

    serve = add("serve", "serve", "run the broker")
    _add_serve(serve)
    _add_demo(add)
    apply = add("apply", "apply", "make consumers and vendors what people files say")
    apply.add_argument("files", nargs="+", metavar="FILE")
    apply.add_argument("--dry-run", action="store_true", help="say what would change")
    apply.add_argument("--force", action="store_true", help="undo what consumers changed since")
    for what, owner in (("key", "VENDOR"), ("token", "CONSUMER")):
        others = "|rotate|list" if what == "key" else ""
        group = commands.add_parser(what, help=f"issue and revoke {what}s").add_subparsers(
            metavar=f"issue|revoke{others}", required=True
        )
        issue = add("issue", "credential", f"make a {what} and print it once", group)
        issue.add_argument("owner", metavar=owner)
        issue.set_defaults(command=f"{what} issue")
        if what == "key":
            _add_keys(issue, group, add)
        revoke = add("revoke", "credential", f"revoke a {what}", group)
        revoke.add_argument("prefix", metavar="PREFIX")
        revoke.set_defaults(command=f"{what} revoke")
    signin = add("signin", "signin", "print a link that signs somebody in, once")
    signin.add_argument("owner", metavar="CONSUMER|VENDOR", help="an id; or operator")
    signin.add_argument(
        "--side", choices=("consumer", "vendor"), help="which, where both have the id"
    )
    _add_vendors(commands.add_parser("vendor", help="see and suspend vendors"), add)
    _add_explain(add)
    check = add("check-config", "check-config", "check the configuration")
    check.add_argument(
        "--defaults", action="store_true", help="print the commented default file instead"
    )
    taxonomy = add("taxonomy", "taxonomy", "list the categories interests and offers speak in")
    within = taxonomy.add_subparsers(metavar="import|foreign")
    about = "take in a taxonomy of Google's or Shopify's, so that its categories count as ours"
    imported = add("import", "import", about, within)
    imported.add_argument("files", nargs="+", metavar="FILE", help="one, or one a language")
    imported.add_argument("--map", metavar="FILE.toml", help='corrections: "A > B" = "our/id"')
    foreign = add("foreign", "foreign", "list what was taken in, and what it means", within)
    foreign.add_argument("source", choices=("google", "shopify"))
    for more in (
        _add_trackers,
        _add_observing,
        _add_objections,
        _add_everyday,
        _add_leaving,
        _add_old_mail,
        _add_moving,
        _add_shown,
    ):
        more(add)
    return top


def _add_shown(add: Callable[..., Any]) -> None:
    add("reasons", "reasons", "list every reason a message can be refused or held for")
    add("queue", "queue", "list what is still to be handed on to where people read their mail")
    add("version", "version", "print the version")


def _add_demo(add: Callable[..., Any]) -> None:
    demo = add("demo", "demo", "show the broker at work, with made-up vendors and consumers")
    demo.add_argument("--store", metavar="URL", help="an empty store to use, such as redis://HOST")
    watching = "have its consumers say nothing and only watch, so that they adopt suggestions"
    demo.add_argument("--observe", action="store_true", help=watching)
    demo.add_argument("--once", action="store_true", help="end when everything was shown")


def _add_trackers(add: Callable[..., Any]) -> None:
    about = "count what mails tell their senders, what of it is taken out, and what is kept and why"
    trackers = add("trackers", "trackers", about)
    trackers.add_argument("files", nargs="+", metavar="FILE|DIR", help="mails; folders of *.eml")
    trackers.set_defaults(to="")
    about = "make rules about trackers of published lists: ClearURLs, filter lists, lists of hosts"
    lists = add("import-trackers", "trackers", about)
    lists.add_argument("files", nargs="+", metavar="LIST", help="a file; nothing is fetched")
    lists.add_argument("--to", metavar="FILE.toml", required=True, help="the rules to be written")


def _add_observing(add: Callable[..., Any]) -> None:
    observe = add("observe", "told", "have a consumer only watch what comes, or filter again")
    observe.add_argument("consumer", metavar="CONSUMER", help="an id")
    observe.add_argument("switch", choices=("on", "off"), help="on: everything proven is let in")
    observe.set_defaults(command="observe", takes=("consumer", "switch"))
    about = "list what a consumer could adopt, by what came and was opened"
    suggestions = add("suggestions", "told", about)
    suggestions.add_argument("consumer", metavar="CONSUMER", help="an id")
    suggestions.set_defaults(command="suggestions", takes=("consumer",))


def _add_objections(add: Callable[..., Any]) -> None:
    about = "list what a consumer objected to, or print the letter about one of them"
    objections = add("objections", "told", about)
    objections.add_argument("consumer", metavar="CONSUMER", help="an id")
    objections.add_argument("objection", metavar="OBJECTION", nargs="?", help="one of its list")
    objections.add_argument(
        "--language", choices=("en", "nl"), help="the language of the letter; the consumer's"
    )
    objections.set_defaults(command="objections", takes=("consumer", "objection", "language"))


def _add_everyday(add: Callable[..., Any]) -> None:
    objects = add("object", "told", "object to a company's advertising, and unsubscribe")
    objects.add_argument("consumer", metavar="CONSUMER", help="an id")
    objects.add_argument("entry", metavar="ENTRY", help="the id of a message in the inbox")
    objects.add_argument("--because", choices=_BECAUSE, default="other", help="what it is told")
    objects.add_argument(
        "--no-service", dest="service", action="store_false", help="take nothing of it at all"
    )
    objects.set_defaults(command="object", takes=("consumer", "entry", "because", "service"))
    expecting = add("expecting", "told", "list what mail a consumer expects; open, keep, end it")
    expecting.add_argument("consumer", metavar="CONSUMER", help="an id")
    expecting.add_argument("--domain", metavar="DOMAIN", help="expect what this company sends")
    expecting.add_argument("--address", action="store_true", help="make a new address to give away")
    expecting.add_argument("--hours", type=int, metavar="N", help="how long; 24, unless told")
    ends = expecting.add_mutually_exclusive_group()
    ends.add_argument("--keep", metavar="ID", help="take its mail for good; one of the list")
    ends.add_argument("--end", metavar="ID", help="expect it no longer")
    takes: tuple[str, ...] = ("consumer", "domain", "address", "hours", "keep", "end")
    expecting.set_defaults(command="expecting", takes=takes)
    destinations = _listing(
        add, "destinations", "list mailboxes that mail may be handed on to", "add|again|remove"
    )
    for name, about in (
        ("add", "add one; a letter that is sent there asks its reader to confirm"),
        ("again", "send that letter once more"),
        ("remove", "hand nothing on to it any more"),
    ):
        within = add(name, "told", about, destinations)
        within.add_argument("address", metavar="ADDRESS")
        within.set_defaults(command=f"destinations {name}", takes=("consumer", "address"))
    channels = _listing(add, "channels", "list where a consumer is given notice", "add|remove")
    new = add("add", "told", "add one by its URL, and print once what a webhook verifies", channels)
    new.add_argument("kind", choices=("webhook", "ntfy"))
    new.add_argument("url", metavar="URL")
    new.add_argument("--label", default="", help="what it is called in the list")
    new.set_defaults(command="channels add", takes=("consumer", "kind", "url", "label"))
    gone = add("remove", "told", "call one no more", channels)
    gone.add_argument("id", metavar="ID", help="one of the list")
    gone.set_defaults(command="channels remove", takes=("consumer", "id"))


def _listing(add: Callable[..., Any], name: str, about: str, more: str) -> Any:
    """A command that lists a consumer's; more may follow."""
    listing = add(name, "told", about)
    listing.add_argument("consumer", metavar="CONSUMER", help="an id")
    listing.set_defaults(command=name, takes=("consumer",))
    return listing.add_subparsers(metavar=more, help="else they are listed")


def _add_leaving(add: Callable[..., Any]) -> None:
    export = add("export", "export", "print what there is about a consumer, as JSON")
    export.add_argument("consumer", metavar="CONSUMER", help="an id; or operator")
    erase = add("erase", "erase", "forget everything about a consumer, for good")
    erase.add_argument("consumer", metavar="CONSUMER", help="an id")
    erase.add_argument("--yes", action="store_true", help="do not ask first on a terminal")
    digest = add("digest", "told", "say when a consumer's next digest comes")
    digest.add_argument("consumer", metavar="CONSUMER", help="an id")
    digest.add_argument("--now", action="store_true", help="send one of what is new, now")
    digest.set_defaults(command="digest", takes=("consumer", "now"))


def _add_old_mail(add: Callable[..., Any]) -> None:
    group = add("import", "old-mail", "find vendors in old mail").add_subparsers(
        metavar="mbox|maildir|imap|sieve|show|choose|forget", required=True
    )

    def about_mail(name: str, about: str) -> Any:
        within = add(name, "old-mail", about, group)
        within.add_argument("--consumer", metavar="ID", required=True, help="whose mail it is")
        within.set_defaults(command=f"import {name}")
        return within

    for name, what in (("mbox", "an mbox"), ("maildir", "a Maildir")):
        about = f"find who writes in {what}; the same command goes on where it was interrupted"
        about_mail(name, about).add_argument("path", type=Path, metavar="PATH")
    imap = about_mail("imap", "find who writes in a folder of an IMAP server, which stays as it is")
    imap.add_argument("host", metavar="HOST")
    imap.add_argument("--user", required=True, help="the password is asked for")
    imap.add_argument("--folder", default="INBOX", help="INBOX, unless told")
    imap.add_argument("--port", type=int, help="993, unless told")
    imap.add_argument("--ca", metavar="FILE", help="certificates to trust in place of the system's")
    imap.add_argument("--plain", action="store_true", help="without TLS; on this machine alone")
    sieve = about_mail("sieve", "allow and lock out whom a Sieve script keeps and refuses")
    sieve.add_argument("path", metavar="FILE", help="- is standard input")
    sieve.add_argument("--dry-run", action="store_true", help="only say what maps, and what not")
    show = about_mail("show", "list who was found, and what is suggested")
    show.add_argument("--people", action="store_true", help="those who write as persons, too")
    choose = about_mail("choose", "allow, limit and lock out who was found, as one change")
    for name, about in (
        ("allow", "take what they sent so far"),
        ("limit", "the same, no more often than so far"),
        ("lock-out", "take nothing"),
    ):
        choose.add_argument(
            f"--{name}",
            nargs="+",
            default=[],
            metavar="DOMAIN",
            help=f"{about}; all: everybody else",
        )
    about_mail("forget", "forget what was found")


def _add_serve(serve: Any) -> None:
    serve.add_argument("--ready-file", type=Path, metavar="FILE", help=_READY_HELP)
    serve.add_argument(
        "--role",
        choices=("all", "gateway", "web", "worker"),
        default="all",
        help="gateway takes mail, web serves HTTP, worker does what is due; with a Redis store",
    )
    serve.add_argument(
        "--processes",
        type=_processes,
        metavar="N",
        help=f"so many beside each other, 1 to {_MOST_PROCESSES}, and one more that keeps the "
        "store where that is a file; HUP replaces them one by one",
    )
    # How a supervisor tells a process of its own what it has inherited.
    serve.add_argument("--given", help=argparse.SUPPRESS)


def _add_moving(add: Callable[..., Any]) -> None:
    migrate = add("migrate", "migrate", "copy everything into another store, and compare")
    for name, dest, about in (
        ("--from", "source", "the store to copy, which no letterbox serves meanwhile"),
        ("--to", "target", "an empty one; or the same again, to go on after an interruption"),
    ):
        migrate.add_argument(name, dest=dest, metavar="URL", required=True, help=about)
    about = "write everything into one file; beside a running server where the store is SQLite's"
    backup = add("backup", "backup", about)
    backup.add_argument("file", type=Path, metavar="FILE", help="a new file")
    restore = add("restore", "restore", "check a backup, and fill an empty store with it")
    restore.add_argument("file", type=Path, metavar="FILE", help="what letterbox backup wrote")


def _add_explain(add: Callable[..., Any]) -> None:
    explain = add("explain", "explain", "say what would happen to a mail and why, or what did")
    explain.add_argument(
        "what",
        metavar="FILE.eml|DECISION",
        help="a mail (- is standard input); or a decision's id, a reference, or its /r/ address",
    )
    explain.add_argument("--to", metavar="ADDRESS", help="the recipient; with a mail")
    explain.add_argument("--from-domain", metavar="DOMAIN", help="take this sender as proven")
    explain.add_argument("--at", type=_instant, metavar="TIME", help="such as 2026-12-24T12:00Z")
    explain.add_argument(
        "--language", choices=("en", "nl"), help="the language it is told in; the consumer's"
    )


def _add_keys(issue: Any, group: Any, add: Callable[..., Any]) -> None:
    """What keys have and tokens have not."""
    issue.add_argument("--label", default="", help="what it is for, in the vendor's own list")
    issue.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        choices=("send", "feedback", "manage"),
        help="what it may be used for; may be repeated; all, unless told",
    )
    issue.add_argument("--days", type=int, help="it ends by itself after so many days")
    rotate = add("rotate", "rotate", "replace a key; both serve for a while", group)
    rotate.add_argument("prefix", metavar="PREFIX")
    rotate.add_argument("--overlap-hours", type=int, default=24, help="how long; 24, unless told")
    keys = add("list", "told", "list a vendor's keys, and when each was last used", group)
    keys.add_argument("vendor", metavar="VENDOR")
    keys.set_defaults(command="key list", takes=("vendor",))


def _add_vendors(parser: Any, add: Callable[..., Any]) -> None:
    group = parser.add_subparsers(metavar="list|show|drop|suspend|resume", required=True)
    for name, about in (
        ("list", "list the registered vendors"),
        ("show", "show a vendor, its domains and its claims"),
        ("drop", "take a domain away that a vendor has proven"),
        ("suspend", "take nothing of a vendor's for now"),
        ("resume", "take a vendor's mail again"),
    ):
        within = add(name, "told", about, group)
        takes: tuple[str, ...] = ()
        if name != "list":
            within.add_argument("vendor", metavar="VENDOR")
            takes = ("vendor",)
        if name == "drop":
            within.add_argument("domain", metavar="DOMAIN")
            takes = ("vendor", "domain")
        if name == "suspend":
            within.add_argument("--because", default="", help="why; the vendor is told")
            takes = ("vendor", "because")
        within.set_defaults(command=f"vendor {name}", takes=takes)


def _top() -> argparse.ArgumentParser:
    return _Parser(prog="letterbox", description="A message broker between vendors and consumers.")


def _processes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST_PROCESSES}")
    return int(text)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 2026-12-24T12:00Z")
    return instant


class _Version(argparse.Action):
    """``--version``; the number is looked up only when it is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"letterbox {version('letterbox')}")
        parser.exit(_DONE)
