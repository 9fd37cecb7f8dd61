"""What an operator's purges took from the mesh, and whether the mesh noticed exactly that.

A message that was purged and had no effect is lost, and nobody may expect its effect. One that was purged after it had its
effect, or came to its service all the same, is lost to nobody.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from reefmesh.contracts.channels import READINGS, SCORES
from reefmesh_faults.finding import Finding, short
from reefmesh_faults.history import Effect, History, Purged

INGEST: Final = "ingest"
_CONSUMED_BY: Final = ((READINGS.name, "scoring"), (SCORES.name, "alerts"))
FIRST_UNNOTICED: Final = 16
"""Holes before the first message of a reef may count as from before the subscription, when they are longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """``events``: (service, event id) of what was purged without an effect; ``numbers``: of these by (service, reef)."""

    events: Set[tuple[str, str]] = frozenset()
    numbers: Mapping[tuple[str, str], Set[int]] = field(default_factory=dict)

    def explain(self, service: str, reef_id: str, missing: range) -> bool:
        """Return whether all these numbers of a reef were purged before the service had them."""
        return self.numbers.get((service, reef_id), frozenset()) >= set(missing)


def losses_of(purged: Sequence[Purged], effects: Sequence[Effect]) -> Losses:
    applied = {(effect.service, effect.event_id) for effect in effects}
    lost = [each for each in purged if (each.service, each.event_id) not in applied]
    numbers: dict[tuple[str, str], set[int]] = defaultdict(set)
    for each in lost:
        if each.seq is not None:
            numbers[each.service, each.reef_id].add(each.seq)
    return Losses(events={(each.service, each.event_id) for each in lost}, numbers=numbers)


def check_consumed(history: History, losses: Losses) -> Iterator[Finding]:
    """Each service applied every number that was published to it, but for those that were purged."""
    for channel, service in _CONSUMED_BY:
        applied: dict[str, set[int]] = defaultdict(set)
        for effect in history.effects:
            if effect.service == service and effect.seq is not None:
                applied[effect.reef_id].add(effect.seq)
        if not applied:
            continue
        published: dict[str, set[int]] = defaultdict(set)
        for each in history.heard:
            if each.channel == channel and each.seq is not None:
                published[each.reef_id].add(each.seq)
        for reef_id, numbers in published.items():
            if missing := sorted(numbers - applied[reef_id] - losses.numbers.get((service, reef_id), frozenset())):
                what = f"numbers {short(missing)} were published, and never applied"
                yield Finding(law="nothing lost", where=f"{service} at {reef_id}", what=what)


def check_gaps(history: History, losses: Losses) -> Iterator[Finding]:
    """A service counts each message that it goes on without, and no other; one that is killed loses what it counted last."""
    for service, (least, most) in _gaps_in(history, losses).items():
        counted = (history.gaps_counted or {})[service]
        if counted > most or (history.counts_are_whole and counted < least):
            what = f"{counted} missing messages were counted, {most} were missing"
            yield Finding(law="gaps counted", where=service, what=what)


def _gaps_in(history: History, losses: Losses) -> dict[str, tuple[int, int]]:
    """Return by service how many missing messages it is to have counted, at least and at most: the holes before messages that
    it applied."""
    return {
        service: _holes_in_telemetry(history, losses) if service == INGEST else _holes_in_numbers(history.effects, service)
        for service in history.gaps_counted or ()
    }


def _holes_in_numbers(effects: Sequence[Effect], service: str) -> tuple[int, int]:
    numbers: dict[str, list[int]] = defaultdict(list)
    for effect in effects:
        if effect.service == service and effect.seq is not None:
            numbers[effect.reef_id].append(effect.seq)
    least = most = 0
    for of_reef in numbers.values():
        holes = [max(0, later - earlier - 1) for earlier, later in pairwise([0, *of_reef])]
        most += sum(holes)
        least += sum(holes[1:]) + (holes[0] if holes[0] < FIRST_UNNOTICED else 0)
    return least, most


def _holes_in_telemetry(history: History, losses: Losses) -> tuple[int, int]:
    """A message names only the one before it, so a hole counts once, however long it is."""
    in_order = sorted(history.sent, key=lambda sent: (sent.reef_id, sent.number))
    holes = sum(
        after.reef_id == before.reef_id
        and (INGEST, before.event_id) in losses.events
        and (INGEST, after.event_id) not in losses.events
        for before, after in pairwise(in_order)
    )
    return holes, holes
