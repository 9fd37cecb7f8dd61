"""Scores in, alerts out: ids, texts, rows, and the state between two messages."""

from __future__ import annotations

import json
from datetime import timedelta
from time import process_time
from typing import TYPE_CHECKING, Any

import pytest

from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.schema import SCORES_2
from reefmesh.errors import PoisonMessage
from reefmesh_alerts import queries
from reefmesh_alerts.domain.reef_watch import ReefWatch
from reefmesh_alerts.texts.letter import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.alerts.tests.conftest import AlertsBench, Samples


async def test_alert_says_what_changed_from_what_to_what_when_on_what_evidence_and_how_old(
    bench: AlertsBench, samples: type[Samples]
) -> None:
    bench.clock.set(samples.START + timedelta(days=2, hours=12))

    (alert,) = await bench.send(
        samples.score(as_of=samples.START + timedelta(days=1, hours=6), days=[samples.day(0, 0), samples.day(1, 3)])
    )

    assert alert.summary == "Alert Level 1 at North Wall, was No Stress (2024-03-02, DHW 4.50 degC-weeks)"
    text = describe(alert)
    assert "from No Stress to Alert Level 1 (opened)" in text
    assert "Since:     2024-03-02, a solar date of the reef" in text
    assert "Data age:  30 h when the alert was raised" in text
    assert "  dhw_celsius_weeks: 4.5 degC-weeks" in text
    assert "  coverage_days: 84 days" in text


async def test_ledger_episode_and_delivery_are_written_with_the_alert(bench: AlertsBench, samples: type[Samples]) -> None:
    (alert,) = await bench.send(samples.score(days=[samples.day(-1, 0), samples.day(0, 3)]))

    exported = [each async for each in queries.export_alerts(bench.store)]
    (episode,) = await queries.open_episodes(bench.store)
    (delivery,) = await queries.list_deliveries(bench.store)

    assert [alert] == exported
    assert ("heat", "Alert Level 1", 3, alert.alert_id) == (episode.kind, episode.state, episode.severity, episode.alert_id)
    assert ("console", "pending", alert.alert_id) == (delivery.target, delivery.status, delivery.alert_id)
    assert {"console": {"pending": 1}} == await queries.count_deliveries(bench.store)


async def test_episode_keeps_its_beginning_until_it_is_over(bench: AlertsBench, samples: type[Samples]) -> None:
    await bench.send(samples.score(days=[samples.day(-9, 0), samples.day(-8, 2), samples.day(-7, 3)]))

    (episode,) = await queries.open_episodes(bench.store)
    await bench.send(samples.score(days=[samples.day(-6, 0)]))

    assert samples.START.date() - timedelta(days=8) == episode.since.date()
    assert [] == await queries.open_episodes(bench.store)


async def test_same_input_twice_makes_the_same_alert(benches: Callable[..., Any], samples: type[Samples]) -> None:
    """A redelivery, or a replay into an empty database, names its alerts alike; whatever message carried the days."""
    days = [samples.day(number, level) for number, level in enumerate([0, 2, 0, 2, 3, 0])]
    ids = []
    for parts in ([days], [[day] for day in days]):
        async with benches() as bench:
            for part in parts:
                await bench.send(samples.score(days=part))
            ids.append([each.alert_id async for each in queries.export_alerts(bench.store)])

    assert ids[0] == ids[1]
    assert len(ids[0]) == len(set(ids[0])) == 5


async def test_two_equal_changes_of_an_episode_are_two_alerts(bench: AlertsBench, samples: type[Samples]) -> None:
    """Late data may lift and lower a day, and the next one lifts again."""
    await bench.send(samples.score(days=[samples.day(0, 2), samples.day(1, 2)]))

    revisions = [samples.day(1, 3), samples.day(1, 2), samples.day(2, 3)]
    alerts = [(await bench.send(samples.score(days=[revision])))[0] for revision in revisions]

    assert ["worsened", "eased", "worsened"] == [alert.change for alert in alerts]
    assert 3 == len({alert.alert_id for alert in alerts})


async def test_state_of_a_busy_reef_survives_its_row(bench: AlertsBench, samples: type[Samples]) -> None:
    score = samples.score(
        days=[samples.day(0, 0), samples.day(1, 3), samples.day(2, None)],
        dive=samples.dive("no_go", valid_until=samples.START + timedelta(hours=1)),
        carbonate=samples.carbonate("low"),
        buoys=[samples.buoy(drift_metres=90.0, battery_volts=3.0, faults={"x": "broken"}), samples.buoy("b2")],
        latest={"x": samples.latest(Flag.FAIL, quantity="x", buoy_id="b2")},
    )
    await bench.send(score)

    row = await bench.store.load(samples.REEF)
    state = await bench.handler.load(samples.REEF, row.state)

    assert row.state == bench.handler.dump(state)
    assert len(row.state or b"") < 2000
    assert state.buoys["b1"].adrift
    assert state.buoys["b2"].channels["x"].fails == 1
    assert {"heat/", "dive/", "chemistry/", "buoy_drift/b1", "buoy_battery/b1", "sensor_fault/b1/x"} == set(state.told)


async def test_names_and_faults_from_outside_stay_on_one_line(bench: AlertsBench, samples: type[Samples]) -> None:
    buoy = samples.buoy(faults={"x": "broken\r\nBcc: everybody@example.org\x1b[31m"})

    (alert,) = await bench.send(samples.score(buoys=[buoy], reef_name="North\nWall\x07"))

    assert alert.summary == "Sensor faulty: x of buoy b1 at North Wall (broken Bcc: everybody@example.org [31m)"
    assert all(character.isprintable() or character == "\n" for character in describe(alert))


async def test_unknown_schema_is_poison(bench: AlertsBench, samples: type[Samples]) -> None:
    message = Envelope(event_id="1", reef_id=samples.REEF, schema_id="scores/99", produced_at=samples.START, body=b"{}")

    with pytest.raises(PoisonMessage) as caught:
        await bench.handler.handle(message, ReefWatch())
    assert "unknown-schema" == caught.value.reason


async def test_alert_on_old_data_is_in_the_ledger_and_told_to_nobody(bench: AlertsBench, samples: type[Samples]) -> None:
    await bench.send(samples.score(as_of=samples.START, days=[samples.day(-5000, 0), samples.day(-4999, 4)]))

    (delivery,) = await queries.list_deliveries(bench.store)

    assert "expired" == delivery.status
    assert "the data were 4998 days old, the limit is 168 h" == delivery.last_error


async def test_export_pages_through_many_alerts_in_order(bench: AlertsBench, samples: type[Samples]) -> None:
    for reef_id in ("b-reef", "a-reef"):
        for first in range(0, 1200, 400):
            days = [samples.day(number, number % 2) for number in range(first, first + 400)]
            await bench.send(samples.score(days=days, reef_id=reef_id))

    exported = [json.loads(line) async for line in queries.export_alerts_json(bench.store)]
    one_reef = [json.loads(line) async for line in queries.export_alerts_json(bench.store, reef_id="b-reef")]

    assert 2 * 1199 == len(exported)
    keys = [(alert["reef_id"], alert["occurred_at"], alert["alert_id"]) for alert in exported]
    assert sorted(keys) == keys
    assert exported[1199:] == one_reef


async def test_score_without_changes_costs_little(bench: AlertsBench, samples: type[Samples]) -> None:
    """The aim is 100 microseconds of CPU; the test allows for a loaded machine."""
    quantities = [f"q{number}" for number in range(8)]
    score = samples.score(
        days=[samples.day(1, 2)],
        dive=samples.dive("good", valid_until=samples.START + timedelta(days=1)),
        buoys=[samples.buoy("b1"), samples.buoy("b2")],
        latest={name: samples.latest(Flag.PASS, quantity=name) for name in quantities},
    )
    await bench.send(samples.score(days=[samples.day(0, 0)]))
    await bench.send(score)
    row = await bench.store.load(samples.REEF)
    state = await bench.handler.load(samples.REEF, row.state)
    message = Envelope(
        event_id="1", reef_id=samples.REEF, schema_id=SCORES_2, produced_at=samples.START, body=score.model_dump_json().encode()
    )

    best_us = 1e9
    for _ in range(5):
        began = process_time()
        for _ in range(200):
            change = await bench.handler.handle(message, state)
            bench.handler.dump(change.state)
        best_us = min(best_us, (process_time() - began) / 200 * 1e6)

    assert [] == list(change.outputs)
    assert [] == list(change.writes)  # the score says that this day changed, but its row stays as it is
    print(f"{best_us:.0f} us a score")  # noqa: T201  # a measurement, shown with -s
    assert best_us < 500
