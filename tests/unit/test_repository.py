"""The repository tests itself: what is in it is finished, of its own, and hangs together."""

import os
import re
import tomllib
from pathlib import Path
from subprocess import run

import msgspec
import pytest

from letterbox.cli import main
from letterbox.model.preferences import People

ROOT = Path(__file__).parents[2]
TOP = {
    *(".ci", ".gitignore", "bench", "config", "deploy", "docs", "filters", "letterbox", "tests"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md"),
    *("constraints.txt", "pyproject.toml"),
}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PIN = re.compile(r"([A-Za-z0-9._-]+)==[0-9][0-9A-Za-z.+!]*")

# A class of one letter keeps each pattern from finding itself.
UNWANTED = {
    "an unfinished mark": r"\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b",
    "a path of somebody's machine": r"(?<![\w.~-])/(?:wor[k]|hom[e]|roo[t]|User[s])/",
    "the address of a package registry": (
        r"pyp[i]\.org|pythonhoste[d]|registry\.npmj[s]|--(?:extra-)?index-ur[l]|--find-link[s]"
    ),
    "a conflict mark": r"^(?:<{7}|>{7}) ",
    "a private key": r"BEGIN [A-Z ]*PRIVATE KE[Y]",
}


def tracked() -> list[Path]:
    """Every file that is committed, or is about to be."""
    listed = run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout
    paths = (ROOT / os.fsdecode(name) for name in listed.split(b"\0") if name)
    return [path for path in paths if path.is_file()]


def texts(*suffixes: str) -> dict[str, str]:
    """The readable files among them, by path."""
    found = {}
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content and (not suffixes or path.suffix in suffixes):
            found[str(path.relative_to(ROOT))] = content.decode(errors="replace")
    return found


@pytest.mark.parametrize("what", UNWANTED)
def test_no_file_has(what):
    pattern = re.compile(UNWANTED[what], re.MULTILINE)
    hits = [
        f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {hit[0]}"
        for name, text in texts().items()
        for hit in pattern.finditer(text)
    ]
    assert hits == []


def test_the_top_level_has_what_it_should_and_no_more():
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert names - TOP == set()
    assert TOP - names == set()


def test_constraints_are_names_and_versions_alone():
    lines = (ROOT / "constraints.txt").read_text().split("\n")
    entries = [line for line in lines if line and not line.startswith("#")]
    assert entries
    assert [line for line in entries if not PIN.fullmatch(line)] == []


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {canonical(re.split(r"[\[<>=!~; ]", entry)[0]) for entry in wanted}
    pinned = {canonical(name) for name in PIN.findall((ROOT / "constraints.txt").read_text())}
    assert names - pinned == set()


def canonical(name: str) -> str:
    """PEP 503: one spelling of a project's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_link_within_the_repository_leads_somewhere():
    broken = []
    for name, text in texts(".md").items():
        for target in LINK.findall(FENCE.sub("", text)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (ROOT / name).parent / path if path else ROOT / name
            if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
                broken.append(f"{name}: {target}")
    assert broken == []


def anchors(text: str) -> set[str]:
    """What a heading is called in a link."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (name, target)
        for name, text in texts(".md", ".yaml", ".toml", "").items()
        for target in re.findall(r"(?:`|^)make ([a-z]+)\b", text, re.MULTILINE)
    }
    assert {pair for pair in named if pair[1] not in targets} == set()
    assert ("CONTRIBUTING.md", "test") in named


def test_every_command_in_the_pages_is_one(capsys):
    shown = "\n".join(
        code
        for name, text in texts(".md").items()
        if name != "CHANGELOG.md"
        for code in (*FENCE.findall(text), *re.findall(r"`[^`\n]+`", FENCE.sub("", text)))
    )
    command = r"(?:^|`|bin/)letterbox ([a-z][a-z-]*(?: issue| revoke)?)"
    named = {tuple(words.split()) for words in re.findall(command, shown, re.MULTILINE)}
    assert {("serve",), ("apply",), ("key", "issue"), ("token", "issue")} <= named
    wrong = []
    for words in sorted(named):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        if ended.value.code != 0:
            wrong.append(words)
    capsys.readouterr()
    assert wrong == []


def test_every_people_file_in_the_pages_can_be_read():
    read = [
        msgspec.toml.decode(block, type=People)
        for text in texts(".md").values()
        for block in re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if "[[consumer]]" in block
    ]
    assert read
    assert all(people.consumer for people in read)


def test_the_continuous_run_is_the_command_people_use():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert re.search(r"^make test\b", script.read_text(), re.MULTILINE)


@pytest.mark.parametrize("script", [".ci/run", "tests/install-packages"])
def test_scripts_can_be_read_by_their_shell(script):
    path = ROOT / script
    shell = path.read_text().splitlines()[0].split("/")[-1].split()[-1]
    done = run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_rooms_are_small_and_named_for_what_they_are():
    vague = re.compile(r"(?:^|_)(?:utils?|helpers?|managers?|services?|misc|common)(?:_|$)")
    modules = [
        path
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in {"letterbox", "filters"}
    ]
    assert modules
    assert [str(path) for path in modules if vague.search(path.stem)] == []
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in modules}
    assert {name: length for name, length in lengths.items() if length > 450} == {}


def test_the_changelog_begins_with_what_is_coming():
    versions = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == "[Unreleased]"
