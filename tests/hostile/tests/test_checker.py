"""What the checker reads from outside, read rightly: pages of metrics, and the table of holes."""

from reefmesh.contracts import readings, scores
from reefmesh_hostile.acts import ALL
from reefmesh_hostile.checker import sum_of
from reefmesh_hostile.messages import forged_readings, forged_score
from reefmesh_hostile.reefs import UNHEARD

SERIES = {
    'reefmesh_broker_events_total{service="ingest",event="lost"}': 2.0,
    'reefmesh_broker_events_total{service="ingest",event="connected"}': 3.0,
    "reefmesh_broker_events_total_created": 9.0,
}


def test_sum_is_of_the_series_with_these_labels() -> None:
    assert sum_of(SERIES, "reefmesh_broker_events_total", event="lost") == 2.0
    assert sum_of(SERIES, "reefmesh_broker_events_total") == 5.0


def test_every_act_has_a_name_of_its_own() -> None:
    names = [act.name for act in ALL]
    assert sorted(set(names)) == sorted(names)


def test_every_row_of_the_table_has_an_act() -> None:
    assert set(range(1, 15)) <= {act.row for act in ALL}


def test_forged_bodies_are_valid() -> None:
    """A forgery that is refused for its form would say nothing of who may speak."""
    assert UNHEARD == scores.READERS["scores/1"].validate_json(forged_score(UNHEARD)).reef_id
    assert UNHEARD == readings.READERS["readings/1"].validate_json(forged_readings(UNHEARD, "x-1")).reef.reef_id
