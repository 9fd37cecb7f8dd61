"""Whoever adds a quantity, an alert kind, a verdict or a level learns here which tables, texts and pages lack it.

Code that branches on such a word uses ``match`` with ``assert_never``, so mypy reports what is missing there. These tests
cover what a type checker does not see: tables, the dashboards and the documentation.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

import reefmesh
import reefmesh_alerts
import reefmesh_ingest
import reefmesh_scoring
import reefmesh_standalone
from reefmesh.contracts import alerts, quantities
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.scores import CarbonateBand, CarbonateStatus, DaySource, DayStatus, DiveVerdict, HeatStatus, Level
from reefmesh.observability import table
from reefmesh_alerts.delivery.lane import CountedOutcome
from reefmesh_alerts.domain.buoy import BuoyKind, states_of_buoy
from reefmesh_alerts.domain.quantity_silent import DROPPED
from reefmesh_alerts.domain.severity import highest_severity, severity_of, states_of
from reefmesh_scoring.reef_gauges import status_code, verdict_code

ROOT = Path(__file__).parents[2]
PACKAGES = (reefmesh, reefmesh_ingest, reefmesh_scoring, reefmesh_alerts, reefmesh_standalone)

CLOSED_SETS: Mapping[str, frozenset[Any]] = {
    "quantity": frozenset(quantities.UNITS),
    "alert kind": frozenset(get_args(alerts.Kind)),
    "alert change": frozenset(get_args(alerts.Change)),
    "dive verdict": frozenset(get_args(DiveVerdict)),
    "carbonate band": frozenset(get_args(CarbonateBand)),
    "carbonate status": frozenset(get_args(CarbonateStatus)),
    "day source": frozenset(get_args(DaySource)),
    "day status": frozenset(get_args(DayStatus)),
    "heat status": frozenset(HeatStatus),
    "level": frozenset(Level),
    "flag": frozenset(Flag),
}

PARTIAL = {
    "COUNTED_AT": "only what has a daily mean: temperature, pH, pCO2 and salinity",
    "FACTORS": "only what the dive verdict rests on: current and visibility",
    "UNKNOWN_WITHOUT": "only what a score rests on",
}
"""Tables that lack members on purpose, with the reason; by their name alone, because other modules import them."""


def modules() -> Iterator[ModuleType]:
    """Every module of the product but its entry points."""
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def tables() -> dict[str, Mapping[Any, Any]]:
    """Every table of a module, by its name: the mappings with two keys or more."""
    return {
        f"{module.__name__}.{name}": value
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, Mapping) and len(value) > 1 and not name.startswith("__")
    }


def is_keyed_by(table_keys: frozenset[Any], members: frozenset[Any]) -> bool:
    """Tell whether all keys are members of the set: by value for words, by type for enumerations, whose codes are numbers."""
    if not table_keys <= members:
        return False
    kind = next(iter(members))
    return not isinstance(kind, Enum) or all(isinstance(key, type(kind)) for key in table_keys)


def test_every_table_keyed_by_a_closed_set_is_complete() -> None:
    found: set[str] = set()
    lacking: dict[str, list[str]] = {}
    for name, content in tables().items():
        keys = frozenset(content)
        for members in CLOSED_SETS.values():
            if is_keyed_by(keys, members):
                found.add(name)
                if missing := members - keys:
                    lacking[name] = sorted(map(str, missing))
    assert {"reefmesh.contracts.quantities.UNITS", "reefmesh.contracts.flags._PRECEDENCE"} <= found
    assert set(PARTIAL) <= {name.rpartition(".")[2] for name in found}
    assert {} == {name: missing for name, missing in lacking.items() if name.rpartition(".")[2] not in PARTIAL}


def test_every_quantity_that_has_a_name_has_a_unit() -> None:
    named = {value for name, value in vars(quantities).items() if name.isupper() and isinstance(value, str)}
    assert named == set(quantities.UNITS)


def test_every_quantity_stands_in_the_documented_limits() -> None:
    page = (ROOT / "docs" / "quality-control.md").read_text(encoding="utf-8")
    assert set(quantities.UNITS) == set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))


def kinds_table(page: str) -> dict[str, str]:
    """The table of a page whose first column is ``kind``: kind -> the rest of its row."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (rows,) = re.findall(r"^\| kind \|.*\n(?:\|-+)+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", rows, re.MULTILINE))


def test_every_alert_kind_is_documented() -> None:
    assert set(get_args(alerts.Kind)) == kinds_table("alerts.md").keys()


def test_every_state_of_every_alert_kind_is_documented_for_receivers() -> None:
    """A receiver of webhooks branches on ``kind`` and ``to_state``."""
    states: dict[str, set[str]] = {
        "heat": {"unknown", *(level.title for level in Level)},
        "dive": set(get_args(DiveVerdict)),
        "chemistry": {"unknown", *get_args(CarbonateBand)},
        **{kind: set(states_of_buoy(kind)) for kind in get_args(BuoyKind)},
    }
    states["quantity_silent"].add(DROPPED)
    assert states == {kind: set(re.findall(r"`([^`]+)`", row)) for kind, row in kinds_table("webhooks.md").items()}


@pytest.mark.parametrize("kind", get_args(alerts.Kind))
def test_every_alert_kind_has_states_that_a_subscriptions_file_can_name(kind: alerts.Kind) -> None:
    severities = states_of(kind)
    assert {severity_of(kind, name) for name in severities} == set(range(highest_severity(kind) + 1))


def test_every_alert_kind_about_a_buoy_or_a_part_of_it_says_so_in_its_name() -> None:
    assert set(get_args(BuoyKind)) == {
        kind for kind in get_args(alerts.Kind) if kind.startswith(("buoy_", "sensor_", "quantity_"))
    }


def test_every_outcome_of_a_delivery_is_counted() -> None:
    assert set(get_args(CountedOutcome)) == set(table.DELIVERIES.labels[1].values)


def test_dashboards_and_the_metrics_page_name_every_level_and_every_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "deploy" / "grafana")  # the generator's folder is no package
    boards = importlib.import_module("boards.reefs")
    verdicts = {verdict_code(verdict): verdict.replace("_", " ") for verdict in get_args(DiveVerdict)}

    statuses = {status_code(status): status.value.replace("_", " ") for status in HeatStatus}

    assert {-1, *Level} == set(boards.LEVELS)
    assert statuses == {code: words for code, (words, _) in boards.STATUSES.items()}
    assert verdicts == {code: words for code, (words, _) in boards.VERDICTS.items()}
    assert ", ".join(f"{code} {words}" for code, words in sorted(verdicts.items())) in table.REEF_DIVE_VERDICT.help
