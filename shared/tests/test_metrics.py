"""Metrics: the table is sound, label sets are bounded, one page holds several services."""

import pkgutil
import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as ClientHistogram
from prometheus_client.parser import text_string_to_metric_families

from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics, exposition, process_registry
from reefmesh.observability.table import Counter, Gauge, Histogram, Label

SUFFIXES = {"seconds": ("_seconds", "_seconds_total")}


@pytest.mark.parametrize("row", table.ROWS, ids=lambda row: row.name)
def test_row_name_follows_prometheus_conventions(row: table.Row) -> None:
    assert re.fullmatch(r"reefmesh_[a-z_]+", row.name)
    assert row.name.endswith("_total") == isinstance(row, Counter)
    if row.unit in SUFFIXES:
        assert row.name.endswith(SUFFIXES[row.unit])
    assert row.help.endswith(".")
    assert "service" not in {label.name for label in row.labels}
    if isinstance(row, Histogram):
        assert list(row.buckets) == sorted(set(row.buckets))


def test_row_names_are_unique() -> None:
    names = [row.name for row in table.ROWS]
    assert sorted(set(names)) == sorted(names)


def test_label_values_beyond_the_limit_share_one_series() -> None:
    row = Counter(name="reefmesh_things_total", unit="events", help="Things.", labels=(Label("reef", limit=3),))
    metrics = Metrics("ingest", rows=(*table.ROWS, row))
    for number in range(10):
        metrics.count(row, f"reef-{number}")
    assert metrics.value(row, "reef-2") == 1
    assert metrics.value(row, "reef-3") == 0
    assert metrics.value(row, table.OTHER) == 7
    assert metrics.value(table.LABEL_VALUES_FOLDED, row.name) == 7


def test_operator_sets_how_many_reefs_are_shown() -> None:
    """A mesh of ten thousand reefs chooses between its series and its memory."""
    metrics = Metrics("ingest", limits={"reef": 2})
    for number in range(3):
        metrics.set(table.READING_LAG_SECONDS, number + 1, f"reef-{number}")
    assert [1, 2, 0, 3] == [
        metrics.value(table.READING_LAG_SECONDS, reef) for reef in ("reef-0", "reef-1", "reef-2", table.OTHER)
    ]


def test_objectives_have_a_bucket_bound_of_their_own() -> None:
    """Else a share within it could only be guessed."""
    assert table.SCORED_WITHIN_SECONDS in table.SCORING_LATENCY_SECONDS.buckets
    assert table.DELIVERED_WITHIN_SECONDS in table.ALERT_LATENCY_SECONDS.buckets


def test_closed_label_folds_strangers_and_starts_at_zero() -> None:
    metrics = Metrics("ingest")
    metrics.count(table.READINGS, "invented")
    assert metrics.value(table.READINGS, table.OTHER) == 1
    assert metrics.registry.get_sample_value(table.READINGS.name, {"service": "ingest", "outcome": "accepted"}) == 0.0


def test_wrong_number_of_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        Metrics("ingest").count(table.MESSAGES_RECEIVED)


async def test_exposition_merges_families_of_several_services() -> None:
    first, second = Metrics("ingest"), Metrics("scoring")
    first.count(table.MESSAGES_RECEIVED, "ingest@reef.telemetry", amount=3)
    second.count(table.MESSAGES_RECEIVED, "scoring@reef.readings")
    second.observe(table.HANDLING_SECONDS, 0.02, "scoring@reef.readings")
    page = (await exposition([first, second], process=process_registry())).decode()
    names = re.findall(r"^# TYPE (\S+)", page, flags=re.MULTILINE)
    assert len(names) == len(set(names))
    assert {name for row in table.ROWS for name in [row.name]} <= set(names)
    samples = {
        (sample.labels["service"], sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == table.MESSAGES_RECEIVED.name
    }
    assert samples == {("ingest", 3.0), ("scoring", 1.0)}
    assert "_created" not in page


async def test_sampler_sets_gauges_at_the_scrape_and_a_failing_one_spares_the_page() -> None:
    metrics = Metrics("ingest")

    async def fails() -> None:
        raise OSError("gone")

    async def samples() -> None:
        metrics.set(table.MESSAGES_WAITING, 12, "ingest@reef.telemetry")

    metrics.add_sampler(fails)
    metrics.add_sampler(samples)
    page = (await exposition([metrics])).decode()
    assert 'reefmesh_messages_waiting{service="ingest",subscription="ingest@reef.telemetry"} 12.0' in page


def test_gauge_moves_up_and_down() -> None:
    metrics = Metrics("ingest")
    row: Gauge = table.LANES_BUSY
    metrics.add(row, 2, "s")
    metrics.add(row, -1, "s")
    assert metrics.value(row, "s") == 1


async def test_histogram_counts_values_up_to_each_bound() -> None:
    """As Prometheus' own client does, whose page this one is held against."""
    row = Histogram(name="reefmesh_things_seconds", unit="seconds", help="Things.", buckets=(0.5, 1.0, 2.5))
    values = (0.1, 0.5, 0.50001, 1.0, 2.5, 7.0)
    metrics = Metrics("ingest", rows=(*table.ROWS, row))
    registry = CollectorRegistry()
    theirs = ClientHistogram(row.name, row.help, ("service",), registry=registry, buckets=row.buckets).labels("ingest")
    for value in values:
        metrics.observe(row, value)
        theirs.observe(value)
    page = (await exposition([metrics])).decode().splitlines()
    expected = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
    assert expected == [line for line in page if row.name in line]


def test_counter_only_rises() -> None:
    metrics = Metrics("ingest")
    with pytest.raises(ValueError, match="only rises"):
        metrics.count(table.MESSAGES_RECEIVED, "s", amount=-1)
    assert metrics.value(table.MESSAGES_RECEIVED, "s") == 0


def test_every_module_with_rows_is_a_subsystem_of_the_table() -> None:
    """A row whose module is not named there would be on no page and in no registry."""
    modules = {module.name for module in pkgutil.iter_modules(table.__path__)} - {"bounds", "labels", "rows"}
    assert modules == {subsystem.__name__.rpartition(".")[2] for subsystem in table.SUBSYSTEMS}
    assert len(table.ROWS) == len({row.name for row in table.ROWS})
    assert {row.name for row in table.ROWS} == {each.name for each in vars(table).values() if isinstance(each, table.Row)}
