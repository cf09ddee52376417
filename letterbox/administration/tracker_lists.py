"""``letterbox import-trackers``: published lists of trackers as rules of the operator's.

Three forms are read: catalogues of ClearURLs (JSON), filter lists as ad blockers have them
(Adblock Plus, AdGuard, uBlock Origin), and lists of hosts. What of a list cannot be said as a
rule for mail is left out, and counted with the reason. Nothing is fetched.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from letterbox.administration.failed import Failed
from letterbox.model.address import fold_domain
from letterbox.reading.trackers.rules import Parameter, Place, Redirect

_MOST: Final = 64 << 20
_EXAMPLES: Final = 3


class Taken:
    """Rules as they are taken from lists, each once, and what was left out and why."""

    def __init__(self) -> None:
        self.open: dict[Place, None] = {}
        self.redirect: dict[Redirect, None] = {}
        #: Hosts by name; none: everywhere.
        self.parameter: dict[str, set[str]] = {}
        self.left: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def leave(self, rule: str, why: str) -> None:
        """Leave a rule out."""
        self.left[why] += 1
        seen = self.examples.setdefault(why, [])
        if len(seen) < _EXAMPLES:
            seen.append(rule[:100])

    def name(self, name: str, host: str) -> None:
        """Take a parameter, at a host and below it or, with none, everywhere."""
        self.parameter.setdefault(name.lower(), set()).add(host)


def imported(names: Sequence[str], to: str) -> tuple[dict[str, Any], list[str]]:
    """Read lists, and write what of them maps as a file of rules.

    Raises Failed where a file cannot be read or written, or nothing in it maps.
    """
    taken = Taken()
    for name in names:
        _take(name, taken)
    counts = {
        "open": len(taken.open),
        "redirect": len(taken.redirect),
        "parameter": len(taken.parameter),
    }
    if not any(counts.values()):
        raise Failed(f"nothing in {', '.join(names)} can be said as a rule; {to} was not written")
    try:
        Path(to).write_text("\n".join(_written(taken, names)), encoding="utf-8")
    except OSError as error:
        raise Failed(f"{to} cannot be written: {error.strerror or error}") from error
    left = [
        {"why": why, "rules": n, "examples": taken.examples[why]}
        for why, n in taken.left.most_common()
    ]
    lines = [f"wrote {to}"]
    lines += [f"{n:7,} {what} rules" for what, n in counts.items()]
    lines += [f"{sum(taken.left.values()):7,} left out"] if left else []
    lines += [
        f"{n:7,}   {why}, such as {taken.examples[why][0]}" for why, n in taken.left.most_common()
    ]
    lines.append(f'name it in letterbox.toml: [trackers] rules = ["{to}"]')
    return {"file": to, "mapped": counts, "left": left}, lines


def _take(name: str, taken: Taken) -> None:
    try:
        with Path(name).open("rb") as opened:
            raw = opened.read(_MOST + 1)
    except OSError as error:
        raise Failed(f"{name} cannot be read: {error.strerror or error}") from error
    if len(raw) > _MOST:
        raise Failed(f"{name} is larger than {_MOST >> 20} MiB; a list is not")
    text = raw.decode("utf-8-sig", "replace")
    if text.lstrip().startswith("{"):
        _clear_urls(name, text, taken)
        return
    for line in text.splitlines():
        if rule := line.strip():
            _filter(rule, taken)


# ---- lists of hosts, and filter lists ---------------------------------------------------------

_HOSTS_LINE: Final = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+(\S+)")
_COSMETIC: Final = re.compile(r"#[@?$%]*#")
_ANCHORED: Final = re.compile(r"\|\|([a-z0-9_.-]+)(?:\^|(/[^*^|]*))?\^?\*?\|?\Z", re.IGNORECASE)
#: Options that change nothing for what a mail fetches, or ask for just that.
_HARMLESS: Final = frozenset(
    ("image", "third-party", "3p", "all", "important", "first-party", "1p", "match-case")
)
_CUTTING: Final = ("removeparam", "queryprune")
_LIMITED: Final = ("domain=", "from=", "denyallow=", "to=")
_LITERAL: Final = re.compile(r"[A-Za-z0-9_.-]+")
_STARTS: Final = re.compile(r"/\^([A-Za-z0-9_-]+)(?:\.\*|\[[^]]*\][*+]|=)?/")


def _filter(rule: str, taken: Taken) -> None:
    if rule[0] in "!#" or (rule[0] == "[" and rule[-1] == "]"):
        if rule.startswith("##"):
            taken.leave(rule, "hides what is on a page")
        return
    if hosts := _HOSTS_LINE.match(rule):
        _host(hosts[1], taken)
    elif fold_domain(rule) and "." in rule:
        _host(rule, taken)
    elif _COSMETIC.search(rule):
        taken.leave(rule, "hides what is on a page")
    elif rule.startswith("@@"):
        taken.leave(rule, "an exception, of which rules here have none")
    else:
        pattern, dollar, said = rule.rpartition("$")
        options = said.split(",") if dollar else []
        _anchored(rule, pattern if dollar else rule, options, taken)


def _host(name: str, taken: Taken) -> None:
    host = fold_domain(name.partition("#")[0])
    if host and "." in host:
        taken.open[Place(host)] = None
    else:
        taken.leave(name, "no host that mail could name")


def _anchored(rule: str, pattern: str, options: list[str], taken: Taken) -> None:
    cut = [
        each.partition("=") for each in options if each.startswith(("removeparam", "queryprune"))
    ]
    limited = [
        each for each in options if each.startswith(("domain=", "from=", "denyallow=", "to="))
    ]
    if limited:
        taken.leave(rule, "holds on some pages only, and a mail is none")
    elif cut:
        _removeparam(rule, pattern, cut[0][2], taken)
    elif not _HARMLESS.issuperset(options) and "image" not in options:
        taken.leave(rule, "is not about pictures")
    elif found := _ANCHORED.match(pattern):
        if host := fold_domain(found[1]):
            taken.open[Place(host, found[2] or "")] = None
        else:
            taken.leave(rule, "no host that mail could name")
    else:
        taken.leave(rule, "a pattern within the address")


def _removeparam(rule: str, pattern: str, name: str, taken: Taken) -> None:
    found = _ANCHORED.match(pattern)
    if pattern not in {"", "*"} and (found is None or found[2]):
        taken.leave(rule, "a pattern within the address")
        return
    host = (fold_domain(found[1]) or "") if found else ""
    if _LITERAL.fullmatch(name):
        taken.name(name, host)
    elif starts := _STARTS.fullmatch(name):
        taken.name(starts[1] + ("" if name.endswith("=/") else "*"), host)
    else:
        taken.leave(rule, "parameters by a pattern")


# ---- ClearURLs --------------------------------------------------------------------------------

_PROVIDER: Final = re.compile(
    r"\^?https\?:(?:\\?/){2}(?:\(\?:\[a-z0-9-\]\+\\\.\)\*\??)?"
    r"((?:[a-z0-9-]+\\\.)+[a-z]{2,})(?:\\?/)?(.*)",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(r"(?:\(\?:%3F\)\?)?([A-Za-z0-9_-]+(?:\\?[._-][A-Za-z0-9_-]+)*)(.*)")
#: What may follow a name so that it is a beginning.
_BEGINS: Final = re.compile(r"(?:\.\*|\[[^]]*\]\*|\[[^]]*\]\+|\.\+)\??")
_OPTIONAL: Final = re.compile(r"\(\?:(_)\[[^]]*\]\*\)\?")
_LEADS: Final = re.compile(r"([A-Za-z0-9_]+)=\(")


def _clear_urls(file: str, text: str, taken: Taken) -> None:
    try:
        providers = json.loads(text)["providers"]
        rows = list(providers.items())
    except (ValueError, KeyError, AttributeError, TypeError):
        raise Failed(
            f"{file} is JSON, but no catalogue of ClearURLs: it has no providers"
        ) from None
    for name, provider in rows:
        if not isinstance(provider, dict):
            taken.leave(str(name), "no provider")
            continue
        pattern = str(provider.get("urlPattern", ""))
        host = _host_of(pattern)
        if host is None:
            for rule in _strings(provider, "rules"):
                taken.leave(f"{name}: {rule}", "its hosts are a pattern")
            continue
        if provider.get("completeProvider") is True and host:
            taken.open[Place(host, says=str(name))] = None
        for rule in _strings(provider, "rules"):
            _named(name, rule, host, taken)
        for rule in _strings(provider, "redirections"):
            leads = _LEADS.search(rule)
            if host and leads:
                target = (leads[1].lower(),)
                taken.redirect[Redirect(host, target=target, says=str(name))] = None
            else:
                taken.leave(f"{name}: {rule}", "a redirect by a pattern")
        for key, why in (
            ("rawRules", "changes an address by a pattern"),
            ("referralMarketing", "says who recommended, and not who reads"),
            ("exceptions", "an exception, of which rules here have none"),
        ):
            for rule in _strings(provider, key):
                taken.leave(f"{name}: {rule}", why)


def _strings(provider: dict[str, Any], key: str) -> Iterable[str]:
    rules = provider.get(key, ())
    return [str(each) for each in rules] if isinstance(rules, list) else ()


def _host_of(pattern: str) -> str | None:
    """The host of a provider; empty for everywhere, None where it is no single one."""
    if pattern in {"", ".*"}:
        return ""
    found = _PROVIDER.fullmatch(pattern)
    return found[1].replace("\\", "").lower() if found and not found[2] else None


def _named(provider: str, rule: str, host: str, taken: Taken) -> None:
    found = _NAMED.fullmatch(rule)
    name = found[1].replace("\\", "") if found else ""
    rest = found[2] if found else ""
    if found and not rest:
        taken.name(name, host)
    elif found and _BEGINS.fullmatch(rest):
        taken.name(f"{name}*", host)
    elif found and (more := _OPTIONAL.fullmatch(rest)):
        taken.name(name, host)
        taken.name(f"{name}{more[1]}*", host)
    else:
        taken.leave(f"{provider}: {rule}", "parameters by a pattern")


# ---- written ----------------------------------------------------------------------------------


def _written(taken: Taken, names: Sequence[str]) -> Iterable[str]:
    yield f"# Rules taken from {', '.join(Path(name).name for name in names)}."
    for place in taken.open:
        yield from _row("open", {"host": place.host, "path": place.path, "says": place.says})
    for row in taken.redirect:
        yield from _row("redirect", {"host": row.host, "target": row.target, "says": row.says})
    everywhere = [name for name, hosts in taken.parameter.items() if "" in hosts]
    if everywhere:
        yield from _row("parameter", Parameter(tuple(everywhere)))
    for name, hosts in taken.parameter.items():
        if "" not in hosts:
            yield from _row("parameter", Parameter((name,), tuple(sorted(hosts))))
    yield ""


def _row(table: str, values: dict[str, Any] | Parameter) -> Iterable[str]:
    if isinstance(values, Parameter):
        values = {"names": values.names, "hosts": values.hosts}
    yield ""
    yield f"[[{table}]]"
    # Text and lists of text are written in TOML as they are in JSON.
    yield from (
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
        if value
    )
