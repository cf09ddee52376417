"""``letterbox trackers``: what mail tells its senders, counted."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from letterbox.administration.failed import Failed
from letterbox.configuration import own_rules, shipped
from letterbox.model.configuration import Configuration
from letterbox.model.preferences import Tracking
from letterbox.reading.trackers import Cleaned, clean_message, read_rules

_GRADES: Final[tuple[Tracking, ...]] = ("careful", "strict")


def figures(names: Sequence[str], configuration: Configuration) -> tuple[dict[str, Any], list[str]]:
    """What is found, taken out and kept in mails, and why; of each, and of all.

    By our own rules and those of a configuration that was checked. Folders are gone through for
    ``*.eml``. Raises Failed where one cannot be read.
    """
    rules = read_rules(shipped("trackers.toml"), *own_rules(configuration))
    files = [file for name in names for file in _files(Path(name))]
    if not files:
        raise Failed(f"there is no mail (*.eml) in {', '.join(names)}")
    mails = []
    totals: dict[str, Counter[str]] = {grade: Counter() for grade in _GRADES}
    lines = []
    for file in files:
        raw = _read(file)
        counted: dict[str, dict[str, int]] = {}
        for grade in _GRADES:
            counts = _counts(clean_message(raw, rules, grade))
            totals[grade].update(counts)
            counted[grade] = dict(counts)
        mails.append({"file": str(file), **counted})
        lines.append(f"{file}: {_line(counted)}")
    answer = {"mails": mails, "all": {grade: dict(counts) for grade, counts in totals.items()}}
    for name, counts in totals.items():
        lines += ["", f"{name}: {len(files)} mails", *_table(counts)]
    return answer, lines


def _files(path: Path) -> Iterable[Path]:
    return sorted(path.rglob("*.eml")) if path.is_dir() else (path,)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror or error}") from error


def _counts(cleaned: Cleaned) -> Counter[str]:
    """Each thing by what it is, what became of it and why."""
    found = cleaned.found
    counts = Counter({"images": found.images, "links": found.links})
    counts["parameters"] = found.parameters
    for each in found.findings:
        counts[f"{'removed' if each.removed else 'kept'} {each.what} {each.why}"] += 1
    counts["more"] += found.more
    for why in cleaned.untouched:
        counts[f"untouched {why}"] += 1
    return +counts


def _line(counted: dict[str, dict[str, int]]) -> str:
    first = counted[_GRADES[0]]
    seen = ", ".join(f"{first.get(what, 0)} {what}" for what in ("images", "links", "parameters"))
    removed = "; ".join(
        f"{grade} {sum(n for name, n in counts.items() if name.startswith('removed'))} removed,"
        f" {sum(n for name, n in counts.items() if name.startswith('kept'))} kept"
        for grade, counts in counted.items()
    )
    return f"{seen}; {removed}"


def _table(counts: Counter[str]) -> list[str]:
    found = [f"  {counts[what]:6,} {what} found" for what in ("images", "links", "parameters")]
    rest = sorted(name for name in counts if name.partition(" ")[1])
    return found + [f"  {counts[name]:6,} {name}" for name in rest]
