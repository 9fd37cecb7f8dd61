"""From series of metrics to what the model needs."""

import math
from collections.abc import Iterable
from typing import Final

from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.observability import table
from reefmesh_standalone.advising.measurement import MESSAGES_LEAST, MeasuredService, MeasuredSubscription, MeshMeasurement
from reefmesh_standalone.advising.series import ObservedSeries

CPU_SECONDS: Final = "process_cpu_seconds_total"
NAMES: Final = (
    table.LANES.name,
    table.MESSAGES_HANDLED.name,
    table.MESSAGES_WAITING.name,
    table.REEFS_CACHED.name,
    table.STORE_COMMITS.name,
    table.STORE_COMMIT_SECONDS.name,
    table.BROKER_EVENTS.name,
    f"{table.PUBLISH_SECONDS.name}_sum",
    f"{table.HANDLING_SECONDS.name}_bucket",
    f"{table.HANDLING_SECONDS.name}_sum",
    f"{table.HANDLING_SECONDS.name}_count",
    f"{table.WAITING_SECONDS.name}_bucket",
    CPU_SECONDS,
)
"""All series that are read."""
DONE: Final = ("handled", "duplicate", "parked")
"""Outcomes that take a message from its subscription; one that was released comes again."""

Buckets = list[tuple[float, float]]
"""(upper bound in seconds, observations at most so long), ascending, the last one infinite."""


def measurement_of(seen: ObservedSeries, *, source: str) -> MeshMeasurement:
    """Return what the series say of each service.

    Raises:
        ConfigurationError: there is no reefmesh service in them.
        TransientError: too few messages came by to say anything.
    """
    names = seen.values(table.LANES.name, "service")
    if not names:
        raise ConfigurationError(f"{source} has no metrics of reefmesh ({table.LANES.name}); give the /metrics of a service")
    processes = {name: {each.process for each in seen.named(table.LANES.name, service=name)} for name in names}
    shared = {each for name in names for each in processes[name] if sum(each in other for other in processes.values()) > 1}
    services = tuple(
        each
        for name in names
        if (each := _service(seen, name, processes[name], alone=not processes[name] & shared)) is not None
    )
    subscriptions = [each for service in services for each in service.subscriptions]
    if not any(each.enough for each in subscriptions):
        most = max((each.handled_messages for each in subscriptions), default=0)
        raise TransientError(
            f"at most {most:,.0f} messages of a subscription were handled in {seen.seconds:,.0f} s, and fewer than "
            f"{MESSAGES_LEAST} say nothing; look again under load, or longer with --over"
        )
    return MeshMeasurement(
        source=source,
        seconds=seen.seconds,
        shared_cpu_seconds=_cpu_seconds(seen, shared) if shared else None,
        services=services,
    )


def _service(seen: ObservedSeries, name: str, processes: set[str], *, alone: bool) -> MeasuredService | None:
    tasks = sum(map(seen.runs, processes))
    if tasks == 0:
        return None
    found = seen.values(table.LANES.name, "subscription", service=name)
    return MeasuredService(
        name=name,
        tasks=tasks,
        cpu_seconds=_cpu_seconds(seen, processes) if alone else None,
        commits=seen.increase(table.STORE_COMMITS.name, service=name),
        commit_seconds=seen.increase(table.STORE_COMMIT_SECONDS.name, service=name),
        reefs_isolated=seen.increase(table.BROKER_EVENTS.name, service=name, event="reef_isolated"),
        subscriptions=tuple(_subscription(seen, name, each) for each in found),
    )


def _subscription(seen: ObservedSeries, service: str, name: str) -> MeasuredSubscription:
    labels = {"service": service, "subscription": name}
    by_process: dict[str, float] = {}
    for outcome in DONE:
        for series in seen.named(table.MESSAGES_HANDLED.name, outcome=outcome, **labels):
            by_process[series.process] = by_process.get(series.process, 0.0) + seen.increase_of(series)
    handled = sum(by_process.values())
    waits = seen.now(table.MESSAGES_WAITING.name, **labels)
    # Every process asks the broker for the same number.
    waiting = max(waits) if waits else None
    grown = None if waiting is None else waiting - max(seen.earlier(table.MESSAGES_WAITING.name, **labels))
    count = seen.increase(f"{table.HANDLING_SECONDS.name}_count", **labels)
    taken = seen.increase(f"{table.HANDLING_SECONDS.name}_sum", **labels)
    return MeasuredSubscription(
        name=name,
        arrived_messages=None if grown is None else max(0.0, handled + grown),
        handled_messages=handled,
        mean_seconds=taken / count if count else 0.0,
        variation=variation(buckets(seen, f"{table.HANDLING_SECONDS.name}_bucket", **labels)),
        publish_seconds=seen.increase(f"{table.PUBLISH_SECONDS.name}_sum", **labels) / count if count else 0.0,
        lanes=max(1, round(sum(seen.now(table.LANES.name, **labels)))),
        waiting_messages=waiting,
        waiting_p99_seconds=quantile_bound(buckets(seen, f"{table.WAITING_SECONDS.name}_bucket", **labels), 0.99),
        reefs=max(1, round(sum(seen.now(table.REEFS_CACHED.name, **labels)))),
        busiest_task_share=max(by_process.values()) / handled if handled else None,
    )


def _cpu_seconds(seen: ObservedSeries, processes: Iterable[str]) -> float | None:
    series = [each for each in seen.named(CPU_SECONDS) if each.process in set(processes)]
    return sum(map(seen.increase_of, series)) if series else None


def buckets(seen: ObservedSeries, name: str, **labels: str) -> Buckets:
    """Return a histogram of all processes."""
    bounds = {float(each): each for each in seen.values(name, "le", **labels)}
    return [(bound, seen.increase(name, le=bounds[bound], **labels)) for bound in sorted(bounds)]


def variation(found: Buckets) -> float:
    """Return the squared coefficient of variation, with each bucket's values taken as spread evenly over it; 1 if it is empty.

    What lies beyond the last bound is taken to be as long as that.
    """
    count = first = second = below = lower = 0.0
    for bound, until in found:
        number, below = until - below, until
        upper = lower if math.isinf(bound) else bound
        count += number
        first += number * (lower + upper) / 2
        second += number * (lower * lower + lower * upper + upper * upper) / 3
        lower = upper
    return max(0.0, second * count / first**2 - 1) if first > 0 else 1.0


def quantile_bound(found: Buckets, share: float) -> float | None:
    """Return the upper bound of the bucket in which the quantile lies; None beyond the last bound, or if it is empty."""
    whole = found[-1][1] if found else 0.0
    for bound, until in found:
        if whole > 0 and until >= share * whole:
            return None if math.isinf(bound) else bound
    return None
