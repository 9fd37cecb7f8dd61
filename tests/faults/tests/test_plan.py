"""A run can be repeated: plan and telemetry come from the seed alone."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from reefmesh_faults.fleet import Fleet, Telemetry
from reefmesh_faults.plan import ALL_KINDS, CLOCK_JUMP_SECONDS_LIMIT, LINK_KINDS, Fault, chosen, make_plan, weather
from reefmesh_faults.tcp_proxy import FAIR
from reefmesh_faults.workload import first

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def plan(seed: int, faults: int = 300) -> list[Fault]:
    return make_plan(seed=seed, faults=faults, spacing_seconds=4.0, kinds=ALL_KINDS)


def test_plan_of_one_seed_is_always_the_same_and_of_another_is_another() -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


def test_long_plan_has_every_kind_and_each_fault_is_bounded() -> None:
    faults = plan(1)
    assert set(ALL_KINDS) == {fault.kind for fault in faults}
    assert [] == [
        fault
        for fault in faults
        if not ALL_KINDS[fault.kind].least_seconds <= fault.seconds <= ALL_KINDS[fault.kind].most_seconds
    ]


def test_faults_come_in_the_order_of_their_times_about_one_a_spacing() -> None:
    faults = plan(3)
    assert sorted(faults, key=lambda fault: fault.at_seconds) == faults
    assert [fault.number - 1 for fault in faults] == [int(fault.at_seconds // 4.0) for fault in faults]


@pytest.mark.parametrize("kind", sorted(set(LINK_KINDS) - {"cut", "reset"}))
def test_every_lasting_fault_of_a_link_makes_a_weather_of_its_own(kind: str) -> None:
    fault = Fault(number=1, at_seconds=0, kind=kind, seconds=1, target=0, strength=0.5)
    assert FAIR != weather(fault)


def test_target_names_each_of_those_that_can_be_hit() -> None:
    assert ["a", "a", "b", "c"] == [chosen("abc", target) for target in (0.0, 0.33, 0.34, 0.999)]


def test_clock_jumps_stay_below_the_hour_after_which_a_day_counts_as_over() -> None:
    assert 2 * CLOCK_JUMP_SECONDS_LIMIT < 3600


def telemetry(seed: int = 1, count: int = 3000) -> list[Telemetry]:
    return first(Fleet(seed=seed, reefs=12, messages_per_second=20.0), count)


def test_telemetry_of_one_seed_is_always_the_same_and_of_another_is_another() -> None:
    assert telemetry() == telemetry()
    assert telemetry() != telemetry(2)


def test_telemetry_has_every_kind_of_message_hot_reefs_and_batches_up_to_100() -> None:
    messages = telemetry()
    assert {"live", "late", "backlog", "again", "malformed", "stranger", "flawed"} == {each.kind for each in messages}
    assert 100 == max(each.readings for each in messages)
    (_, most), *_, (_, least) = Counter(each.reef_id for each in messages).most_common()
    assert most > 5 * least


def test_messages_of_a_reef_are_numbered_in_publishing_order_under_ids_of_their_own() -> None:
    messages = telemetry()
    numbers: dict[str, list[int]] = {}
    for each in messages:
        numbers.setdefault(each.reef_id, []).append(each.number)
    assert {reef: list(range(1, len(given) + 1)) for reef, given in numbers.items()} == numbers
    assert len(messages) == len({each.event_id for each in messages})


def test_readings_are_old_so_that_nothing_depends_on_when_they_are_handled() -> None:
    assert datetime(2024, 1, 1, tzinfo=UTC) > max(each.received_at for each in telemetry(count=10_000))


def test_good_readings_of_different_reports_are_different() -> None:
    """Only a report that is sent again repeats instants: then every one of them is a duplicate, and no other is."""
    seen: set[tuple[str, int]] = set()
    for each in telemetry():
        if each.kind != "again":
            assert seen.isdisjoint(each.instants)
            seen.update(each.instants)
        else:
            assert seen.issuperset(each.instants)


def test_envelope_carries_device_and_time_of_reception() -> None:
    message = telemetry(count=1)[0]
    envelope = message.envelope(NOW)
    assert (message.event_id, message.reef_id, NOW) == (envelope.event_id, envelope.reef_id, envelope.produced_at)
    assert {"device": message.device, "received-at": message.received_at.isoformat()} == envelope.headers
