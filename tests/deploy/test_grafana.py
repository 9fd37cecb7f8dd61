"""The dashboards are what their code says, and every query asks for metrics that there are, in PromQL that parses."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reefmesh.observability import table
from reefmesh.observability.metrics import process_registry
from reefmesh.observability.table import Histogram
from reefmesh_components.prometheus_tools import Checker

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARDS = {file.stem: json.loads(file.read_text()) for file in sorted((GRAFANA / "dashboards").glob("*.json"))}
OF_RABBITMQ: dict[str, list[str]] = json.loads(Path(__file__).with_name("rabbitmq_series.json").read_text(encoding="utf-8"))
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
PROMQL = frozenset(
    {"and", "bool", "by", "count", "count_values", "group_left", "histogram_quantile", "increase", "max", "min"}
    | {"offset", "on", "or", "rate", "sum", "time", "topk", "vector"}
)
FILLED_IN = {"$__rate_interval": "5m", "$__range": "1h", "$service": ".*", "$reef": ".*"}


def panels(name: str) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in DASHBOARDS[name]["panels"] if panel["type"] != "row")


def queries(name: str) -> list[str]:
    return [target["expr"] for panel in panels(name) for target in panel["targets"]]


def series_there_are() -> set[str]:
    """Every series name that a service shows, or RabbitMQ (test_rabbitmq_series.py)."""
    names = set(OF_RABBITMQ) | {sample.name for family in process_registry().collect() for sample in family.samples}
    for row in table.ROWS:
        names |= {f"{row.name}{end}" for end in ("_bucket", "_sum", "_count")} if isinstance(row, Histogram) else {row.name}
    return names


def series_of(query: str) -> set[str]:
    """The series that a query names: words that are neither labels nor PromQL's own."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", bare)
    bare = re.sub(r"\b(by|on|group_left)\s*\([^)]*\)", r"\1", bare)
    return set(METRIC.findall(re.sub(r"\b[0-9][0-9.e]*", "", bare))) - PROMQL


def filled_in(query: str) -> str:
    for variable, value in FILLED_IN.items():
        query = query.replace(variable, value)
    assert "$" not in query, query
    return query


def test_dashboards_regenerate_unchanged() -> None:
    command = [sys.executable, str(GRAFANA / "generate.py"), "--check"]
    checked = subprocess.run(command, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_there_is_a_dashboard_for_services_for_the_broker_and_for_reefs() -> None:
    assert set(DASHBOARDS) == {"services", "broker", "reefs"}
    assert {name: board["uid"] for name, board in DASHBOARDS.items()} == {name: f"reefmesh-{name}" for name in DASHBOARDS}


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_queries_name_only_series_that_services_show(name: str) -> None:
    named = {series for query in queries(name) for series in series_of(query)}
    assert len(named) > 4
    assert named - series_there_are() == set()


def test_series_of_a_query_are_found() -> None:
    """What the test above relies on: a name that nobody shows would be seen, wherever it stands."""
    query = 'sum by (le, reef) (rate(made_up_total{reef=~"x", service="y"}[5m])) / on (reef) group_left () (other:rule * 1e3)'
    assert series_of(query) == {"made_up_total", "other:rule"}


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_labels_of_a_query_are_labels_of_its_metric(name: str) -> None:
    """A selector on a label that a metric does not have finds nothing, for ever."""
    labels = {row.name: {"service", *(label.name for label in row.labels)} for row in table.ROWS}
    labels |= {name: {"job", "instance", *own} for name, own in OF_RABBITMQ.items()}
    unknown = [
        (series, label)
        for query in queries(name)
        for series, selector in re.findall(r"([a-z_:]+)\{([^}]*)\}", query)
        for label in re.findall(r"([a-z_]+)\s*(?:=|!=|=~|!~)", re.sub(r'"[^"]*"', "", selector))
        if label not in labels[re.sub(r"_(bucket|sum|count)$", "", series)] | {"le"}
    ]
    assert unknown == []


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_queries_are_promql(name: str, promtool: Checker, tmp_path: Path) -> None:
    rules = [{"record": f"panel:number{place}", "expr": filled_in(query)} for place, query in enumerate(queries(name))]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": name, "rules": rules}]}))
    code, said = promtool.check("check", "rules", str(file))
    assert code == 0, said
    assert f"{len(rules)} rules found" in said


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_every_panel_has_a_number_of_its_own_and_says_what_it_shows(name: str) -> None:
    numbers = [panel["id"] for panel in DASHBOARDS[name]["panels"]]
    assert sorted(set(numbers)) == sorted(numbers) == list(range(1, len(numbers) + 1))
    assert [panel["title"] for panel in panels(name) if not panel.get("description")] == []


def test_provisioning_names_the_source_and_the_folder_that_compose_mounts() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/reefmesh.yml").read_text())["providers"]
    mounted = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in mounted
    assert "./deploy/grafana/provisioning:/etc/grafana/provisioning:ro" in mounted
