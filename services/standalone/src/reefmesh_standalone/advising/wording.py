"""Advice in plain words: who does what, what to change by how much, and the numbers behind it."""

from collections.abc import Iterator
from typing import Final

from reefmesh_standalone.advising.advice import CPU_SHARE_AIM, Advice, Bound, ServiceAdvice, SubscriptionAdvice
from reefmesh_standalone.advising.measurement import MESSAGES_LEAST, MeasuredService, MeshMeasurement

BOUNDS: Final[dict[Bound, str]] = {
    "reef": "One reef alone keeps a lane busy, and a reef's messages are handled one at a time: neither tasks nor lanes help. "
    "Let its buoys send fewer and larger messages, or split the reef in two.",
    "cpu": "CPU is the bound: the process uses its core most of the time, so more lanes in it do not help; more tasks do.",
    "database": "The database is the bound: a transaction is under way nearly all the time. A faster disk or a nearer database "
    "helps; more tasks help only if each has room in the same database.",
    "broker": "The broker is the bound: lanes wait for its confirmation most of their time. More lanes share its round trips; "
    "beyond that a faster disk of the broker, or a second broker, helps.",
    "reefs": "Reefs are the bound: there are fewer of them than lanes, and a lane without a reef has nothing to do. "
    "More tasks or lanes do not help; shorter handling does.",
    "lanes": "Lanes are the bound: nearly all have a message in hand. REEFMESH_LANES gives each task more of them; "
    "another task brings its own.",
    "nothing": "Nothing is short.",
    "unknown": f"Fewer than {MESSAGES_LEAST} messages came by, which say nothing.",
}
UNEVEN: Final = 1.5
"""A task that handles so many times its even share is told of."""
FALLS_BEHIND: Final = 0.95


def sentences(advice: Advice, measured: MeshMeasurement) -> Iterator[str]:
    """Yield the lines, an empty one between services."""
    if advice.shared_cpu_share is not None:
        yield (
            f"One process runs several services and uses {advice.shared_cpu_share:.0%} of a core; it cannot be given a second "
            "task, so with more load run each service as a process of its own, on a broker."
        )
        yield ""
    for service, numbers in zip(advice.services, measured.services, strict=True):
        yield from _service(service, numbers, advice.latency_seconds)
        yield ""
    yield (
        "What the model assumes, and by how much it errs, stands in docs/scaling.md. No metric tells the hottest reef's share "
        "or how bursty the input is: without --hottest-share and --burstiness, reefs send alike and at random instants."
    )


def _service(advice: ServiceAdvice, measured: MeasuredService, latency_seconds: float) -> Iterator[str]:
    said = [each for each in advice.subscriptions if each.enough]
    yield f"{advice.name}: {_counted(advice.tasks, 'task')}. {_what_to_do(advice, bool(said))}"
    if said:
        yield f"  {BOUNDS[advice.bound]}"
    for each in advice.subscriptions:
        yield from (f"  {line}" for line in _subscription(each, advice, latency_seconds))
    if advice.cpu_share is not None:
        needed = _counted(advice.cpu_tasks_needed or 1, "task")
        yield f"  A task uses {advice.cpu_share:.0%} of a core; {needed} would use {CPU_SHARE_AIM:.0%} at most."
    for one in measured.subscriptions:
        share = one.busiest_task_share
        if share is not None and measured.tasks > 1 and share * measured.tasks > UNEVEN:
            yield f"  One task handles {share:.0%} of {one.name}: its reefs or shards are the busy ones, others have room."
    if measured.reefs_isolated:
        times = f"{measured.reefs_isolated:,.0f} times"
        yield f"  A stuck or hot reef got a subscription of its own {times}: look for it in the log."
    if said and advice.tasks > 1:
        yield f"  {_one_less(advice, latency_seconds)}"


def _what_to_do(advice: ServiceAdvice, said: bool) -> str:
    if not said:
        return BOUNDS["unknown"]
    if advice.tasks_advised is None:
        return "No number of tasks keeps the wanted latency."
    more = advice.tasks_advised - advice.tasks
    if more > 0:
        return f"Run {advice.tasks_advised}, {more} more."
    return "Keep them." if more == 0 else f"{advice.tasks_advised} would do."


def _subscription(each: SubscriptionAdvice, service: ServiceAdvice, latency_seconds: float) -> Iterator[str]:
    if not each.enough:
        yield f"{each.name}: {_rate(each.processed_per_second)} handled; too few to say anything."
        return
    come, handled, most = map(_rate, (each.input_per_second, each.processed_per_second, each.capacity_per_second))
    took = f"{_seconds(each.mean_seconds)} each, so {each.concurrency:.1f} in hand at once"
    yield f"{each.name}: {come} come in, {handled} are handled, about {most} could be; {took}."
    lanes, reefs = _counted(each.lanes, "lane"), _counted(each.reefs, "reef")
    yield f"p99 {_reached(each.p99_seconds)} with {lanes} for {reefs}; {_lanes(each, service, latency_seconds)}."
    if each.useful_lanes < each.lanes:
        yield f"{_counted(each.lanes - each.useful_lanes, 'lane')} can never have a message: there are only {reefs}."
    if each.backlog_messages:
        seconds = each.backlog_gone_in_seconds
        gone = "they never get fewer" if seconds is None else f"at this input it takes {_seconds(seconds)} to work them off"
        yield f"{each.backlog_messages:,.0f} messages wait; {gone}."
    if each.bound == "nothing" and each.processed_per_second < FALLS_BEHIND * each.input_per_second:
        yield "Fewer are handled than come in, although there is room: what holds them up is nothing that is measured here."


def _lanes(each: SubscriptionAdvice, service: ServiceAdvice, latency_seconds: float) -> str:
    wanted = f"{_seconds(latency_seconds)} need"
    if each.lanes_needed is None:
        return f"no number of lanes reaches {_seconds(latency_seconds)}: a single message, or one reef's, takes longer"
    ways = [f"{_counted(each.lanes_needed, 'lane')} in all"]
    if each.tasks_needed is not None and each.task_lanes_needed is not None and each.lanes_needed > each.lanes:
        ways.append(
            f"{_counted(each.tasks_needed, 'task')} as they are, or {each.task_lanes_needed} lanes in each of {service.tasks}"
        )
    return f"{wanted} {': '.join(ways)}"


def _one_less(advice: ServiceAdvice, latency_seconds: float) -> str:
    said = [each for each in advice.subscriptions if each.enough]
    slow = [each for each in said if each.p99_one_task_less_seconds is None or each.p99_one_task_less_seconds > latency_seconds]
    fewer = _counted(advice.tasks - 1, "task")
    cpu = advice.cpu_share_one_task_less
    if cpu is not None and cpu > 1:
        return f"With {fewer} CPU would not be enough ({cpu:.0%} of a core each)."
    told = "" if cpu is None else f", at {cpu:.0%} of a core each"
    if slow:
        return f"With {fewer} {slow[0].name} would have p99 {_reached(slow[0].p99_one_task_less_seconds)}{told}."
    return f"With {fewer} the latency would still hold{told}."


def _reached(seconds: float | None) -> str:
    return "without end, for the work piles up" if seconds is None else f"about {_seconds(seconds)}"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.2g}/s"


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
