"""What deploy/ ships is well formed and speaks of things that exist."""

import os
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from shutil import which
from subprocess import run

import msgspec
import pytest
import yaml

from letterbox.model.configuration import Configuration
from letterbox.usage import parser

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = ("letterbox.service", "letterbox@.service")
SHIPPED = (
    *UNITS,
    "Containerfile",
    "compose.yaml",
    "many/compose.yaml",
    "kubernetes/kustomization.yaml",
)
VARIABLE = re.compile(r"\bLETTERBOX__([A-Z0-9_]+)")


def needs(program: str, package: str) -> str:
    """A program of the distribution; without it the test is skipped, and under CI fails."""
    found = which(program)
    if found is None:
        text = f"{program} is missing (apt-get install {package})"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    return found


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_one_that_systemd_takes(tmp_path, name):
    analyze = needs("systemd-analyze", "systemd")
    unit = (DEPLOY / name).read_text()
    # The programs are installed where the unit runs, and not here.
    commands = re.findall(r"^ExecStart\w*=(\S+) (.*)$", unit, re.MULTILINE)
    assert {command for command, _ in commands} == {"/opt/letterbox/bin/letterbox"}
    here = tmp_path / name.replace("@", "@gateway")
    here.write_text(unit.replace("/opt/letterbox/bin/letterbox", "/bin/true"))
    done = run([analyze, "verify", str(here)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_serves_in_several_processes(tmp_path):
    analyze = needs("systemd-analyze", "systemd")
    added = tmp_path / "letterbox.service.d"
    added.mkdir()
    lines = {}
    here = tmp_path / "letterbox.service"
    for name, place in (
        ("letterbox.service", here),
        ("letterbox-processes.conf", added / "processes.conf"),
    ):
        text = (DEPLOY / name).read_text()
        lines |= dict.fromkeys(text.splitlines())
        place.write_text(text.replace("/opt/letterbox/bin/letterbox", "/bin/true"))
    done = run([analyze, "verify", str(here)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    # The supervisor alone is told to stop, and what is left is killed with it.
    assert {"KillMode=mixed", "ExecReload=/bin/kill -HUP $MAINPID"} <= set(lines)
    _, command = [line for line in lines if re.match(r"ExecStart=.", line)]
    told = parser(defaultdict(lambda: len)).parse_args(
        command.partition("bin/letterbox ")[2].replace("${PROCESSES}", "2").split()
    )
    assert (told.role, told.processes) == ("all", 2)


def test_a_mistake_in_the_unit_would_be_seen(tmp_path):
    analyze = needs("systemd-analyze", "systemd")
    here = tmp_path / "letterbox.service"
    here.write_text("[Service]\nExecStart=/bin/true\nProtectSystems=strict\n")
    done = run([analyze, "verify", str(here)], capture_output=True, text=True, check=False)
    assert "ProtectSystems" in done.stdout + done.stderr


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_leaves_time_to_drain_and_limits_what_it_may_do(name):
    unit = (DEPLOY / name).read_text()
    lines = set(unit.splitlines())
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "DynamicUser=yes"} <= lines
    seconds = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert seconds
    assert int(seconds[1]) > 30


def test_the_example_configuration_is_one():
    text = (DEPLOY / "letterbox.toml").read_bytes()
    configuration = msgspec.toml.decode(text, type=Configuration)
    assert configuration.store.url.startswith("sqlite:/var/lib/letterbox/")


def test_every_variable_names_a_key():
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    for name in files:
        for key in VARIABLE.findall(name.read_text()):
            at = msgspec.to_builtins(Configuration())
            for part in key.lower().split("__"):
                assert part in at, f"{name}: LETTERBOX__{key}"
                at = at[part]


def test_the_container_file_copies_what_exists_and_runs_as_nobody_special():
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    copied = [
        source
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert "root" not in users
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    # All that the wheel is built from is there when it is built.
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = build["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"]} <= set(copied)


def test_compose_names_files_and_volumes_that_exist():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    service = compose["services"]["letterbox"]
    context = DEPLOY / service["build"]["context"]
    assert (context / service["build"]["dockerfile"]).is_file()
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / source).is_file()
        else:
            assert source in compose["volumes"]


def test_compose_keeps_what_is_for_operators_on_this_machine():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    ports = compose["services"]["letterbox"]["ports"]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == ["25:2525"]


@pytest.mark.parametrize("name", SHIPPED)
def test_each_says_how_it_starts_stops_keeps_its_data_and_is_watched(name):
    text = (DEPLOY / name).read_text()
    for word in ("Starts:", "Stops:", "Keeps:", "Watched:", "SIGTERM", "/healthz", "/metrics"):
        assert word in text
