"""What watches letterbox asks for metrics that there are, and calls somebody when it should."""

import json
import re
import tomllib
from pathlib import Path
from subprocess import run
from typing import NamedTuple, get_args

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from letterbox.configuration import shipped
from letterbox.metrics import Metrics
from letterbox.model.verdict import VerdictName
from tests.support.programs import program

ROOT = Path(__file__).parents[2]
WATCH = ROOT / "deploy" / "watch"
#: What Prometheus itself gives to each series.
TARGET = frozenset({"job", "instance", "role"})
ROLES = frozenset({"gateway", "worker", "web", "all"})
#: Metrics that are on no panel, each with why.
NOT_SHOWN: dict[str, str] = {}


class Asked(NamedTuple):
    """One selector of an expression, with the labels that its value is summed up by."""

    name: str
    matchers: tuple[tuple[str, str], ...]
    by: frozenset[str]


def asked(expression: str) -> list[Asked]:
    """Every selector of a PromQL expression; ValueError where it is none."""
    # Grafana's own variables stand for a duration.
    found: list[Asked] = []
    pending: list[tuple[promql_parser.Expr, frozenset[str]]] = [
        (promql_parser.parse(expression.replace("$__rate_interval", "5m")), frozenset())
    ]
    while pending:
        node, by = pending.pop()
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            by |= frozenset(node.modifier.labels)
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            matchers = tuple((each.name, each.value) for each in node.matchers.matchers)
            found.append(Asked(node.name, matchers, by))
        parts = ("expr", "lhs", "rhs")
        pending += [(getattr(node, part), by) for part in parts if hasattr(node, part)]
        pending += [(argument, by) for argument in getattr(node, "args", ())]
    return found


def series() -> dict[str, frozenset[str]]:
    """Every series that there is, with its labels; ``up`` and what is recorded included."""
    metrics = Metrics()
    named = {
        name: frozenset(collector._labelnames) | ({"le"} if name.endswith("_bucket") else set())
        for name, collector in metrics.registry._names_to_collectors.items()
        if hasattr(collector, "_labelnames")
    }
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            named.setdefault(sample.name, frozenset())
    named["up"] = frozenset()
    for rule in rules():
        if "record" in rule:
            (labels,) = {each.by for each in asked(rule["expr"])}
            named[rule["record"]] = labels - {"le"}
    return named


def rules() -> list[dict[str, object]]:
    text = yaml.safe_load((WATCH / "letterbox.rules.yaml").read_text())
    return [rule for group in text["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, object]]:
    board = json.loads((WATCH / "grafana" / "letterbox.json").read_text())
    return board["panels"]


def expressions() -> dict[str, str]:
    said = {str(rule.get("alert", rule.get("record"))): rule["expr"] for rule in rules()}
    for panel in panels():
        for target in panel.get("targets", ()):
            said[f"{panel['title']} {target['refId']}"] = target["expr"]
    return said


def test_every_metric_that_is_asked_for_exists_with_its_labels():
    known = series()
    reasons = {entry["code"] for entry in tomllib.loads(shipped("reasons.toml").decode())["reason"]}
    values = {"verdict": set(get_args(VerdictName)), "reason": reasons, "role": ROLES}
    wrong = []
    for place, expression in expressions().items():
        for name, matchers, by in asked(expression):
            if name not in known:
                wrong.append(f"{place}: no metric {name}")
                continue
            labels = known[name] | TARGET
            wrong += [f"{place}: {name} has no {label}" for label in by - labels]
            for label, text in matchers:
                if label not in labels:
                    wrong.append(f"{place}: {name} has no {label}")
                elif label in values and not set(text.split("|")) <= values[label]:
                    wrong.append(f"{place}: {label} is never {text}")
    assert wrong == []


def test_a_metric_that_is_not_there_would_be_seen():
    ((name, matchers, by),) = asked('sum by (edge) (rate(letterbox_mails_total{verdict="no"}[5m]))')
    assert (name, matchers, by) == ("letterbox_mails_total", (("verdict", "no"),), {"edge"})
    assert name not in series()
    with pytest.raises(ValueError, match="unclosed"):
        asked("sum by (edge")


def test_every_metric_of_ours_is_on_the_dashboard():
    shown = {
        each.name
        for panel in panels()
        for target in panel.get("targets", ())
        for each in asked(target["expr"])
    }
    hidden = set()
    collectors = Metrics().registry._collector_to_names
    for collector, names in collectors.items():
        ours = [name for name in names if name.startswith("letterbox_")]
        if ours and not shown & set(names):
            hidden.add(collector._name)
    assert hidden == set(NOT_SHOWN)


def test_the_dashboard_answers_in_the_order_of_an_operator():
    titles = [panel["title"] for panel in panels() if panel["type"] == "row"]
    assert [title.split()[0] + " " + title.split()[1] for title in titles] == [
        *("Is it", "Is mail", "Is anything", "What is", "What does")
    ]
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    # None lies on another.
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert all(target["datasource"]["uid"] == "${datasource}" for target in targets(panel))


def targets(panel: dict[str, object]) -> list[dict[str, dict[str, str]]]:
    return panel.get("targets", [])


def test_every_alert_says_what_is_and_what_to_do():
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) > 10
    for alert in alerts:
        assert alert["labels"]["severity"] in {"page", "look"}
        assert set(alert["annotations"]) == {"summary", "action"}
    tested = (ROOT / "tests" / "golden" / "alerts.yaml").read_text()
    untested = [alert["alert"] for alert in alerts if str(alert["alert"]) not in tested]
    assert untested == []


def test_the_rules_call_somebody_when_they_should():
    promtool = program("promtool")
    case = ROOT / "tests" / "golden" / "alerts.yaml"
    done = run([promtool, "test", "rules", str(case)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["machine", "compose"])
def test_prometheus_takes_its_configuration(name):
    promtool = program("promtool")
    command = [promtool, "check", "config", str(WATCH / f"prometheus.{name}.yml")]
    done = run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_configuration_names_the_job_and_gives_a_role():
    files = sorted(WATCH.glob("prometheus.*.yml"))
    assert len(files) == 3
    for file in files:
        text = file.read_text()
        (job,) = yaml.safe_load(text)["scrape_configs"]
        assert job["job_name"] == "letterbox"
        assert re.search(r"role: all|target_label: role", text)
        assert yaml.safe_load(text)["rule_files"] == ["letterbox.rules.yaml"]
