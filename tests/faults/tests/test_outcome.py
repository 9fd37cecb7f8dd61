"""What is right without what was purged: a mesh that never had these messages."""

from reefmesh.contracts.channels import READINGS, SCORES
from reefmesh.contracts.envelope import event_id_of
from reefmesh_faults.fleet import Fleet
from reefmesh_faults.outcome import undisturbed
from reefmesh_faults.workload import first

FLEET = Fleet(seed=5, reefs=4, messages_per_second=20.0)
TELEMETRY = first(Fleet(seed=5, reefs=4, messages_per_second=20.0), 60)
MESSAGE = next(each for each in TELEMETRY[20:] if each.kind == "live")
READINGS_ID = event_id_of(MESSAGE.event_id, "readings-0")


async def test_telemetry_that_ingest_never_had_is_as_if_it_had_not_been_sent() -> None:
    without = await undisturbed(FLEET, [each for each in TELEMETRY if each is not MESSAGE])
    lost = await undisturbed(FLEET, TELEMETRY, {("ingest", MESSAGE.event_id)})
    assert READINGS_ID not in {event_id for _, event_id, _ in lost.channels[READINGS.name][MESSAGE.reef_id]}
    assert without == lost


async def test_readings_that_scoring_never_had_have_no_score_and_leave_no_hole_in_the_scores() -> None:
    channels = (await undisturbed(FLEET, TELEMETRY, {("scoring", READINGS_ID)})).channels
    readings, scores = (channels[channel.name][MESSAGE.reef_id] for channel in (READINGS, SCORES))
    assert READINGS_ID in {event_id for _, event_id, _ in readings}
    assert event_id_of(READINGS_ID, "score") not in {event_id for _, event_id, _ in scores}
    assert list(range(1, len(readings))) == [seq for seq, _, _ in scores]
