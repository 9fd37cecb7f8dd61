"""The numbers behind the metrics, and how Prometheus is told of them.

A change of a series is one call and no lock: a live message makes some thirty changes on its way through the mesh, and with
``prometheus_client``'s own values they were a ninth of all that it called. Hence: from the event loop's thread alone.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from reefmesh.observability.table import Counter, Gauge, Histogram

INFINITY: Final = "+Inf"


class CounterSeries:
    """Only rises."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Raises ValueError for an ``amount`` below 0."""
        if amount < 0:
            raise ValueError(f"a counter only rises, not by {amount}")
        self.value += amount


class GaugeSeries:
    """A value now."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        self.value = float(value)

    def inc(self, amount: float = 1.0) -> None:
        self.value += amount

    def dec(self, amount: float = 1.0) -> None:
        self.value -= amount


class HistogramSeries:
    """How many values came up to each of the ``bounds`` (inclusive, ascending) and no further, and what all of them sum to."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class CounterFamily(Collector):
    """All series of one counter, by the values of its labels."""

    def __init__(self, row: Counter, label_names: Sequence[str]) -> None:
        self._row, self._label_names = row, tuple(label_names)
        self._series: dict[tuple[str, ...], CounterSeries] = {}

    def labels(self, *values: str) -> CounterSeries:
        return self._series.setdefault(values, CounterSeries())

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._row.name, self._row.help, labels=self._label_names)
        for values, series in self._series.items():
            family.add_metric(values, series.value)
        return (family,)


class GaugeFamily(Collector):
    """As ``CounterFamily``."""

    def __init__(self, row: Gauge, label_names: Sequence[str]) -> None:
        self._row, self._label_names = row, tuple(label_names)
        self._series: dict[tuple[str, ...], GaugeSeries] = {}

    def labels(self, *values: str) -> GaugeSeries:
        return self._series.setdefault(values, GaugeSeries())

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._row.name, self._row.help, labels=self._label_names)
        for values, series in self._series.items():
            family.add_metric(values, series.value)
        return (family,)


class HistogramFamily(Collector):
    """As ``CounterFamily``."""

    def __init__(self, row: Histogram, label_names: Sequence[str]) -> None:
        self._row, self._label_names = row, tuple(label_names)
        self._bounds = [*map(floatToGoString, row.buckets), INFINITY]
        self._series: dict[tuple[str, ...], HistogramSeries] = {}

    def labels(self, *values: str) -> HistogramSeries:
        return self._series.setdefault(values, HistogramSeries(self._row.buckets))

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._row.name, self._row.help, labels=self._label_names)
        for values, series in self._series.items():
            buckets = list(zip(self._bounds, accumulate(series.counts), strict=True))
            family.add_metric(values, buckets=buckets, sum_value=series.total)
        return (family,)
