"""The steps of a message, each by its own: values in, values out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reefmesh.contracts.envelope import Envelope
from reefmesh_ingest.admission import admit
from reefmesh_ingest.domain.arrival import Reception, reception_of
from reefmesh_ingest.domain.assignment import AssignedReport
from reefmesh_ingest.domain.decode import Observation, Reason, Refusal, Report
from reefmesh_ingest.domain.deployment import Deployment
from reefmesh_ingest.domain.join import join
from reefmesh_ingest.domain.quality import MISSING
from reefmesh_ingest.domain.reading import Content, StoredReading
from reefmesh_ingest.domain.revision import revised
from reefmesh_ingest.domain.timing import time_report
from reefmesh_ingest.identity import Identity, device_name, identify
from reefmesh_ingest.register.entries import EARLIEST, BuoyEntry, ReefEntry
from reefmesh_ingest.register.known import KnownBuoy, KnownReef

RECEIVED = EARLIEST + timedelta(days=3000)
NOW = RECEIVED + timedelta(hours=1)
RECEIVED_US = 946_684_800_000_000 + 3000 * 86_400_000_000
REEF = KnownReef(ReefEntry(id="r1", name="R", latitude_degrees=1, longitude_degrees=2))
T = "sea_water_temperature"


def message(reef: str = "r1", **headers: str) -> Envelope:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Envelope(event_id="e1", reef_id=reef, schema_id="telemetry/1", produced_at=RECEIVED, body=b"x", headers=named)


def reception(reef: str = "r1", *, now: datetime = NOW, **headers: str) -> Reception:
    return reception_of(message(reef, **headers), now=now)


def reading(instant: int, celsius: float | None, *, origin: str = "e0", revision: int = 1) -> StoredReading:
    return StoredReading(instant, 0, "device", revision, False, origin, {T: Content(celsius, celsius)}, {}, None, None)


def timed(received_us: int = RECEIVED_US, *observed: int | None) -> Any:
    observations = tuple(Observation(observed_us=each, values={T: 28.0}) for each in observed)
    report = AssignedReport(observations=observations, sent_us=None, refused=())
    deployment = Deployment(earliest_us=0, mooring=None, drift_limit_metres=25.0, report_interval_us=1_800_000_000)
    received = Reception(
        message=message(), origin="e1", replay_of=None, received_us=received_us, latest_us=2**62, transport_device=None
    )
    return time_report(report, deployment, received)


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "yesterday",
        "2024-01-01T00:00:00",
        "9999-99-99",
        "9999-12-31T23:59:59.999999+00:00",
        "0001-01-01T00:00:00+14:00",
        "1950-01-01T00:00:00+00:00",
        "1999-12-31T23:59:59+00:00",
        (NOW + timedelta(minutes=10, microseconds=1)).isoformat(),
    ],
)
def test_arrival_with_an_impossible_stamp_takes_the_envelopes_time(stamp: str) -> None:
    assert reception(received_at=stamp).received_us == RECEIVED_US


@pytest.mark.parametrize("at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_arrival_without_any_possible_time_is_now(at: datetime) -> None:
    forged = message(received_at=at.isoformat()).model_copy(update={"produced_at": at})
    assert reception_of(forged, now=NOW).received_us == RECEIVED_US + 3600 * 1_000_000


def test_arrival_is_believed_up_to_ten_minutes_ahead() -> None:
    stamp = (NOW + timedelta(minutes=10)).isoformat()
    assert reception(received_at=stamp).received_us == RECEIVED_US + 4200 * 1_000_000


def test_arrival_of_a_replay_keeps_the_first_messages_origin() -> None:
    replay = reception(replay_of="e0", device="buoy")
    assert (replay.origin, replay.replay_of, replay.transport_device) == ("e0", "e0", "buoy")
    assert reception().origin == "e1"


async def test_identify_takes_the_transports_name_before_the_bodys(ingest: Any) -> None:
    await ingest.register.upsert(buoys=[BuoyEntry(id="b1", reef="menjangan", aliases=["sim-1"])])
    received = reception(device="sim-1")
    found = identify(ingest.register, received, Report(device="b1", observations=()))
    assert isinstance(found, Identity)
    assert (found.device, found.buoy.entry.id, found.reef.entry.id) == ("sim-1", "b1", "menjangan")
    found = identify(ingest.register, received, Report(device="agent-1", observations=()))
    assert isinstance(found, Refusal)
    assert found.reason is Reason.DEVICE_MISMATCH


@pytest.mark.parametrize(
    ("user", "device", "reason"),
    [
        ("sim-1", "sim-1", None),
        ("b1", "sim-1", None),  # another name of the same buoy
        ("sim-2", "sim-1", Reason.SPOOFED),
        ("scoring", "sim-1", Reason.SPOOFED),
        ("(nobody)", "sim-1", Reason.SPOOFED),
        ("sim-2", "stranger", Reason.SPOOFED),
        ("stranger", "stranger", Reason.UNKNOWN_DEVICE),
    ],
)
async def test_identify_refuses_what_a_devices_user_sends_for_another_device(
    ingest: Any, user: str, device: str, reason: Reason | None
) -> None:
    """Law 12."""
    await ingest.register.upsert(buoys=[BuoyEntry(id="b1", reef="menjangan", aliases=["sim-1"])])
    await ingest.register.upsert(buoys=[BuoyEntry(id="sim-2", reef="menjangan")])
    received = reception_of(message(device=device, sent_by=user), now=NOW)
    found = identify(ingest.register, received, Report(device=None, observations=()))
    assert reason == (found.reason if isinstance(found, Refusal) else None)


async def test_report_that_names_another_device_than_its_credentials_is_spoofed_and_kept_under_its_sender(ingest: Any) -> None:
    """Law 12, for what the gateway publishes: it states the authenticated device twice, and the body says another."""
    await ingest.register.upsert(buoys=[BuoyEntry(id=name, reef="menjangan") for name in ("b1", "b2")])
    received = reception_of(message(device="b1", sent_by="b1"), now=NOW)
    for named in ("b2", "nobody"):
        report = Report(device=named, observations=())
        found = identify(ingest.register, received, report)
        assert isinstance(found, Refusal)
        assert (Reason.SPOOFED, "b1") == (found.reason, device_name(received, report))


@pytest.mark.parametrize(
    ("deployed", "reef", "reason"),
    [(False, "r1", Reason.NOT_DEPLOYED), (True, "r2", Reason.WRONG_REEF), (True, "unregistered", Reason.UNKNOWN_DEVICE)],
)
def test_admit_refuses_a_buoy_that_may_not_count(deployed: bool, reef: str, reason: Reason) -> None:
    identity = Identity(device="b1", buoy=KnownBuoy(BuoyEntry(id="b1", reef="r1", deployed=deployed)), reef=REEF)
    refusal = admit(identity, reception(reef))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason


def test_admit_passes_a_deployed_buoy_and_an_earlier_refusal() -> None:
    identity = Identity(device="b1", buoy=KnownBuoy(BuoyEntry(id="b1", reef="r1")), reef=REEF)
    assert admit(identity, reception()) is identity
    refusal = Refusal(reason=Reason.NO_DEVICE)
    assert admit(refusal, reception()) is refusal


def test_time_is_certain_only_where_the_device_dates_every_reading() -> None:
    assert timed(RECEIVED_US, RECEIVED_US - 1).is_certain
    mixed = timed(RECEIVED_US, RECEIVED_US - 1, None)
    assert not mixed.is_certain
    assert [each.observed_us for each in mixed.readings] == [RECEIVED_US - 1, RECEIVED_US]
    assert [each.observed_us for each in mixed.readings_at(RECEIVED_US + 5)] == [RECEIVED_US - 1, RECEIVED_US + 5]


def test_join_counts_new_merged_and_duplicate_readings() -> None:
    stored = {1: reading(1, 28.0), 2: reading(2, None)}
    joined = join([reading(3, 29.0), reading(2, 28.5), reading(1, 28.0)], stored, origin="e1")
    assert (joined.new, joined.merged, joined.duplicates) == (1, 1, 1)
    assert joined.changed.keys() == {2, 3}
    assert joined.values == {T: {2: 28.5, 3: 29.0}}


def test_join_withdraws_what_a_later_copy_reported() -> None:
    stored = {5: reading(5, 28.0, origin="later")}
    joined = join([reading(1, 28.0)], stored, origin="e1", withdrawn=[reading(5, 28.0)], digest="d")
    assert joined.withdrawn_origins == ("later",)
    assert joined.changed[5].withdrawn
    assert joined.values == {T: {5: None, 1: 28.0}}
    assert joined.digest == "d"


def test_join_leaves_the_stored_readings_as_they_were() -> None:
    stored = {1: reading(1, 28.0)}
    join([reading(1, 27.0)], stored, origin="e1")
    assert stored == {1: reading(1, 28.0)}


def test_revision_of_a_missing_value_needs_no_verdict_and_neighbours_are_revised_too() -> None:
    missing, neighbour = reading(2, None, revision=0), reading(1, 28.0, revision=3)
    found = revised({2: missing}, {1: {T: MISSING}}, {1: neighbour})
    assert [(each.observed_us, each.revision) for each in found] == [(1, 4), (2, 1)]
    assert found[1].verdicts == {T: MISSING}
