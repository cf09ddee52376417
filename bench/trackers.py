"""What it costs to take out of mail what tells its senders of the reader.

    python -m bench.trackers [--runs 9] [FILE|DIR ...]

Each mail with HTML is cleaned as it is handed on (parts found, decoded, cleaned, written again),
and its HTML alone as it is read. Prints, for each grade, milliseconds of CPU at the best of the
runs, of the mails from 40 KB on and for 60 KB of all. What it costs goes with the addresses in it
more than with its length. Without files: the newsletters of the shared collection, and a mail of
60 KB of our own with 340 addresses, more than any that we know.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from time import process_time

from letterbox.configuration import shipped
from letterbox.model.preferences import Tracking
from letterbox.reading.charset import to_text
from letterbox.reading.mail import DEFAULT_LIMITS, split, with_crlf
from letterbox.reading.mime import content, parts
from letterbox.reading.trackers import clean_message, clean_part, read_rules

SHARED = Path(__file__).parents[2] / "shared" / "mail" / "newsletters"
LARGE, WHOLE = 40_000, 60_000
GRADES: tuple[Tracking, ...] = ("careful", "strict")


def written() -> bytes:
    """A newsletter of 60 KB with two links and a picture in every row: more than any has."""
    row = (
        '<tr><td align="left" style="padding:18px 24px;font-family:Arial,sans-serif;color:#333">'
        '<table border="0" cellpadding="0" cellspacing="0" width="100%"><tbody><tr><td>'
        '<a href="https://trk.news.example/ls/click?upn=Zk3x9QaB7LmT2pR8vW5c{n}">'
        '<img src="https://cdn.news.example/images/product-{n}.png" width="260" alt="Pruners"></a>'
        "</td><td><p>Pruners for roses and everything else that grows, sharp for years.</p>"
        '<a href="https://shop.example/p/{n}?utm_source=news&amp;mc_eid=9f2c41d0">Now 24.95</a>'
        "</td></tr></tbody></table></td></tr>"
    )
    html = ""
    while len(html) < WHOLE:
        html += row.replace("{n}", str(len(html)))
    pixel = '<img src="https://trk.news.example/wf/open?upn=1" width="1" height="1">'
    head = "To: anna@letterbox.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    return f"{head}<html><body><table>{html}</table>{pixel}</body></html>".encode()


def best(runs: int, run: Callable[[], object]) -> float:
    """Milliseconds of CPU, at the best of several runs."""
    took = []
    for _ in range(runs):
        started = process_time()
        run()
        took.append(process_time() - started)
    return 1000 * min(took)


def measure(mails: Iterable[tuple[str, bytes]], runs: int) -> None:
    rules = read_rules(shipped("trackers.toml"))
    total = dict.fromkeys(GRADES, (0.0, 0))
    for name, raw in mails:
        mail = split(raw)
        html = [part for part in parts(mail, DEFAULT_LIMITS) if part.type == "text/html"]
        if not html:
            continue
        text = to_text(content(mail, html[0], html[0].end - html[0].start), html[0].charset)
        line = f"{name:28} {len(raw) / 1000:6.1f} KB, HTML {len(text) / 1000:5.1f}:"
        for grade in GRADES:
            whole = best(runs, partial(clean_message, raw, rules, grade))
            alone = best(runs, partial(clean_part, text, "text/html", rules, grade))
            line += f"  {grade} {whole:6.2f} ms, HTML alone {alone:5.2f}"
            spent, size = total[grade]
            total[grade] = (spent + alone, size + len(text))
        if len(raw) >= LARGE:
            print(line)
    for grade, (spent, size) in total.items():
        print(f"{grade}: {WHOLE * spent / (size or 1):.2f} ms for 60 KB of HTML, over all")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, default=[SHARED])
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    files = [
        file
        for path in arguments.files
        for file in (sorted(path.rglob("*.eml")) if path.is_dir() else [path])
        if file.exists()
    ]
    if not files:
        print(f"without the real mail of {SHARED}, which is not there", file=sys.stderr)
    mails = [(file.name, with_crlf(file.read_bytes())) for file in files]
    measure([*mails, ("340 addresses, of our own", written())], arguments.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
