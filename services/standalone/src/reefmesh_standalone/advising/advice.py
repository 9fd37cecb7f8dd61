"""What a measurement means: what bounds each service, and how many tasks and lanes it needs."""

from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

from reefmesh_standalone.advising.load import LANES_LIMIT, TASKS_LIMIT
from reefmesh_standalone.advising.measurement import MeasuredService, MeasuredSubscription, MeshMeasurement

Bound = Literal["reef", "cpu", "database", "broker", "reefs", "lanes", "nothing", "unknown"]

BUSY_SHARE: Final = 0.8
"""What is in use for more of the time is called the bound: an M/M/1 queue is then five times as long as its service."""
CPU_SHARE_AIM: Final = 0.7
"""Of a core, for each task: the rest is for bursts, a deployment, and garbage collection."""
HOT: Final = 1.5
"""A reef that sends so many times its even share is called hot."""
BROKER_SHARE: Final = 0.5
"""Of the time in a lane: with more of it the lanes wait for the broker most of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionAdvice:
    """Rates in messages a second. ``lanes`` and ``lanes_needed`` are those of all tasks together.

    ``p99_seconds``: from production to acknowledgement, as the model has it; None: the work piles up without end.
    ``lanes_needed``, ``tasks_needed`` (with the lanes that a task has now) and ``task_lanes_needed`` (with the tasks that run
    now) keep the wanted p99; None: no number does. ``backlog_gone_in_seconds``: 0 without a backlog, None: never, or unknown.
    """

    name: str
    enough: bool
    input_per_second: float
    processed_per_second: float
    capacity_per_second: float
    mean_seconds: float
    concurrency: float
    lanes: int
    useful_lanes: int
    reefs: int
    hottest_utilisation: float
    p99_seconds: float | None
    p99_one_task_less_seconds: float | None
    lanes_needed: int | None
    tasks_needed: int | None
    task_lanes_needed: int | None
    backlog_messages: float | None
    backlog_gone_in_seconds: float | None
    bound: Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAdvice:
    """``cpu_share``: of one core, a task (1: all of it); ``cpu_tasks_needed``: so that it is at most ``CPU_SHARE_AIM`` at the
    present input. Both None where the process runs other services too. ``tasks_advised``: for CPU and for every subscription;
    None: no number of tasks keeps the wanted latency. ``database_share``: of the time a transaction is under way, a task."""

    name: str
    tasks: int
    cpu_share: float | None
    cpu_share_one_task_less: float | None
    cpu_tasks_needed: int | None
    database_share: float
    tasks_advised: int | None
    bound: Bound
    subscriptions: tuple[SubscriptionAdvice, ...]

    @property
    def change_needed(self) -> bool:
        """Whether what runs is too little for the wanted latency."""
        return any(each.enough for each in self.subscriptions) and (
            self.tasks_advised is None or self.tasks_advised > self.tasks
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """``shared_cpu_share``: of one core, of the process that runs several services; None where there is none."""

    latency_seconds: float
    shared_cpu_share: float | None
    services: tuple[ServiceAdvice, ...]

    @property
    def change_needed(self) -> bool:
        shared = self.shared_cpu_share is not None and self.shared_cpu_share > BUSY_SHARE
        return shared or any(each.change_needed for each in self.services)


def advise(measured: MeshMeasurement, *, latency_seconds: float) -> Advice:
    """Return what keeps p99 of each subscription, from production to acknowledgement, at ``latency_seconds``."""
    shared = None if measured.shared_cpu_seconds is None else measured.shared_cpu_seconds / measured.seconds
    services = tuple(_service(each, measured.seconds, latency_seconds, shared) for each in measured.services)
    return Advice(latency_seconds=latency_seconds, shared_cpu_share=shared, services=services)


def _service(measured: MeasuredService, seconds: float, latency_seconds: float, shared: float | None) -> ServiceAdvice:
    said = [each for each in measured.subscriptions if each.enough]
    cores = None if measured.cpu_seconds is None or not said else measured.cpu_seconds / seconds
    # CPU is needed for what comes in, and was used for what was handled.
    handled = sum(each.handled_messages for each in said) / seconds
    growth = max(1.0, sum(each.input_per_second(seconds) for each in said) / handled) if handled else 1.0
    cpu_share = None if cores is None else cores / measured.tasks
    cpu_tasks = None if cores is None else max(1, ceil(cores * growth / CPU_SHARE_AIM))
    database_share = measured.commit_seconds / seconds / measured.tasks
    process_share = cpu_share if cpu_share is not None else (shared or 0.0) if measured.cpu_seconds is None else 0.0
    process_bound: Bound = "cpu" if process_share >= BUSY_SHARE else "database" if database_share >= BUSY_SHARE else "nothing"
    cpu_capacity = None if cores is None or not cores or not handled else handled * measured.tasks / cores
    subscriptions = tuple(
        _subscription(
            each, seconds, latency_seconds, tasks=measured.tasks, process_bound=process_bound, cpu_capacity=cpu_capacity
        )
        for each in measured.subscriptions
    )
    needed = [each.tasks_needed for each in subscriptions if each.enough]
    wanted = [*(each for each in needed if each is not None), cpu_tasks or 1]
    bounds = [each.bound for each in subscriptions if each.enough]
    return ServiceAdvice(
        name=measured.name,
        tasks=measured.tasks,
        cpu_share=cpu_share,
        cpu_share_one_task_less=None if cores is None or measured.tasks < 2 else cores * growth / (measured.tasks - 1),
        cpu_tasks_needed=cpu_tasks,
        database_share=database_share,
        tasks_advised=None if None in needed else max(wanted),
        bound=next((each for each in bounds if each != "nothing"), "nothing" if bounds else "unknown"),
        subscriptions=subscriptions,
    )


def _subscription(
    measured: MeasuredSubscription,
    seconds: float,
    latency_seconds: float,
    *,
    tasks: int,
    process_bound: Bound,
    cpu_capacity: float | None,
) -> SubscriptionAdvice:
    rate = measured.input_per_second(seconds)
    backlog = measured.waiting_messages
    if not measured.enough:
        return SubscriptionAdvice(
            name=measured.name,
            enough=False,
            input_per_second=rate,
            processed_per_second=measured.handled_messages / seconds,
            capacity_per_second=0.0,
            mean_seconds=measured.mean_seconds,
            concurrency=rate * measured.mean_seconds,
            lanes=measured.lanes,
            useful_lanes=min(measured.lanes, measured.reefs),
            reefs=measured.reefs,
            hottest_utilisation=0.0,
            p99_seconds=None,
            p99_one_task_less_seconds=None,
            lanes_needed=None,
            tasks_needed=None,
            task_lanes_needed=None,
            backlog_messages=backlog,
            backlog_gone_in_seconds=None,
            bound="unknown",
        )
    load = measured.load(seconds)
    a_task = max(1, measured.lanes // tasks)
    needed = load.lanes_for(latency_seconds)
    by_lanes = load.capacity_per_second(measured.lanes)
    capacity = by_lanes if cpu_capacity is None else min(by_lanes, cpu_capacity)
    tasks_needed = None if needed is None else ceil(needed / a_task)
    task_lanes = None if needed is None else ceil(needed / tasks)
    return SubscriptionAdvice(
        name=measured.name,
        enough=True,
        input_per_second=rate,
        processed_per_second=measured.handled_messages / seconds,
        capacity_per_second=capacity,
        mean_seconds=measured.mean_seconds,
        concurrency=load.concurrency,
        lanes=measured.lanes,
        useful_lanes=load.useful_lanes(measured.lanes),
        reefs=measured.reefs,
        hottest_utilisation=load.hottest_utilisation,
        p99_seconds=load.p99_seconds(measured.lanes),
        p99_one_task_less_seconds=load.p99_seconds(a_task * (tasks - 1)) if tasks > 1 else None,
        lanes_needed=needed,
        tasks_needed=None if tasks_needed is None or tasks_needed > TASKS_LIMIT else tasks_needed,
        task_lanes_needed=None if task_lanes is None or task_lanes > LANES_LIMIT else task_lanes,
        backlog_messages=backlog,
        backlog_gone_in_seconds=_gone_in(backlog, capacity - rate),
        bound=_bound(measured, seconds, process_bound),
    )


def _bound(measured: MeasuredSubscription, seconds: float, process_bound: Bound) -> Bound:
    """Return what is in use most of the time, the first of those that would not get better by what comes after it."""
    load = measured.load(seconds)
    if load.hottest_utilisation >= BUSY_SHARE and load.hottest >= HOT * (1 / load.reefs):
        return "reef"
    if process_bound != "nothing":
        return process_bound
    if load.concurrency < BUSY_SHARE * load.useful_lanes(measured.lanes):
        return "nothing"
    if measured.publish_seconds >= BROKER_SHARE * measured.mean_seconds:
        return "broker"
    return "reefs" if measured.reefs < measured.lanes else "lanes"


def _gone_in(backlog: float | None, spare_per_second: float) -> float | None:
    if backlog == 0:
        return 0.0
    return None if backlog is None or spare_per_second <= 0 else backlog / spare_per_second
