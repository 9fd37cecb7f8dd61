"""Prometheus collectors made from the table, in a registry of their own: no globals, several services in one process."""

import asyncio
import contextlib
import platform
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

import reefmesh
from reefmesh.observability import table
from reefmesh.observability.series import (
    CounterFamily,
    CounterSeries,
    GaugeFamily,
    GaugeSeries,
    HistogramFamily,
    HistogramSeries,
)
from reefmesh.observability.table import Counter, Gauge, Histogram, Label, Row

EXPOSITION_CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
SAMPLER_TIMEOUT_SECONDS: Final = 2.0

Sampler = Callable[[], Awaitable[None]]
_log = structlog.get_logger(__name__)


class FoldedLabel:
    """Lets a bounded number of values through; the rest become ``other``. A closed set lets only its own through."""

    __slots__ = ("_known", "_limit")

    def __init__(self, label: Label, *, limit: int | None = None) -> None:
        """``limit`` takes the place of the label's own, unless that is a closed set."""
        self._known = set(label.values)
        self._limit = len(label.values) if label.values else label.limit if limit is None else limit

    def fold(self, value: str) -> str:
        if value in self._known:
            return value
        if len(self._known) < self._limit:
            self._known.add(value)
            return value
        return table.OTHER


class Metrics:
    """One service's metrics.

    ``count``, ``set`` and ``observe`` take label values in the order of the row; each use of a known combination costs one
    dictionary look-up. From the event loop's thread alone.
    """

    def __init__(self, service: str, *, rows: Sequence[Row] = table.ROWS, limits: Mapping[str, int] | None = None) -> None:
        """``limits``: how many values of a label are shown before the rest are folded, where not the table's number."""
        self.service = service
        self._limits = dict(limits or {})
        self.registry = CollectorRegistry(auto_describe=False)
        self._counters: dict[str, CounterFamily] = {}
        self._gauges: dict[str, GaugeFamily] = {}
        self._histograms: dict[str, HistogramFamily] = {}
        self._folds: dict[str, tuple[FoldedLabel, ...]] = {}
        self._bound_counters: dict[tuple[str, ...], CounterSeries] = {}
        self._bound_gauges: dict[tuple[str, ...], GaugeSeries] = {}
        self._bound_histograms: dict[tuple[str, ...], HistogramSeries] = {}
        self._samplers: list[Sampler] = []
        for row in rows:
            self._create(row)
        self.set(table.BUILD_INFO, 1, reefmesh.__version__, platform.python_version())

    def count(self, row: Counter, *labels: str, amount: float = 1) -> None:
        """Add ``amount`` (>= 0)."""
        child = self._bound_counters.get((row.name, *labels))
        (child or self.counter(row, *labels)).inc(amount)

    def set(self, row: Gauge, value: float, *labels: str) -> None:
        child = self._bound_gauges.get((row.name, *labels))
        (child or self.gauge(row, *labels)).set(value)

    def add(self, row: Gauge, amount: float, *labels: str) -> None:
        """Move a gauge up or down."""
        child = self._bound_gauges.get((row.name, *labels))
        (child or self.gauge(row, *labels)).inc(amount)

    def observe(self, row: Histogram, value: float, *labels: str) -> None:
        """Note one value, in the row's unit."""
        child = self._bound_histograms.get((row.name, *labels))
        (child or self.histogram(row, *labels)).observe(value)

    def counter(self, row: Counter, *labels: str) -> CounterSeries:
        """Return the counter of these label values, for a loop that keeps it; folded values are not kept in memory."""
        folded = self._fold(row, labels)
        child = self._counters[row.name].labels(self.service, *folded)
        if folded == labels:
            self._bound_counters[(row.name, *labels)] = child
        return child

    def gauge(self, row: Gauge, *labels: str) -> GaugeSeries:
        """As ``counter``."""
        folded = self._fold(row, labels)
        child = self._gauges[row.name].labels(self.service, *folded)
        if folded == labels:
            self._bound_gauges[(row.name, *labels)] = child
        return child

    def histogram(self, row: Histogram, *labels: str) -> HistogramSeries:
        """As ``counter``."""
        folded = self._fold(row, labels)
        child = self._histograms[row.name].labels(self.service, *folded)
        if folded == labels:
            self._bound_histograms[(row.name, *labels)] = child
        return child

    def value(self, row: Counter | Gauge, *labels: str) -> float:
        """Return the current value of one series; 0 when it was never touched."""
        names = [label.name for label in row.labels]
        series = dict(zip(names, labels, strict=True)) | {"service": self.service}
        return self.registry.get_sample_value(row.name, series) or 0.0

    def add_sampler(self, sampler: Sampler) -> None:
        """Call ``sampler`` before each scrape, to set gauges from somebody's ``statistics()``."""
        self._samplers.append(sampler)

    async def refresh(self) -> None:
        """Run the samplers; one that fails or takes over 2 s is logged and leaves its gauges as they were."""
        for sampler in self._samplers:
            try:
                async with asyncio.timeout(SAMPLER_TIMEOUT_SECONDS):
                    await sampler()
            except Exception as error:  # noqa: BLE001 - a scrape must not fail for one source of gauges
                _log.warning("metrics sampler failed", service=self.service, error=repr(error))

    def _create(self, row: Row) -> None:
        names = ("service", *(label.name for label in row.labels))
        self._folds[row.name] = tuple(FoldedLabel(label, limit=self._limits.get(label.name)) for label in row.labels)
        match row:
            case Counter():
                self._counters[row.name] = counters = CounterFamily(row, names)
                self.registry.register(counters)
            case Gauge():
                self._gauges[row.name] = gauges = GaugeFamily(row, names)
                self.registry.register(gauges)
            case Histogram():
                self._histograms[row.name] = histograms = HistogramFamily(row, names)
                self.registry.register(histograms)
        if isinstance(row, Counter) and len(row.labels) <= 1 and all(label.values for label in row.labels):
            # A counter that starts at 0 lets rate() see its first rise.
            for value in row.labels[0].values if row.labels else ():
                self.counter(row, value)
            if not row.labels:
                self.counter(row)

    def _fold(self, row: Row, labels: tuple[str, ...]) -> tuple[str, ...]:
        folds = self._folds[row.name]
        folded = tuple(fold.fold(value) for fold, value in zip(folds, labels, strict=True))
        if folded != labels:
            self.count(table.LABEL_VALUES_FOLDED, row.name)
        return folded


class _Together(Collector):
    """Several registries as one: families of one name are merged, as the exposition format demands."""

    def __init__(self, registries: Iterable[CollectorRegistry]) -> None:
        self._registries = tuple(registries)

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for registry in self._registries:
            for family in registry.collect():
                known = families.setdefault(family.name, family)
                if known is not family:
                    known.samples.extend(family.samples)
        return families.values()


async def exposition(services: Sequence[Metrics], *, process: CollectorRegistry | None = None) -> bytes:
    """Return the scrape page (Prometheus text format) of these services, and of the process when given."""
    for metrics in services:
        await metrics.refresh()
    registry = CollectorRegistry(auto_describe=False)
    registries = [metrics.registry for metrics in services]
    registry.register(_Together([*registries, process] if process is not None else registries))
    return generate_latest(registry)


def process_registry() -> CollectorRegistry:
    """Return a registry with the process's own CPU, memory, descriptors and garbage collection."""
    registry = CollectorRegistry(auto_describe=False)
    prometheus_client.ProcessCollector(registry=registry)
    with contextlib.suppress(ValueError):  # a Python without the collector's hooks
        prometheus_client.GCCollector(registry=registry)
    return registry
