"""Prometheus and Alertmanager: their files are valid, every alert has its tests and its runbook, and names no unknown metric.

``promtool`` of Debian 12 (2.42) does not know ``aws_sd_configs`` (3.8 and newer): it checks ``prometheus.ecs.yml`` without that
part; the part itself is checked against the fields and labels that Prometheus' reader of it has (``discovery/aws``), below.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reefmesh.observability import table
from reefmesh.observability.table import Counter, Histogram
from reefmesh_components.prometheus_tools import Checker

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
RULE_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))

ECS_FIELDS = {"role", "region", "endpoint", "profile", "role_arn", "clusters", "port", "refresh_interval"}
ECS_LABELS = {
    *("cluster", "cluster_arn", "service", "service_arn", "service_status", "task_group", "task_arn", "task_definition"),
    *("region", "availability_zone", "subnet_id", "ip_address", "launch_type", "desired_status", "last_status"),
    *("health_status", "platform_family", "platform_version", "network_mode", "container_instance_arn", "public_ip"),
}
NOT_OURS = {"up", "process_start_time_seconds"}  # Prometheus' own, and the process's
OF_RABBITMQ: dict[str, list[str]] = json.loads(Path(__file__).with_name("rabbitmq_series.json").read_text(encoding="utf-8"))
"""Series and labels of a real RabbitMQ's page, which test_rabbitmq_series.py compares."""
WORDS = {  # of PromQL, and labels that stand without braces
    *(
        "sum",
        "max",
        "min",
        "count",
        "by",
        "on",
        "and",
        "or",
        "unless",
        "offset",
        "absent",
        "rate",
        "increase",
        "changes",
        "time",
    ),
    *("vector", "max_over_time", "last_over_time", "histogram_quantile"),
    *("service", "subscription", "outcome", "le", "reason", "channel", "instance", "job", "reef", "queue", "limit"),
}


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def rules(file: str) -> list[dict[str, Any]]:
    return [rule for group in load(PROMETHEUS / "rules" / file)["groups"] for rule in group["rules"]]


ALERTS = rules("alerts.yml")
RECORDED = {rule["record"] for rule in rules("recording.yml")}


def kebab(alert: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alert.removeprefix("Reefmesh")).lower()


def series_of_table() -> set[str]:
    names = set()
    for row in table.ROWS:
        names |= {f"{row.name}_{part}" for part in ("bucket", "sum", "count")} if isinstance(row, Histogram) else {row.name}
    return names


def names_in(expression: str) -> set[str]:
    """Return the series that a PromQL expression asks for."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\boffset \w+", " ", bare)
    return {name for name in re.findall(r"(?<![\w.:])[a-z][\w:]*", bare) if name not in WORDS}


def labels_in(expression: str) -> Iterator[tuple[str, str]]:
    """Yield (series, label) of every selector."""
    for name, selector in re.findall(r"([a-z][\w:]*)\{([^}]*)\}", expression):
        yield from ((name, label) for label in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', selector))


def test_configuration_for_compose_is_valid(promtool: Checker) -> None:
    """With the rules that it loads."""
    code, said = promtool.check("check", "config", str(PROMETHEUS / "prometheus.yml"))
    assert (0, 2) == (code, len(re.findall(r"SUCCESS: \d+ rules found", said))), said


def test_configuration_for_ecs_is_valid_apart_from_its_discovery(promtool: Checker, tmp_path: Path) -> None:
    configuration = load(PROMETHEUS / "prometheus.ecs.yml")
    for scrape in configuration["scrape_configs"]:
        scrape.pop("aws_sd_configs", None)
    (tmp_path / "rules").symlink_to(PROMETHEUS / "rules")
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    code, said = promtool.check("check", "config", str(file))
    assert 0 == code, said


def test_discovery_for_ecs_has_only_what_prometheus_reads() -> None:
    (scrape,) = [each for each in load(PROMETHEUS / "prometheus.ecs.yml")["scrape_configs"] if "aws_sd_configs" in each]
    (discovery,) = scrape["aws_sd_configs"]
    assert set() == set(discovery) - ECS_FIELDS
    assert ("ecs", 8080) == (discovery["role"], discovery["port"])
    used = {label for rule in scrape["relabel_configs"] for label in rule.get("source_labels", [])}
    assert set() == used - {f"__meta_ecs_{label}" for label in ECS_LABELS}


@pytest.mark.parametrize(
    ("name", "job"), [("ingest", "ingest"), ("prod-scoring", "scoring"), ("reefmesh-eu-alerts", "alerts"), ("web", None)]
)
def test_ecs_services_become_the_jobs_that_rules_go_by(name: str, job: str | None) -> None:
    """The job is how an alert knows its service; what is none of ours is not scraped."""
    (scrape,) = [each for each in load(PROMETHEUS / "prometheus.ecs.yml")["scrape_configs"] if "aws_sd_configs" in each]
    by_service = [rule for rule in scrape["relabel_configs"] if rule["source_labels"] == ["__meta_ecs_service"]]
    keep, name_job = by_service
    assert ("keep", "job", keep["regex"]) == (keep["action"], name_job["target_label"], name_job["regex"])
    found = re.fullmatch(keep["regex"], name)
    assert job == (found and found[1])


def test_compose_scrapes_every_replica_of_a_service() -> None:
    """An address for each: a name that resolves to one of them would hide the others."""
    found = [
        each["dns_sd_configs"][0] for each in load(PROMETHEUS / "prometheus.yml")["scrape_configs"] if "dns_sd_configs" in each
    ]
    assert {"A"} == {each["type"] for each in found}


def test_alertmanager_configuration_is_valid(amtool: Checker) -> None:
    code, said = amtool.check("check-config", str(ALERTMANAGER))
    assert 0 == code, said


def test_alertmanager_holds_no_secret_and_mails_to_the_catcher_of_compose() -> None:
    configuration = load(ALERTMANAGER)
    assert "mail:1025" == configuration["global"]["smtp_smarthost"]
    assert [] == re.findall(
        r"^\s*\w*(?:password|token|secret|api_key)\w*:", ALERTMANAGER.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert ["service"] == configuration["route"]["group_by"]


def test_inhibited_alerts_exist() -> None:
    """An inhibition of a name that nobody has inhibits nothing, in silence."""
    said = [
        name
        for rule in load(ALERTMANAGER)["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        if matcher.startswith("alertname")
        for name in re.findall(r"Reefmesh\w+", matcher)
    ]
    assert set() == set(said) - {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_rules_do_what_their_tests_say(promtool: Checker, file: Path) -> None:
    code, said = promtool.check("test", "rules", str(file))
    assert 0 == code, said


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_alert_has_a_test_in_which_it_fires_and_one_in_which_it_is_silent(rule: dict[str, Any]) -> None:
    name, severity = rule["alert"], rule["labels"]["severity"]
    cases = [case for test in load(PROMETHEUS / "tests" / f"{kebab(name)}.yml")["tests"] for case in test["alert_rule_test"]]
    fires = [any(each["exp_labels"]["severity"] == severity for each in case["exp_alerts"]) for case in cases]
    assert {name} == {case["alertname"] for case in cases}
    assert {True, False} == set(fires)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_alert_names_its_service_its_severity_and_a_runbook_that_exists(rule: dict[str, Any]) -> None:
    """Alertmanager groups by service: an alert without one would be told alone."""
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert "service" in rule["labels"] or re.search(r"by \([^)]*\bservice\b", rule["expr"])
    assert f"docs/runbooks/{kebab(rule['alert'])}.md" == rule["annotations"]["runbook"]
    runbook = ROOT / rule["annotations"]["runbook"]
    assert runbook.read_text(encoding="utf-8").startswith(f"# {rule['alert']}\n")


def test_every_runbook_is_of_an_alert() -> None:
    found = {file.stem for file in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
    assert {kebab(rule["alert"]) for rule in ALERTS} == found


@pytest.mark.parametrize("rule", [*ALERTS, *rules("recording.yml")], ids=lambda rule: rule.get("alert") or rule["record"])
def test_expression_names_only_metrics_of_the_table(rule: dict[str, Any]) -> None:
    known = series_of_table() | RECORDED | NOT_OURS | set(OF_RABBITMQ)
    asked = names_in(rule["expr"])
    assert set() == asked - known
    assert asked


@pytest.mark.parametrize("rule", [*ALERTS, *rules("recording.yml")], ids=lambda rule: rule.get("alert") or rule["record"])
def test_expression_selects_by_labels_that_its_metric_has(rule: dict[str, Any]) -> None:
    """A selector on a label that is not there is true for ever, or never."""
    labels = {name: {"job", "instance"} for name in NOT_OURS}
    labels |= {name: {"job", "instance", *own} for name, own in OF_RABBITMQ.items()}
    for row in table.ROWS:
        own = {"service", *(label.name for label in row.labels)}
        for name in (row.name, *(f"{row.name}_{part}" for part in ("bucket", "sum", "count"))):
            labels[name] = own | {"le"} if name.endswith("_bucket") else own
    assert [] == [(name, label) for name, label in labels_in(rule["expr"]) if label not in labels[name]]


def test_bounds_of_the_rules_are_those_of_the_objectives() -> None:
    text = (PROMETHEUS / "rules" / "recording.yml").read_text(encoding="utf-8")
    assert {f"{table.DELIVERED_WITHIN_SECONDS:.1f}"} == set(re.findall(r'le="([\d.]+)"', text))


def test_values_of_closed_labels_in_the_rules_are_those_of_the_table() -> None:
    closed: dict[str, set[str]] = {}
    for row in table.ROWS:
        for label in row.labels:
            if label.values and isinstance(row, Counter):
                closed.setdefault(f"{row.name}/{label.name}", set()).update(label.values)
    strange = []
    for rule in (*ALERTS, *rules("recording.yml")):
        for name, selector in re.findall(r"(reefmesh_\w+)\{([^}]*)\}", rule["expr"]):
            for label, values in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', selector):
                known = closed.get(f"{name}/{label}")
                strange += [value for value in values.split("|") if known is not None and value not in known]
    assert [] == strange
