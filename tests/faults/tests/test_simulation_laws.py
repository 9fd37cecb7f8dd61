"""The laws see: histories that are wrong on purpose, made from one that is right."""

from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import pytest

from reefmesh_faults.simulation import laws
from reefmesh_faults.simulation.campaign import hushed
from reefmesh_faults.simulation.history import (
    Confirmed,
    DrainBegan,
    Event,
    HandlingBegan,
    MessageReturned,
    ProcessEnded,
    Queued,
    Sent,
    Told,
    UnitWritten,
)
from reefmesh_faults.simulation.laws import judge
from reefmesh_faults.simulation.schedule import run_schedule
from reefmesh_faults.simulation.world import Outcome

Kind = TypeVar("Kind")

SEED = 2
INGEST_INBOX = "ingest@reef.telemetry"


@lru_cache
def right() -> Outcome:
    """A schedule in which there is something of everything."""
    with hushed():
        outcome = run_schedule(SEED)
    assert outcome.violations == ()
    return outcome


def broken(history: list[Event], **at_rest: object) -> set[str]:
    outcome = right()
    judged = judge(history, outcome.reference, replace(outcome.at_rest, **at_rest))  # type: ignore[arg-type]  # fields by name
    return {violation.law for violation in judged}


def first(kind: type[Kind]) -> Kind:
    return next(event for event in right().history if isinstance(event, kind))


def test_right_history_breaks_no_law() -> None:
    assert broken(list(right().history)) == set()


def test_message_applied_after_a_later_one_breaks_order() -> None:
    history = list(right().history)
    units = [event for event in history if isinstance(event, UnitWritten) and event.inbox == INGEST_INBOX]
    reef_id = units[0].reef_id
    earlier, later = [unit for unit in units if unit.reef_id == reef_id][:2]
    one, other = history.index(earlier), history.index(later)
    history[one], history[other] = later, earlier
    assert laws.ORDER in broken(history)


def test_handling_that_begins_before_the_last_is_done_breaks_order() -> None:
    history = list(right().history)
    handled = [event for event in history if isinstance(event, HandlingBegan) and event.inbox == INGEST_INBOX]
    reef_id = handled[0].reef_id
    second = next(event for event in handled if event.reef_id == reef_id and event.event_id != handled[0].event_id)
    history.remove(second)
    history.insert(history.index(handled[0]) + 1, second)
    assert laws.ORDER in broken(history)


def test_unit_written_twice_breaks_effect_once() -> None:
    history = [*right().history, first(UnitWritten)]
    assert laws.EFFECT_ONCE in broken(history)


def test_unit_over_a_newer_version_breaks_no_zombies() -> None:
    unit = first(UnitWritten)
    history = [replace(unit, found=unit.found + 1) if event is unit else event for event in right().history]
    assert broken(history) == {laws.NO_ZOMBIES}


def test_output_that_never_arrived_is_lost() -> None:
    lost = next(event for event in right().history if isinstance(event, Queued) and "reef.scores" in event.queue)
    history = [event for event in right().history if not (isinstance(event, Queued) and event.event_id == lost.event_id)]
    assert laws.NOTHING_LOST in broken(history)


def test_confirmed_telemetry_without_a_receipt_is_lost() -> None:
    lost = Confirmed(event_id="never-handled", reef_id="reef-1")
    assert broken([*right().history, lost]) == {laws.NOTHING_LOST}


def test_mesh_that_never_rests_has_lost_something() -> None:
    assert broken(list(right().history), unsettled=("1 messages for ingest",)) == {laws.NOTHING_LOST}


def test_telemetry_that_nobody_sent_is_invented() -> None:
    sent = first(Sent)
    history = [event for event in right().history if event != sent]
    assert broken(history) == {laws.NOTHING_INVENTED}


def test_message_that_no_unit_decided_is_invented() -> None:
    strange = Queued(queue="Consumer.people.VirtualTopic.reef.alerts", place=999, event_id="strange", reef_id="reef-1")
    assert broken([*right().history, strange]) == {laws.NOTHING_INVENTED}


def test_alert_told_under_two_keys_breaks_effect_once() -> None:
    told = first(Told)
    assert broken([*right().history, replace(told, idempotency_key="another")]) == {laws.EFFECT_ONCE}


def test_alert_told_twice_under_one_key_is_allowed() -> None:
    """People are notified at least once."""
    assert broken([*right().history, first(Told)]) == set()


def test_alert_that_was_not_told_is_lost() -> None:
    alert_id, key, _ = right().at_rest.deliveries[0]
    deliveries = [(alert_id, key, "failed"), *right().at_rest.deliveries[1:]]
    assert broken(list(right().history), deliveries=deliveries) == {laws.NOTHING_LOST}


@pytest.mark.parametrize("service", ["ingest", "scoring", "alerts"])
def test_row_that_differs_from_what_the_handlers_make_breaks_effect_once(service: str) -> None:
    content = {name: [list(table) for table in tables] for name, tables in right().at_rest.content.items()}
    table = next(table for table in content[service] if table)
    table[0] = (*table[0][:-1], "changed")
    assert laws.EFFECT_ONCE in broken(list(right().history), content=content)


def test_peaceful_process_that_gives_back_what_it_applied_breaks_the_drain() -> None:
    unit = next(event for event in reversed(right().history) if isinstance(event, UnitWritten))
    calm = replace(unit, process="calm-1", event_id=unit.event_id)
    returned = MessageReturned(queue="any", place=1, process="calm-1", subscriber=1, event_id=unit.event_id, how="unsubscribe")
    history = [calm if event is unit else event for event in right().history if not _is_restart(event)]
    assert broken([*history, DrainBegan(process="calm-1"), returned]) == {laws.DRAIN}
    copies = [Queued(queue="any", place=place, event_id=unit.event_id, reef_id=unit.reef_id) for place in (1, 2)]
    assert broken([*copies, *history, returned]) == {laws.DRAIN}
    assert broken([*copies, *history, replace(returned, place=2)]) == set()
    begun = replace(returned, event_id="open", place=3)
    assert broken([*history, begun, returned]) == set(), "no acknowledgement could cover it"
    assert broken([*history, replace(begun, subscriber=2), returned]) == {laws.DRAIN}


def test_drain_that_takes_too_long_breaks_the_drain() -> None:
    assert broken([*right().history, ProcessEnded(process="ingest-1", how="time-out")]) == {laws.DRAIN}


def test_process_that_ends_by_its_own_fault_is_seen() -> None:
    assert broken([*right().history, ProcessEnded(process="ingest-1", how="KeyError: 'x'")]) == {laws.NO_FAULT_OF_OURS}


def _is_restart(event: Event) -> bool:
    return getattr(event, "kind", "") == "broker restart"
