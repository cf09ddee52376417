"""An explanation as people read it on a terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from letterbox.feedback.sentences import safe

_LONGEST = 200
_LONGEST_LINE = 800


def explanation_lines(explanation: Mapping[str, Any]) -> list[str]:
    """The lines of an explanation; nothing in them comes from a mail unescaped."""
    vendor = explanation["vendor"]
    reason = explanation["reason"]
    verdict = explanation["verdict"] + (f" ({reason})" if reason else "")
    # Where nobody's wishes were asked, nothing is told but the verdict.
    told = explanation["lines"]
    lines = [safe(line, _LONGEST_LINE) for line in told] or [verdict]
    rows = {
        "verdict": told and verdict,
        "decision": explanation["decision"],
        "at": explanation["at"],
        "to": explanation["recipient"],
        # Without a vendor no consumer was asked.
        "consumer": explanation["consumer"] or (vendor and "nobody has this address"),
        "sender": explanation["sender"],
        "vendor": vendor and f"{vendor['name']} ({vendor['id']})",
        "message": explanation["kind"] and f"{explanation['kind']}: {explanation['subject']}",
        "interests": ", ".join(explanation["interests"]),
        "until": explanation["until"],
        "told": explanation["told"],
    }
    lines += [f"  {name:10} {safe(str(row), _LONGEST)}" for name, row in rows.items() if row]
    lines += _table(
        [
            (found["filter"], found["verdict"], found["reason"] or "-", _facts(found["facts"]))
            for found in explanation["findings"]
        ]
    )
    lines += [f"  note: {safe(note, _LONGEST)}" for note in explanation["notes"]]
    return lines


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows with their columns one below the other; the last is as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return [
        "  " + "  ".join([*map(str.ljust, row, widths), safe(row[-1], _LONGEST)]).rstrip()
        for row in rows
    ]


def _facts(facts: Mapping[str, Any]) -> str:
    said = {name: value for name, value in facts.items() if value is not None and value != []}
    return "; ".join(f"{name} = {_plain(value)}" for name, value in said.items())


def _plain(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)


# ---- vendors and their keys -------------------------------------------------------------------

_MINUTE = len("2026-11-23T12:00")


def _key_lines(done: Mapping[str, Any]) -> list[str]:
    lines = []
    for key in done["items"]:
        used = (key["used"] or "never")[:_MINUTE]
        until = f"until {key['expires'][:_MINUTE]}" if key["expires"] else ""
        scopes = ",".join(key["scopes"]) or "all"
        parts = (key["prefix"], key["issued"][:_MINUTE], f"used {used:16}", f"{until:22}", scopes)
        lines.append("  ".join((*parts, key["label"])).rstrip())
    return lines or [f"{done['vendor']} has no keys"]


def _list_lines(done: Mapping[str, Any]) -> list[str]:
    found = [_vendor_line(item) for item in done["items"]]
    return found or ["there are no vendors yet; letterbox apply makes some"]


def _show_lines(done: Mapping[str, Any]) -> list[str]:
    lines = [_vendor_line(done)]
    if suspended := done["suspended"]:
        lines.append(f"  suspended since {suspended['at'][:_MINUTE]}: {suspended['because']}")
    for claim in done["claims"]:
        checked = (claim["checked"] or "never")[:_MINUTE]
        lines.append(f"  {claim['domain']}: {claim['state']}, last looked at {checked}")
    return lines


def _vendor_line(item: Mapping[str, Any]) -> str:
    marks = "  registered itself" if item["registered"] == "self" else ""
    marks += "  SUSPENDED" if item["suspended"] else ""
    domains = ", ".join(item["domains"]) or "no domain"
    return f"{item['id']:24} {item['name']}  ({domains}){marks}"


def _objection_lines(done: Mapping[str, Any]) -> list[str]:
    """Each in one line; of one alone, the letter."""
    if "letter" in done:
        letter: str = done["letter"]
        return letter.removesuffix("\n").split("\n")
    lines = [_objection_line(item) for item in done["items"]]
    return lines or [f"{done['consumer']} has objected to nobody"]


def _objection_line(item: Mapping[str, Any]) -> str:
    asked = item["asked"]
    way = f"{asked['way']} {asked.get('outcome', 'none')} {asked.get('answer', '')}".strip()
    came = f"{item.get('breaches', 0)} since"
    name = item["vendor"]["name"]
    return "  ".join((item["id"], item["at"][:_MINUTE], f"{way:28}", f"{came:9}", name))


def _objected_lines(done: Mapping[str, Any]) -> list[str]:
    what = "objects" if done["made"] else "has objected already"
    line = f"{done['consumer']} {what} to the advertising of {done['objection']['vendor']['name']}"
    return [line, _objection_line(done["objection"])]


# ---- consumers who only watch -------------------------------------------------------------------


def _observe_lines(done: Mapping[str, Any]) -> list[str]:
    if done["mode"] == "observe":
        return [f"{done['consumer']} only watches: everything that is proven is let in"]
    return [f"{done['consumer']}'s rules decide what comes in"]


def _suggestion_lines(done: Mapping[str, Any]) -> list[str]:
    lines = []
    for item in done["items"]:
        effect = item["effect"]
        counts = ", ".join(f"{name} {effect[name]}" for name in ("come", "wait", "refused"))
        lines.append(f"{item['id']}  {item['sentence']}  (of {effect['about']}: {counts})")
    return lines or [f"nothing to suggest to {done['consumer']}"]


def _digest_lines(done: Mapping[str, Any]) -> list[str]:
    """What the command did, or found, for people."""
    where = done["to"] or "the inbox here"
    if "next" in done:
        return [f"next: {done['next'] or 'none'}; to {where}"]
    if done["outcome"] == "sent":
        return [f"a digest is on its way to {where}"]
    return ["nothing new to tell: no digest was sent"]


# ---- what people do every day -------------------------------------------------------------------


def _expecting_lines(done: Mapping[str, Any]) -> list[str]:
    consumer = done["consumer"]
    if "kept" in done:
        return [f"{consumer} goes on taking mail of {done['kept']}"]
    if "ended" in done:
        return [f"{consumer} expects nothing of {done['ended']} any longer"]
    if "opened" in done:
        opened = done["opened"]
        line = f"{opened['key']} is expected until {opened['expecting']['until'][:_MINUTE]}"
        # A new address is printed alone, to be given away.
        return [opened["made"] or line]
    lines = [
        f"{safe(item['key'], _LONGEST)}  {'ended' if item['over'] else 'until'} "
        f"{item['expecting']['until'][:_MINUTE]}"
        for item in done["items"]
    ]
    return lines or [f"{consumer} expects nothing"]


def _destination_lines(done: Mapping[str, Any]) -> list[str]:
    lines = [f"{safe(row['address'], _LONGEST)}  {_confirmation(row)}" for row in done["items"]]
    return lines or [f"{done['consumer']} has no mailbox elsewhere"]


def _asked_lines(done: Mapping[str, Any]) -> list[str]:
    if done["made"]:
        return [f"a letter to {done['address']} asks its reader to confirm"]
    return [f"{done['address']} was there already: {_confirmation(done)}"]


def _confirmation(row: Mapping[str, Any]) -> str:
    if row["confirmed_at"]:
        return f"confirmed {row['confirmed_at'][:_MINUTE]}"
    said = f": {safe(row['detail'], _LONGEST)}" if row["detail"] else ""
    return f"to be confirmed; its letter is {row['letter']}{said}"


def _channel_lines(done: Mapping[str, Any]) -> list[str]:
    lines = []
    for row in done["items"]:
        state = f"last {row['last'][:_MINUTE]}" if row["last"] else "not called yet"
        if row["failing"]:
            state = f"failing since {row['failing'][:_MINUTE]}: {safe(row['detail'], _LONGEST)}"
        state = f"off; {state}" if row["off"] else state
        parts = (row["id"], f"{row['kind']:7}", row["server"], state, row["label"])
        lines.append("  ".join(parts).rstrip())
    return lines or [f"{done['consumer']} has no channels"]


#: How the answer to each command is told.
LINES: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "key list": _key_lines,
    "objections": _objection_lines,
    "vendor list": _list_lines,
    "vendor show": _show_lines,
    "vendor drop": lambda done: [f"vendor {done['vendor']} has {done['domain']} no more"],
    "vendor suspend": lambda done: [f"vendor {done['vendor']} is suspended"],
    "vendor resume": lambda done: [f"vendor {done['vendor']} goes on"],
    "digest": _digest_lines,
    "observe": _observe_lines,
    "suggestions": _suggestion_lines,
    "object": _objected_lines,
    "expecting": _expecting_lines,
    "destinations": _destination_lines,
    "destinations add": _asked_lines,
    "destinations again": _asked_lines,
    "destinations remove": lambda done: [f"nothing goes to {done['removed']} any more"],
    "channels": _channel_lines,
    # The secret of a webhook alone, as a key is printed.
    "channels add": lambda done: [done["secret"] or f"channel {done['id']} is added"],
    "channels remove": lambda done: [f"channel {done['removed']} is removed"],
}
