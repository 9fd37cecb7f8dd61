"""Nothing is dropped: what cannot be understood waits with its reason, and is used once its cause is mended."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope
from reefmesh_components.reefmesh_command import ReefmeshCommand

NOX = "mole_concentration_of_nitrate_and_nitrite_in_sea_water"
NOW = datetime.now(UTC).replace(microsecond=0)
REEFS_LONGITUDE_DEGREES = 115.0
"""Of every reef that ``ReefmeshCommand.register`` makes."""


def mqtt(celsius: float | None = 29.4) -> bytes:
    channel = {"channel": "ch1", "value": celsius, "fault": "" if celsius else "sensor not reachable"}
    sensor = {"model": "DS18B20-LOGGER", "interface": "rs485", "address": 2, "data": [channel]}
    return json.dumps({"msg_type": "data", "sensors": [sensor]}).encode()


def measurement(serial: str, name: str, unit: str, value: str) -> dict[str, Any]:
    sensor = {"correction_value": None, "details": {"name": name, "unit": unit}, "serial_number": serial, "name": name}
    return {"sensor": sensor, "value": value, "error_text": "", "datetime": NOW.isoformat()}


def report_2021() -> bytes:
    measurements = [
        measurement("KIT0021", "WATER_TEMPERATURE", "C", "28.31"),
        measurement("SEN0xxx", "DISSOLVED_NOX", "C", "0.84"),
    ]
    head = {"serial_number": "100000000000000a", "battery_level": "71.5", "latitude": "-8.1", "longitude": "115.1"}
    return json.dumps({**head, "measurements": measurements}).encode()


def telemetry(at: datetime, **values: float) -> bytes:
    zulu = at.isoformat().replace("+00:00", "Z")
    reading = {"observed_at": zulu, "position": None, "channels": values, "faults": {}}
    return json.dumps(
        {"schema": "telemetry/1", "buoy_id": "agent-1", "seq": 1, "sent_at": zulu, "readings": [reading]}
    ).encode()


@pytest.fixture
def registered(reefmesh: ReefmeshCommand) -> ReefmeshCommand:
    """One reef, one buoy of each format; report intervals of an hour."""
    reefmesh.register({"amed": ["867740030000003", "100000000000000a", "agent-1"], "lovina": []})
    return reefmesh


def books(reefmesh: ReefmeshCommand) -> dict[str, Any]:
    """The accounting, which must be without discrepancies."""
    accounting: dict[str, Any] = reefmesh.json("status")["accounting"]
    assert [] == accounting["discrepancies"]
    return accounting


@pytest.mark.parametrize("mesh_is_up", [True, False])
def test_payloads_of_each_format_sent_each_outcome_told(mesh_is_up: bool, registered: ReefmeshCommand, tmp_path: Path) -> None:
    if mesh_is_up:
        with registered.up() as up:
            send_each_format(registered, tmp_path)
            assert 0 == up.stop().code
    else:
        send_each_format(registered, tmp_path)
    messages = books(registered)["messages"]
    assert (5, 3, 1, 1) == tuple(messages[name] for name in ("received", "accepted", "duplicates", "quarantined"))


def send_each_format(reefmesh: ReefmeshCommand, folder: Path) -> None:
    reports = folder / "reports.jsonl"
    reports.write_bytes(mqtt() + b"\n\n" + mqtt() + b"\n" + mqtt()[:40] + b"\n")
    by_line = reefmesh("send", reports, "--lines", "--format", "nemopi-mqtt", "--buoy", "867740030000003", "--json")
    assert 1 == by_line.code
    outcomes = [(each["payload"].rpartition(":")[2], each["outcome"], each["reason"]) for each in by_line.document]
    assert [("1", "accepted", None), ("3", "duplicate", None), ("4", "quarantined", "not-json")] == outcomes
    assert "cut off" in by_line.document[2]["says"]

    old = folder / "old.json"
    old.write_bytes("\ufeff".encode("utf-16-le") + report_2021().decode().encode("utf-16-le"))
    shown = reefmesh("send", old, "--format", "nemopi-2021", "--buoy", "100000000000000a")
    assert 0 == shown.code, shown.err
    assert "1 reading, 1 value quarantined" in " ".join(shown.out.split())

    piped = reefmesh(
        "send", "-", "--format", "telemetry", "--buoy", "agent-1", stdin=telemetry(NOW, sea_water_temperature=28.2)
    )
    assert 0 == piped.code, piped.err


@pytest.mark.parametrize("mesh_is_up", [True, False])
def test_unknown_buoy_registered_its_telemetry_becomes_readings(mesh_is_up: bool, registered: ReefmeshCommand) -> None:
    send = ("send", "-", "--lines", "--format", "nemopi-mqtt", "--buoy", "867740030000009")
    assert 1 == registered(*send, stdin=mqtt(28.1) + b"\n" + mqtt(28.2)).code
    listed = registered("quarantine", "list", "--entries")
    assert 2 == listed.out.count("unknown-device")
    entries = registered.json("quarantine", "list", "--entries", "--device", "867740030000009")
    shown = registered("quarantine", "show", entries[-1]["quarantine_id"], "--raw")
    assert mqtt(28.1).decode() == shown.out
    assert "lovina" not in {score["reef_id"] for score in registered.json("status")["reefs"] if score["as_of"]}

    register = ("buoys", "set", "867740030000009", "reef=lovina", "report_interval_seconds=3600")
    if mesh_is_up:
        with registered.up() as up:
            said = registered(*register)
            assert 0 == up.stop().code
    else:
        said = registered(*register)
    assert (0, True) == (said.code, "2 messages sent again: 2 accepted" in said.out), said.err
    assert [] == registered.json("quarantine", "list", "--entries")
    assert "lovina" in {score["reef_id"] for score in registered.json("status")["reefs"] if score["as_of"]}
    messages = books(registered)["messages"]
    assert (2, 2, 0) == (messages["received"], messages["accepted"], messages["quarantined"])


def test_unit_that_cannot_be_right_set_its_quantity_is_replayed(registered: ReefmeshCommand) -> None:
    buoy = "100000000000000a"
    with registered.up() as up:
        assert 0 == registered("send", "-", "--format", "nemopi-2021", "--buoy", buoy, stdin=report_2021()).code
        (entry,) = registered.json("quarantine", "list", "--entries")
        assert ("wrong-unit", "channel", "SEN0xxx") == (entry["reason"], entry["scope"], entry["channel"])
        sensor = json.dumps([{"source": "SEN0xxx", "quantity": NOX, "unit": "umol/L"}])
        said = registered("buoys", "set", buoy, f"sensor={sensor}")
        assert "quarantine list --device" in said.out
        assert 0 == registered("quarantine", "replay", entry["quarantine_id"]).code
        assert [] == registered.json("quarantine", "list", "--entries")
        (score,) = registered.json("status", "--reef", "amed")["reefs"]
        assert 0 == up.stop().code
    assert 0.84 == score["latest"][NOX]["value"]
    accounting = books(registered)
    messages = accounting["messages"]
    assert (1, 1, 0) == (messages["received"], messages["accepted"], accounting["channels_quarantined"])
    again = registered("quarantine", "replay", entry["quarantine_id"])
    assert (78, "reefmesh: entry") == (again.code, again.err[:15])


@pytest.mark.parametrize("mesh_is_up", [True, False])
def test_message_of_an_unknown_version_parked_shown_and_sent_again(mesh_is_up: bool, registered: ReefmeshCommand) -> None:
    asyncio.run(publish_readings_of_tomorrow(registered.home))
    with registered.up() as up:
        up.await_line("parked")
        assert 0 == up.stop().code
    assert "scoring" in registered("parked", "list").out
    (parked,) = registered.json("parked", "list", "--service", "scoring")
    shown = registered("parked", "show", parked["parking_id"]).document
    assert ("readings/99", '{"of": "tomorrow"}') == (shown["headers"]["schema"], shown["body"])
    if mesh_is_up:
        with registered.up() as up:
            replayed = registered("parked", "replay", "--all")
            up.await_line("parked")
            assert 0 == up.stop().code
    else:
        replayed = registered("parked", "replay", parked["parking_id"])
        assert "1 of them parked again" in replayed.out
    assert (0, True) == (replayed.code, "1 message sent again" in replayed.out), replayed.err
    assert 1 == len(registered.json("parked", "list"))
    assert "0 messages deleted" in registered("parked", "discard", "--reason", "bad-envelope").out
    assert (78, "reefmesh: name the messages") == ((said := registered("parked", "discard")).code, said.err[:27])
    assert "1 message deleted" in registered("parked", "discard", "--reason", "unknown-schema").out
    assert [] == registered.json("parked", "list")


async def publish_readings_of_tomorrow(home: Path) -> None:
    broker = open_broker(f"embedded://{home}/journal.db?role=publisher", clock=SystemClock())
    await broker.connect()
    await broker.declare([channels.SCORING])
    message = Envelope(
        event_id="from-tomorrow", reef_id="amed", schema_id="readings/99", produced_at=NOW, body=b'{"of": "tomorrow"}', seq=1
    )
    await broker.publish([Publication(channel=channels.READINGS.name, message=message)])
    await broker.close()


def test_verdict_nobody_renewed_is_unknown_with_the_age_of_what_was_known(registered: ReefmeshCommand) -> None:
    values = {"sea_water_speed": 0.1, "underwater_visibility": 20.0, "sea_water_temperature": 28.0}
    send = ("send", "-", "--format", "telemetry", "--buoy", "agent-1")
    assert 0 == registered(*send, stdin=telemetry(NOW - timedelta(hours=7), **values)).code
    status = registered.json("status", "--reef", "amed")
    old = status["reefs"][0]
    assert ("good", "unknown") == (old["dive"]["verdict"], old["dive"]["verdict_now"])
    assert (datetime.fromisoformat(status["at"]) - NOW + timedelta(hours=7)).total_seconds() == old["age_seconds"]
    shown = registered("status", "--reef", "amed").out
    assert "when the last verdict ran out: good" in shown
    assert "7 h" in shown
    assert 0 == registered(*send, stdin=telemetry(NOW, **values)).code
    assert "good" == registered.json("status", "--reef", "amed")["reefs"][0]["dive"]["verdict_now"]
    lovina = registered.json("status", "--reef", "lovina")["reefs"][0]
    assert lovina["as_of"] is None
    assert 78 == registered("status", "--reef", "nowhere").code


@pytest.mark.timeout(240)
def test_payload_that_names_its_device_needs_no_buoy_and_a_mismatch_names_both(registered: ReefmeshCommand) -> None:
    send = ("send", "-", "--format", "telemetry")
    (taken,) = registered.json(*send, stdin=telemetry(NOW, sea_water_temperature=28.2))
    assert ("accepted", "agent-1", "amed") == (taken["outcome"], taken["device"], taken["reef_id"])
    assert 0 == registered("send", "-", "--format", "nemopi-2021", stdin=report_2021()).code
    other = registered(*send, "--buoy", "867740030000003", stdin=telemetry(NOW, sea_water_temperature=28.3))
    assert 1 == other.code
    assert "--buoy says 867740030000003, the payload agent-1." in " ".join(other.out.split())
    nobody = registered("send", "-", "--format", "nemopi-mqtt", stdin=mqtt())
    assert (78, 1) == (nobody.code, len(nobody.err.splitlines()))
    assert "say with --buoy" in nobody.err
    assert (3, 2, 1) == tuple(books(registered)["messages"][name] for name in ("received", "accepted", "quarantined"))


@pytest.mark.timeout(240)
def test_quarantine_is_folded_newest_first_and_what_is_discarded_stays_accounted(registered: ReefmeshCommand) -> None:
    for values in ({"mood": 1.0}, {"mood": 2.0}, {"luck": 3.0}):
        reading = telemetry(NOW, sea_water_temperature=28.2, **values)
        assert 0 == registered("send", "-", "--format", "telemetry", stdin=reading).code
    send = ("send", "-", "--format", "nemopi-mqtt", "--buoy", "867740030000003")
    assert 1 == registered(*send, stdin=b"{").code
    rows = registered.json("quarantine", "list")
    assert [(None, "not-json", 1, "{"), ("luck", "unknown-channel", 1, "3.0"), ("mood", "unknown-channel", 2, "2.0")] == [
        (each["quantity"], each["reason"], each["entries"], each["example"]) for each in rows
    ]
    assert rows[2]["first_at"] < rows[2]["last_at"] < rows[1]["last_at"] < rows[0]["last_at"]
    shown = registered("quarantine", "list", "--reason", "unknown-channel").out
    assert shown.index("luck") < shown.index("mood")
    assert "not-json" not in shown
    assert 78 == registered("quarantine", "discard").code
    gone = registered("quarantine", "discard", "--all", "--quantity", "mood")
    assert (0, "2 entries discarded\n") == (gone.code, gone.out)
    again = registered("quarantine", "discard", rows[2]["row_id"])
    assert (78, True) == (again.code, "no row" in again.err)
    (entry,) = registered.json("quarantine", "list", "--entries", "--reason", "not-json")
    assert 0 == registered("quarantine", "discard", entry["quarantine_id"]).code
    assert ["luck"] == [each["quantity"] for each in registered.json("quarantine", "list")]
    assert ["discarded", "open", "discarded", "discarded"] == [
        each["status"] for each in registered.json("quarantine", "list", "--all")
    ]
    assert 3 == books(registered)["entries_removed"]
    said = registered("quarantine", "replay", rows[1]["row_id"])
    assert (0, "1 message sent again: 1 duplicate\n") == (said.code, said.out)
    assert 0 == registered("quarantine", "discard", rows[1]["row_id"]).code
    assert [] == registered.json("quarantine", "list")


@pytest.mark.parametrize("columns", [80, 50])
def test_status_in_a_narrow_terminal_breaks_no_word_and_shows_every_age(columns: int, registered: ReefmeshCommand) -> None:
    at = NOW - timedelta(days=3)
    assert 0 == registered("send", "-", "--format", "telemetry", stdin=telemetry(at, sea_water_temperature=28.0)).code
    for arguments in (("status",), ("status", "--reef", "amed")):
        ended = registered(*arguments, environment={"COLUMNS": str(columns)})
        assert max(map(len, ended.out.splitlines())) <= columns
        said = " ".join(ended.out.split())
        assert "data age" in said
        assert "3 days" in said
        assert {"unknown", "nights", "episode"} <= set(said.split())
        assert "\x1b" not in ended.out
    solar_date = (at + timedelta(hours=REEFS_LONGITUDE_DEGREES / 15)).date()
    assert f"{solar_date}, {(NOW.date() - solar_date).days} days ago" in said


@pytest.mark.timeout(240)
def test_buoy_set_by_options_and_shown_in_the_form_that_set_takes(registered: ReefmeshCommand) -> None:
    options = ("--reef", "lovina", "--report-interval", "900", "--waking-hours", "[22, 12]")
    assert 0 == registered("buoys", "set", "agent-2", *options, "drift_limit_metres=40").code
    document = registered.json("buoys", "show", "agent-2")
    assert ("lovina", 900, [22, 12], 40.0) == tuple(
        document[name] for name in ("reef", "report_interval_seconds", "waking_hours_utc", "drift_limit_metres")
    )
    lines = registered("buoys", "show", "agent-2").out.splitlines()
    assert 0 == registered("buoys", "set", "agent-3", *(line for line in lines if not line.startswith("id="))).code
    assert document | {"id": "agent-3"} == registered.json("buoys", "show", "agent-3")
    twice = registered("reefs", "set", "amed", "--mmm", "29", "mmm_celsius=30")
    assert (78, "reefmesh: mmm_celsius is stated twice: 30 and 29\n") == (twice.code, twice.err)


def test_simulation_without_a_mesh_says_so(registered: ReefmeshCommand) -> None:
    simulate = ("simulate", "--reefs", "1", "--port", "0", "--log-level", "error")
    with registered.running(*simulate) as alone:
        alone.await_line(f"No mesh is up in {registered.home}: what is sent waits there until 'reefmesh up'")
        assert 0 == alone.stop().code
    with registered.up() as up, registered.running(*simulate) as beside:
        beside.await_line("buoys send until Ctrl-C")
        assert "No mesh" not in beside.stop().err
        assert 0 == up.stop().code
