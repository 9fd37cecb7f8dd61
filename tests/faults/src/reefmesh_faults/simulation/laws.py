"""The laws, judged by the history of a schedule and by what the databases hold once everything is at rest."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reefmesh_faults.simulation.history import (
    Confirmed,
    Event,
    FaultInjected,
    HandlingBegan,
    MessageReturned,
    ProcessEnded,
    Queued,
    Sent,
    Told,
    UnitWritten,
)
from reefmesh_faults.simulation.reference import Content, Reference
from reefmesh_faults.simulation.service import NEXT, SUBSCRIPTIONS

ORDER: Final = "1 order"
NOTHING_LOST: Final = "3 nothing lost"
EFFECT_ONCE: Final = "4 effect once"
NO_ZOMBIES: Final = "5 no zombies"
DRAIN: Final = "6 drain"
NOTHING_INVENTED: Final = "nothing appears that was not sent"
NO_FAULT_OF_OURS: Final = "no process ends by a fault of its own"

HARMLESS_ENDS: Final = ("clean", "unavailable")
LEDGER_ROWS: Final = "SELECT alert_id, idempotency_key, status FROM deliveries ORDER BY 1, 2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    law: str
    detail: str

    def __str__(self) -> str:
        return f"{self.law}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRest:
    """What is left when nothing moves any more. ``unsettled``: what still waits, in words; empty when all is done."""

    content: Content
    deliveries: Sequence[tuple[Any, ...]]
    unsettled: Sequence[str]
    faults: Sequence[str]


def judge(history: Sequence[Event], reference: Reference, at_rest: AtRest) -> list[Violation]:
    """Return every law that was broken, worst first as far as one can tell."""
    kinds = _Sorted(history)
    return [
        *_order(kinds),
        *_effect_once(kinds),
        *_no_zombies(kinds),
        *_drain(history),
        *_nothing_lost(kinds, at_rest),
        *_nothing_invented(kinds),
        *_alerts(kinds, at_rest),
        *_content(kinds, reference, at_rest),
        *_no_fault_of_ours(history, at_rest),
    ]


class _Sorted:
    """The history by kind of event."""

    def __init__(self, history: Iterable[Event]) -> None:
        self.sent: dict[str, str] = {}
        self.confirmed: dict[str, str] = {}
        self.places: dict[str, dict[str, int]] = defaultdict(dict)
        self.units: list[UnitWritten] = []
        self.told: list[Told] = []
        self.handling: list[HandlingBegan | UnitWritten] = []
        for event in history:
            match event:
                case Sent():
                    self.sent[event.event_id] = event.reef_id
                case Confirmed():
                    self.confirmed[event.event_id] = event.reef_id
                case Queued():
                    self.places[event.queue].setdefault(event.event_id, event.place)
                case UnitWritten():
                    self.units.append(event)
                    self.handling.append(event)
                case HandlingBegan():
                    self.handling.append(event)
                case Told():
                    self.told.append(event)


def queue_name(service: str) -> str:
    """The queue that a service works off."""
    subscription = SUBSCRIPTIONS[service]
    return f"Consumer.{subscription.service}.VirtualTopic.{subscription.channel}"


def next_queue_name(service: str) -> str:
    """The queue that a service's main output goes to."""
    subscription = NEXT[service]
    return f"Consumer.{subscription.service}.VirtualTopic.{subscription.channel}"


def _order(kinds: _Sorted) -> Iterator[Violation]:
    """Handling begins only when everything before it in its reef is done, and effects come in publishing order."""
    queue_of = {str(subscription): queue_name(service) for service, subscription in SUBSCRIPTIONS.items()}
    waiting: dict[tuple[str, str], list[tuple[int, str]]] = {}
    done: set[tuple[str, str]] = set()
    newest: dict[tuple[str, str], int] = {}
    reef_of: dict[tuple[str, str], str] = {}
    for each in kinds.handling:
        reef_of[each.inbox, each.event_id] = each.reef_id
    for inbox, name in queue_of.items():
        for event_id, place in kinds.places[name].items():
            reef_id = reef_of.get((inbox, event_id))
            if reef_id is not None:
                waiting.setdefault((inbox, reef_id), []).append((place, event_id))
    for lined_up in waiting.values():
        lined_up.sort(reverse=True)
    for each in kinds.handling:
        if each.inbox not in queue_of:
            continue
        if each.event_id not in kinds.places[queue_of[each.inbox]]:
            continue  # invented: another law's matter
        place = kinds.places[queue_of[each.inbox]][each.event_id]
        key = (each.inbox, each.reef_id)
        if isinstance(each, UnitWritten):
            if place < newest.get(key, 0) and (each.inbox, each.event_id) not in done:
                yield Violation(law=ORDER, detail=f"{each.process} applied {each.event_id} of {each.reef_id} after a later one")
            newest[key] = max(newest.get(key, 0), place)
            done.add((each.inbox, each.event_id))
            continue
        lined_up = waiting[key]
        while lined_up and (each.inbox, lined_up[-1][1]) in done:
            lined_up.pop()
        if lined_up and lined_up[-1][0] < place:
            detail = f"{each.process} began {each.event_id} of {each.reef_id} before {lined_up[-1][1]} was done"
            yield Violation(law=ORDER, detail=detail)


def _effect_once(kinds: _Sorted) -> Iterator[Violation]:
    written = Counter((unit.service, unit.inbox, unit.event_id) for unit in kinds.units)
    for (service, inbox, event_id), times in written.items():
        if times > 1:
            yield Violation(law=EFFECT_ONCE, detail=f"{service} wrote {event_id} of {inbox} {times} times")
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for unit in kinds.units:
        for output in unit.outputs:
            channel, seq, _ = output.split(":", 2)
            if seq != "None":
                numbers[channel, unit.reef_id].append(int(seq))
    for (channel, reef_id), given in numbers.items():
        if given != list(range(1, len(given) + 1)):
            yield Violation(law=EFFECT_ONCE, detail=f"numbers of {reef_id} on {channel} are {given}")


def _no_zombies(kinds: _Sorted) -> Iterator[Violation]:
    for unit in kinds.units:
        if unit.based_on != unit.found:
            detail = f"{unit.process} wrote {unit.event_id} of {unit.reef_id} from version {unit.based_on} over {unit.found}"
            yield Violation(law=NO_ZOMBIES, detail=detail)


def _drain(history: Sequence[Event]) -> Iterator[Violation]:
    """Whoever was left in peace gives nothing back to the broker that it has applied. A message that was sent twice is in the
    queue twice: what was applied is the first of them, and the other may be given back before anybody looked at it. What only
    moves from one of its subscriptions to another stays in its hands. And an acknowledgement covers everything before it: of a
    subscription that ends with an open message, what was applied behind that one comes again, and may go back before anybody
    looked at it."""
    harmed: set[str] = set()  # processes, or services whose store failed
    all_harmed = False
    applied: set[tuple[str, str]] = set()
    first_places: dict[tuple[str, str], int] = {}
    with_open: set[int] = set()  # subscriptions that ended with an open message
    for event in history:
        if isinstance(event, MessageReturned):
            if event.subscriber in with_open:
                applied.discard((event.process, event.event_id))
            if (event.process, event.event_id) not in applied:
                with_open.add(event.subscriber)
        match event:
            case Queued():
                first_places.setdefault((event.queue, event.event_id), event.place)
            case FaultInjected(process=""):
                all_harmed = True
            case FaultInjected(process=process, kind=kind) if kind != "SIGTERM":
                harmed.add(process)
            case UnitWritten():
                applied.add((event.process, event.event_id))
            case MessageReturned(how="move", subscriber=subscriber):
                with_open.add(subscriber)
            case MessageReturned() if not all_harmed and not harmed & {event.process, event.process.rpartition("-")[0]}:
                is_first = first_places.get((event.queue, event.event_id), event.place) == event.place
                if is_first and (event.process, event.event_id) in applied:
                    detail = f"{event.process} gave {event.event_id} back by {event.how}, applied and not acknowledged"
                    yield Violation(law=DRAIN, detail=detail)
            case ProcessEnded(how="time-out"):
                yield Violation(law=DRAIN, detail=f"{event.process} did not drain within its time-out")


def _nothing_lost(kinds: _Sorted, at_rest: AtRest) -> Iterator[Violation]:
    for what in at_rest.unsettled:
        yield Violation(law=NOTHING_LOST, detail=f"never at rest: {what}")
    receipts = {row[0] for row in at_rest.content["ingest"][1]}
    for event_id, reef_id in kinds.confirmed.items():
        if event_id not in receipts:
            yield Violation(law=NOTHING_LOST, detail=f"telemetry {event_id} of {reef_id} was confirmed and has no receipt")
    for unit in kinds.units:
        if unit.inbox.endswith("#parked"):
            yield Violation(law=NOTHING_LOST, detail=f"{unit.process} parked {unit.event_id} of {unit.reef_id}")
        arrived = kinds.places[next_queue_name(unit.service)]
        for output in unit.outputs:
            channel, _, event_id = output.split(":", 2)
            if channel == NEXT[unit.service].channel.name and event_id not in arrived:
                detail = f"{channel} {event_id} of {unit.reef_id} was decided by {unit.process} and never published"
                yield Violation(law=NOTHING_LOST, detail=detail)


def _nothing_invented(kinds: _Sorted) -> Iterator[Violation]:
    decided = {output.split(":", 2)[2] for unit in kinds.units for output in unit.outputs}
    for unit in kinds.units:
        if unit.service == "ingest" and unit.event_id not in kinds.sent:
            yield Violation(law=NOTHING_INVENTED, detail=f"ingest applied {unit.event_id}, which nobody sent")
    for service in NEXT:
        for event_id in kinds.places[next_queue_name(service)]:
            if event_id not in decided:
                yield Violation(law=NOTHING_INVENTED, detail=f"{service} published {event_id}, which no unit decided")


def _alerts(kinds: _Sorted, at_rest: AtRest) -> Iterator[Violation]:
    """A ledger row an alert, a key an alert, and everybody told under it."""
    keys: dict[str, set[str]] = defaultdict(set)
    for told in kinds.told:
        for alert_id in told.alert_ids:
            keys[alert_id].add(told.idempotency_key)
    rows: dict[str, set[str]] = defaultdict(set)
    for alert_id, key, status in at_rest.deliveries:
        rows[alert_id].add(key)
        if status != "sent":
            yield Violation(law=NOTHING_LOST, detail=f"alert {alert_id} was not told: {status}")
    for alert_id in sorted(keys.keys() | rows.keys()):
        if len(rows[alert_id]) != 1 or keys[alert_id] != rows[alert_id]:
            detail = f"alert {alert_id} has ledger keys {sorted(rows[alert_id])} and was told under {sorted(keys[alert_id])}"
            yield Violation(law=EFFECT_ONCE, detail=detail)


def _content(kinds: _Sorted, reference: Reference, at_rest: AtRest) -> Iterator[Violation]:
    """What the databases hold is what the handlers alone make of the same telemetry."""
    for service, tables in reference.content.items():
        for number, expected in enumerate(tables):
            actual = at_rest.content[service][number]
            if actual != expected:
                yield Violation(law=EFFECT_ONCE, detail=_difference(service, number, expected, actual))
    outcomes = {row[0]: row[5] for row in at_rest.content["ingest"][1]}
    for event_id in kinds.confirmed:
        if event_id in outcomes and outcomes[event_id] != reference.outcomes.get(event_id):
            detail = f"{event_id} ended as {outcomes[event_id]}, not {reference.outcomes.get(event_id)}"
            yield Violation(law=EFFECT_ONCE, detail=detail)


def _difference(service: str, number: int, expected: Sequence[Any], actual: Sequence[Any]) -> str:
    lacking = [row for row in expected if row not in actual]
    surplus = [row for row in actual if row not in expected]
    name = CONTENT_NAMES[service][number]
    return f"{service}'s {name}: {len(lacking)} rows lack, {len(surplus)} are too many: {lacking[:1]} {surplus[:1]}"[:600]


CONTENT_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "ingest": ("readings", "receipts", "quarantine"),
    "scoring": ("samples", "day totals", "days", "scores"),
    "alerts": ("ledger", "episodes", "deliveries", "deadlines"),
}


def _no_fault_of_ours(history: Sequence[Event], at_rest: AtRest) -> Iterator[Violation]:
    for fault in at_rest.faults:
        yield Violation(law=NO_FAULT_OF_OURS, detail=fault)
    for event in history:
        if isinstance(event, ProcessEnded) and not event.how.startswith((*HARMLESS_ENDS, "time-out")):
            yield Violation(law=NO_FAULT_OF_OURS, detail=f"{event.process} ended by {event.how}")
