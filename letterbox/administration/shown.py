"""An explanation as people read it on a terminal."""

from collections.abc import Mapping
from typing import Any

from letterbox.feedback.sentences import safe

_LONGEST = 200


def explanation_lines(explanation: Mapping[str, Any]) -> list[str]:
    """The lines of an explanation; nothing in them comes from a mail unescaped."""
    vendor = explanation["vendor"]
    reason = explanation["reason"]
    head = explanation["verdict"] + (f" ({reason})" if reason else "")
    lines = [head, *([explanation["sentence"]] if explanation["sentence"] else [])]
    rows = {
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
    for finding in explanation["findings"]:
        facts = ", ".join(f"{key}={value}" for key, value in finding["facts"].items())
        found = finding["reason"] or ""
        line = f"  {finding['filter']:16} {finding['verdict']:8} {found:22} {facts}"
        lines.append("  " + safe(line, _LONGEST) if facts else f"  {line.strip()}")
    lines += [f"  note: {safe(note, _LONGEST)}" for note in explanation["notes"]]
    return lines
