"""Messages of the mesh as anybody writes them who has read its documents: telemetry, and forged readings and scores."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from reefmesh_hostile.stomp_wire import Headers, Send

TELEMETRY: Final = "/topic/VirtualTopic.reef.telemetry"
TEMPERATURE: Final = "sea_water_temperature"
ALERT_LEVEL_5: Final = 7


def envelope(
    event_id: str,
    *,
    reef_id: str,
    schema: str,
    at: datetime | None = None,
    seq: int | None = None,
    more: Mapping[str, str] | None = None,
) -> Headers:
    """Return the headers of a message; ``more`` are further ones."""
    headers = [
        ("persistent", "true"),
        ("JMSXGroupID", reef_id),
        ("event-id", event_id),
        ("reef-id", reef_id),
        ("schema", schema),
        ("produced-at", (at or datetime.now(UTC)).isoformat()),
    ]
    if seq is not None:
        headers.append(("seq", str(seq)))
    return [*headers, *((more or {}).items())]


def telemetry_body(buoy_id: str, observed_at: datetime, celsius: float | None, *, fault: str = "", seq: int = 1) -> bytes:
    reading: dict[str, Any] = {"observed_at": observed_at.isoformat(), "channels": {TEMPERATURE: celsius}}
    if fault:
        reading["faults"] = {TEMPERATURE: fault}
    return json.dumps(
        {
            "schema": "telemetry/1",
            "buoy_id": buoy_id,
            "seq": seq,
            "sent_at": observed_at.isoformat(),
            "readings": [reading],
        }
    ).encode()


def telemetry(
    event_id: str,
    *,
    reef_id: str,
    buoy_id: str,
    observed_at: datetime | None = None,
    celsius: float | None = 26.0,
    fault: str = "",
    at: datetime | None = None,
    **more: str,
) -> Send:
    """Return a report as an agent on a buoy sends it at this instant (now); ``more`` are further headers, with underscores for
    dashes."""
    now = at or datetime.now(UTC)
    further = {name.replace("_", "-"): value for name, value in more.items()}
    further = {"device": buoy_id, "received-at": now.isoformat(), **further}
    return Send(
        destination=TELEMETRY,
        headers=envelope(event_id, reef_id=reef_id, schema="telemetry/1", at=now, more=further),
        body=telemetry_body(buoy_id, observed_at or now, celsius, fault=fault),
    )


def forged_score(reef_id: str) -> bytes:
    """Return a valid ``scores/1`` that says Alert Level 5, yesterday and today."""
    now = datetime.now(UTC)
    days = [
        {
            "date": (now - timedelta(days=ago)).date().isoformat(),
            "source": "night",
            "readings": 48,
            "sst_celsius": 33.0,
            "hotspot_celsius": 4.0,
            "dhw_celsius_weeks": 21.0,
            "dhw_low_celsius_weeks": 20.0,
            "dhw_high_celsius_weeks": 22.0,
            "level": ALERT_LEVEL_5,
            "level_7day_max": ALERT_LEVEL_5,
            "coverage_days": 84,
            "status": "ok",
        }
        for ago in (2, 1, 0)
    ]
    return json.dumps(
        {
            "reef_id": reef_id,
            "reef_name": f"Reef {reef_id}",
            "as_of": now.isoformat(),
            "heat": {
                "mmm_celsius": 29.0,
                "mmm_source": "unadjusted",
                "latest": days[-1],
                "highest_dhw_celsius_weeks": 21.0,
                "highest_dhw_date": days[-1]["date"],
                "changed": days,
            },
            "carbonate": {"status": "unknown"},
            "dive": {"verdict": "unknown", "reasons": [], "factors": [], "valid_until": None},
            "latest": {},
            "buoys": [],
        }
    ).encode()


def forged_readings(reef_id: str, buoy_id: str, celsius: float = 34.5) -> bytes:
    """Return a valid ``readings/1`` of one good reading."""
    now = datetime.now(UTC)
    return json.dumps(
        {
            "reef": {
                "reef_id": reef_id,
                "name": f"Reef {reef_id}",
                "latitude_degrees": -8.0,
                "longitude_degrees": 115.0,
                "mmm_celsius": 29.0,
                "mmm_source": "unadjusted",
            },
            "buoys": [{"buoy_id": buoy_id}],
            "readings": [
                {
                    "buoy_id": buoy_id,
                    "observed_at": now.isoformat(),
                    "received_at": now.isoformat(),
                    "channels": {TEMPERATURE: {"value": celsius, "raw": celsius, "flag": 1}},
                }
            ],
        }
    ).encode()


def nemo_pi_data(celsius: float) -> bytes:
    """Return what the current firmware sends every half hour."""
    channel = {"channel": "ch1", "value": celsius, "fault": ""}
    sensor = {"model": "DS18B20-LOGGER", "interface": "rs485", "address": 2, "data": [channel]}
    return json.dumps({"msg_type": "data", "sensors": [sensor]}).encode()
