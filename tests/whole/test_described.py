"""Schemathesis, which nobody here wrote, holds the running API to what it says of itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import Letterbox, serving

HERE = Path(__file__).parents[2]
CONFIGURATION = """
hostname = "letterbox.example"
[http]
listen = "127.0.0.1:0"
requests_per_address = 100000
requests_per_key = 100000
[smtp]
listen = ""
[dns]
servers = ["127.0.0.1:1"]  # nobody is there: no name that is made up here is asked of anyone
timeout = 0.5
[vendors]
self_registration = true
registrations_per_day = 100000
registrations_per_network_day = 100000
[limits]
messages_per_vendor_second = 100000
[webhooks]
trials_per_minute = 100000
[probes]
preflights_per_day = 100000
"""
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.interest]]
  id = "garden-tools"
  categories = ["home-garden/garden-tools"]
  [[consumer.vendor]]
  vendor = "greenleaf"
"""
#: Every check is made. What stands here beside the usual is said in docs/api.md, and no schema can
#: tell when: a revision that is not the newest (412), a needed field of the header (428), and what
#: is well formed and still cannot be, such as somebody else's address (422). A bad line of a batch
#: is answered by its line.
CHECKS = """
[auth.openapi.vendor]
bearer = "{key}"
[auth.openapi.consumer]
bearer = "{token}"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 401, 403, 404, 409, 410, 412, 422]
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 406, 412, 415, 422, 428]
[[operations]]
include-path = "/v1/messages/batch"
[operations.checks.negative_data_rejection]
expected-statuses = [200, 400, 401, 415, 422]
[checks.missing_required_header]
expected-statuses = [400, 401, 403, 404, 406, 415, 422, 428]
"""


@pytest.mark.parametrize(
    ("phases", "examples"),
    [
        ("examples,fuzzing,stateful", "5"),
        pytest.param("coverage,fuzzing,stateful", "50", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(900)
def test_the_api_is_what_it_says_it_is(tmp_path, phases, examples):
    with serving(tmp_path, CONFIGURATION) as letterbox:
        assert letterbox.apply(PEOPLE).returncode == 0
        done = held_to_its_word(letterbox, phases, examples)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr
        selected, tested = re.search(r"Selected: (\d+)/\d+\s+Tested: (\d+)", done.stdout).groups()
        assert selected == tested
        assert int(tested) > 50


def held_to_its_word(
    letterbox: Letterbox, phases: str, examples: str
) -> subprocess.CompletedProcess[str]:
    said = CHECKS.format(
        key=letterbox.ask("key", "issue", "greenleaf")["key"],
        token=letterbox.ask("token", "issue", "anna")["token"],
    )
    (letterbox.folder / "schemathesis.toml").write_text(said)
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"http://{letterbox.addresses['http']}/openapi.json",
            *("--checks", "all", "--phases", phases, "--max-examples", examples),
            *("--seed", "1", "--no-color"),
            *("--continue-on-failure", "--suppress-health-check", "all"),
        ],
        cwd=letterbox.folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.support.described", "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
