"""Which laws a history breaks. It looks at the history alone; an empty list says that nothing was found."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from reefmesh.contracts.channels import ALERTS
from reefmesh_faults.finding import Finding, Law, short
from reefmesh_faults.history import Effect, Heard, History, Outcome, Sent
from reefmesh_faults.log_checker import check_logs
from reefmesh_faults.losses import INGEST, Losses, check_consumed, check_gaps, losses_of

OUTCOMES: Final = frozenset({"accepted", "duplicate", "quarantined"})
FINDINGS_LIMIT: Final = 20
"""Told of one law; the rest is counted."""

CONTEXT_CHARACTERS: Final = 60


def check(history: History) -> list[Finding]:
    """Return every breach, at most ``FINDINGS_LIMIT`` of each law and one that says how many more there are."""
    return list(_bounded(_findings(history)))


def _findings(history: History) -> Iterator[Finding]:
    losses = losses_of(history.purged, history.effects)
    yield from _accounted(history, losses)
    yield from _readings_kept(history, losses)
    yield from _channels(history.heard)
    yield from _effects(history.effects, losses)
    yield from _handled(history, losses)
    yield from check_consumed(history, losses)
    yield from check_gaps(history, losses)
    yield from check_logs(history.log_stalls)
    yield from _alerts(history)
    yield from _ended(history)
    if history.expected is not None:
        yield from _same_channels(history.heard, history.expected)
        yield from _same_state(history.state, history.expected)


def _confirmed(history: History, losses: Losses) -> list[Sent]:
    """Return what was confirmed and not purged before ingest had it."""
    sent = (each for each in history.sent if each.confirmed_ns is not None)
    return [each for each in sent if (INGEST, each.event_id) not in losses.events]


def _accounted(history: History, losses: Losses) -> Iterator[Finding]:
    """Every confirmed message has exactly one receipt, of all its readings; every receipt is of a message that was sent."""
    sent = {each.event_id: each for each in history.sent}
    receipts = Counter(receipt.event_id for receipt in history.receipts)
    for message in _confirmed(history, losses):
        if receipts[message.event_id] == 0:
            yield Finding(law="nothing lost", where=message.event_id, what="was confirmed, and ingest has no receipt of it")
    for message in history.sent:
        if receipts[message.event_id] > 1:
            what = f"has {receipts[message.event_id]} receipts"
            yield Finding(law="nothing doubled", where=message.event_id, what=what)
    for receipt in history.receipts:
        of = sent.get(receipt.event_id)
        if of is None:
            yield Finding(law="nothing invented", where=receipt.event_id, what="has a receipt, and was never sent")
        elif receipt.reef_id != of.reef_id:
            what = f"was sent to {of.reef_id}, its receipt is of {receipt.reef_id}"
            yield Finding(law="nothing invented", where=receipt.event_id, what=what)
        elif receipt.outcome not in OUTCOMES:
            yield Finding(law="nothing lost", where=receipt.event_id, what=f"ended as {receipt.outcome!r}")
        elif receipt.readings != of.readings:
            law: Law = "nothing lost" if receipt.readings < of.readings else "nothing invented"
            what = f"had {of.readings} readings, {receipt.readings} are accounted for"
            yield Finding(law=law, where=receipt.event_id, what=what)


def _readings_kept(history: History, losses: Losses) -> Iterator[Finding]:
    """The readings on record are those that were sent: no other, and none missing."""
    if not history.stored and not history.receipts:
        return
    sent = {instant for message in history.sent for instant in message.instants}
    confirmed = {instant for message in _confirmed(history, losses) for instant in message.instants}
    for buoy, instant in sorted(confirmed - history.stored):
        yield Finding(law="nothing lost", where=f"{buoy} at {instant}", what="was confirmed, and is not on record")
    for buoy, instant in sorted(history.stored - sent):
        yield Finding(law="nothing invented", where=f"{buoy} at {instant}", what="is on record, and was never sent")


def _channels(heard: Sequence[Heard]) -> Iterator[Finding]:
    """Each reef's numbers on each channel are 1..n without a hole, first heard in that order; a repeat is the same message."""
    newest: dict[tuple[str, str], int] = defaultdict(int)
    known: dict[tuple[str, str, int], Heard] = {}
    for each in heard:
        where = f"{each.channel} of {each.reef_id}"
        if each.seq is None:
            yield Finding(law="in order", where=where, what=f"{each.event_id} has no number")
            continue
        key = (each.channel, each.reef_id, each.seq)
        before = known.setdefault(key, each)
        if before is not each:
            if (before.event_id, before.digest) != (each.event_id, each.digest):
                what = f"number {each.seq} is {before.event_id} and, otherwise, {each.event_id}"
                yield Finding(law="nothing doubled", where=where, what=what)
            continue
        last = newest[each.channel, each.reef_id]
        if each.seq != last + 1:
            yield Finding(law="in order", where=where, what=f"number {each.seq} came after {last}")
        newest[each.channel, each.reef_id] = max(last, each.seq)
    yield from _holes(known)
    yield from _names_given_twice(known.values())


def _holes(known: Iterable[tuple[str, str, int]]) -> Iterator[Finding]:
    numbers: dict[tuple[str, str], set[int]] = defaultdict(set)
    for channel, reef_id, seq in known:
        numbers[channel, reef_id].add(seq)
    for (channel, reef_id), there in numbers.items():
        if missing := sorted(set(range(1, max(there) + 1)) - there):
            yield Finding(law="nothing lost", where=f"{channel} of {reef_id}", what=f"numbers {short(missing)} never came")


def _names_given_twice(messages: Iterable[Heard]) -> Iterator[Finding]:
    """One event id is one message of its channel: the same one under two numbers has two effects downstream."""
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for each in messages:
        numbers[each.channel, each.event_id].append(each.seq or 0)
    for (channel, event_id), given in numbers.items():
        if len(given) > 1:
            yield Finding(law="nothing doubled", where=f"{channel} {event_id}", what=f"has the numbers {short(given)}")


def _effects(effects: Sequence[Effect], losses: Losses) -> Iterator[Finding]:
    """One effect a message; each begins after the one before it in its reef was handled; numbers rise by one, but for those
    that were purged."""
    seen: set[tuple[str, str]] = set()
    by_reef: dict[tuple[str, str], list[Effect]] = defaultdict(list)
    for effect in effects:
        key = (effect.service, effect.event_id)
        if key in seen:
            yield Finding(law="applied once", where=f"{effect.service} {effect.event_id}", what=f"again by {effect.process}")
        seen.add(key)
        by_reef[effect.service, effect.reef_id].append(effect)
    for (service, reef_id), of_reef in by_reef.items():
        where = f"{service} at {reef_id}"
        for before, after in pairwise(of_reef):
            if after.started_ns < before.ended_ns:
                what = (
                    f"{after.event_id} at {after.process} began {(before.ended_ns - after.started_ns) / 1e6:.1f} ms before"
                    f" {before.event_id} at {before.process} was handled"
                )
                yield Finding(law="no overlap", where=where, what=what)
        numbers = [effect.seq for effect in of_reef if effect.seq is not None]
        for earlier, later in pairwise([0, *numbers]):
            if later <= earlier or not losses.explain(service, reef_id, range(earlier + 1, later)):
                yield Finding(law="in order", where=where, what=f"number {later} was applied after {earlier}")


def _handled(history: History, losses: Losses) -> Iterator[Finding]:
    """Ingest applies a reef's telemetry in publishing order, every confirmed message of it, and nothing else."""
    places = {message.event_id: message for message in history.sent}
    of_ingest = [effect for effect in history.effects if effect.service == "ingest"]
    newest: dict[str, int] = defaultdict(int)
    for effect in of_ingest:
        message = places.get(effect.event_id)
        if message is None:
            yield Finding(law="nothing invented", where=f"ingest {effect.event_id}", what="was applied, and never sent")
            continue
        if message.number < newest[effect.reef_id]:
            what = f"{effect.event_id} was applied after number {newest[effect.reef_id]}"
            yield Finding(law="in order", where=f"ingest at {effect.reef_id}", what=what)
        newest[effect.reef_id] = max(newest[effect.reef_id], message.number)
    if of_ingest:
        applied = {effect.event_id for effect in of_ingest}
        for message in _confirmed(history, losses):
            if message.event_id not in applied:
                yield Finding(law="nothing lost", where=f"ingest {message.event_id}", what="was confirmed, and never applied")


def _alerts(history: History) -> Iterator[Finding]:
    """Each alert that was published is one row of the ledger, and the other way round; each subscription has one key for it,
    under which it was told at least once."""
    rows = Counter(history.ledger)
    published = {each.event_id for each in history.heard if each.channel == ALERTS.name}
    for alert_id, count in rows.items():
        if count > 1:
            yield Finding(law="one ledger row", where=f"alert {alert_id}", what=f"has {count} rows")
    alert_ids = {each.alert_id for each in history.heard if each.alert_id is not None}
    if len(alert_ids) != len(published):
        what = f"{len(published)} messages tell of {len(alert_ids)} alerts"
        yield Finding(law="nothing doubled", where=ALERTS.name, what=what)
    for alert_id in sorted(alert_ids - rows.keys()):
        yield Finding(law="one ledger row", where=f"alert {alert_id}", what="was published, and is not in the ledger")
    for alert_id in sorted(rows.keys() - alert_ids):
        yield Finding(law="nothing lost", where=f"alert {alert_id}", what="is in the ledger, and was never published")
    yield from _deliveries(history)


def _deliveries(history: History) -> Iterator[Finding]:
    rows = set(history.ledger)
    keys: dict[tuple[str, str], set[str]] = defaultdict(set)
    told: dict[str, set[str]] = defaultdict(set)
    for request in history.told:
        for alert_id in request.alert_ids:
            told[alert_id].add(request.idempotency_key)
    for delivery in history.deliveries:
        keys[delivery.alert_id, delivery.subscription].add(delivery.idempotency_key)
        if delivery.alert_id not in rows:
            what = "is to be delivered, and is not in the ledger"
            yield Finding(law="nothing invented", where=f"alert {delivery.alert_id}", what=what)
        elif delivery.idempotency_key not in told[delivery.alert_id]:
            what = f"was never told to {delivery.subscription} (its row says {delivery.status})"
            yield Finding(law="nothing lost", where=f"alert {delivery.alert_id}", what=what)
    for (alert_id, subscription), given in keys.items():
        if len(given) > 1:
            what = f"has {len(given)} idempotency keys for {subscription}"
            yield Finding(law="one ledger row", where=f"alert {alert_id}", what=what)
    known = {delivery.idempotency_key for delivery in history.deliveries}
    for alert_id, under in sorted(told.items()):
        if strange := sorted(under - known):
            what = f"was told under {short(strange)}, which no row has"
            yield Finding(law="nothing invented", where=f"alert {alert_id}", what=what)


def _ended(history: History) -> Iterator[Finding]:
    for what in history.parked:
        yield Finding(law="no poison", where="parking", what=what)
    for what in history.ended_badly:
        yield Finding(law="no bug", where="process", what=what)
    for what in history.unsettled:
        yield Finding(law="settles", where="end of the run", what=what)


def _same_channels(heard: Sequence[Heard], expected: Outcome) -> Iterator[Finding]:
    """Every channel holds what an undisturbed mesh makes of the same telemetry: the same messages under the same numbers."""
    came: dict[str, dict[str, dict[int, tuple[str, str]]]] = defaultdict(lambda: defaultdict(dict))
    for each in heard:
        came[each.channel][each.reef_id].setdefault(each.seq or 0, (each.event_id, each.digest))
    for channel, reefs in expected.channels.items():
        for reef_id in sorted(reefs.keys() | came[channel].keys()):
            wanted = {seq: (event_id, digest) for seq, event_id, digest in reefs.get(reef_id, ())}
            there = came[channel].get(reef_id, {})
            where = f"{channel} of {reef_id}"
            if lost := sorted(wanted.keys() - there.keys()):
                yield Finding(law="nothing lost", where=where, what=f"numbers {short(lost)} never came")
            if strange := sorted(there.keys() - wanted.keys()):
                yield Finding(law="nothing invented", where=where, what=f"numbers {short(strange)} should not be")
            if other := sorted(seq for seq in wanted.keys() & there.keys() if wanted[seq] != there[seq]):
                what = f"numbers {short(other)} differ from an undisturbed run"
                yield Finding(law="applied once", where=where, what=what)


def _same_state(state: Mapping[tuple[str, str, str], str], expected: Outcome) -> Iterator[Finding]:
    """The databases hold what an undisturbed mesh makes of the same telemetry."""
    for key in sorted(expected.state.keys() | state.keys()):
        where = " ".join(key)
        if key not in state:
            yield Finding(law="nothing lost", where=where, what="is missing")
        elif key not in expected.state:
            yield Finding(law="nothing invented", where=where, what="should not be")
        elif state[key] != expected.state[key]:
            what = f"differs from an undisturbed run: {_first_difference(state[key], expected.state[key])}"
            yield Finding(law="applied once", where=where, what=what)


def _bounded(findings: Iterable[Finding]) -> Iterator[Finding]:
    told: Counter[Law] = Counter()
    for finding in findings:
        told[finding.law] += 1
        if told[finding.law] <= FINDINGS_LIMIT:
            yield finding
    for law, count in told.items():
        if count > FINDINGS_LIMIT:
            yield Finding(law=law, where="and more", what=f"{count - FINDINGS_LIMIT} further findings")


def _first_difference(one: str, other: str) -> str:
    """Return where two texts begin to differ, with a little of each."""
    at = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    begin = max(0, at - CONTEXT_CHARACTERS)
    return f"...{one[begin : at + CONTEXT_CHARACTERS]}... instead of ...{other[begin : at + CONTEXT_CHARACTERS]}..."
