"""One message as the broker takes it in, and the three formats that devices write."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import NEMOPI_2021_1, NEMOPI_MQTT_1, TELEMETRY_1

Values = Mapping[str, float | None]
"""Quantity -> value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message of ``device`` that the broker takes in at ``received_at``."""

    received_at: datetime
    device: str
    schema_id: str
    body: bytes

    def envelope(self, reef_id: str, number: int) -> Envelope:
        return Envelope(
            event_id=str(uuid5(NAMESPACE_URL, f"{self.device}/{self.received_at.isoformat()}/{number}")),
            reef_id=reef_id,
            schema_id=self.schema_id,
            produced_at=self.received_at,
            body=self.body,
            headers={"device": self.device, "received-at": self.received_at.isoformat()},
        )


def telemetry(
    device: str, received_at: datetime, readings: Sequence[tuple[datetime, Values]], *, sent_at: datetime | None = None
) -> Delivery:
    """Return a message of our own format; the device's clock at the sending is ``sent_at``, else that of the reception."""
    document = {
        "schema": TELEMETRY_1,
        "buoy_id": device,
        "seq": 1,
        "sent_at": (sent_at or received_at).isoformat(),
        "readings": [{"observed_at": at.isoformat(), "channels": dict(values)} for at, values in readings],
    }
    return Delivery(received_at=received_at, device=device, schema_id=TELEMETRY_1, body=json.dumps(document).encode())


def nemopi(device: str, received_at: datetime, **document: Any) -> Delivery:
    """Return a message of the firmware of today, which has no clock."""
    return Delivery(received_at=received_at, device=device, schema_id=NEMOPI_MQTT_1, body=json.dumps(document).encode())


def nemopi_2021(device: str, received_at: datetime, *measurements: tuple[str, str, str, str]) -> Delivery:
    """Return a report of the 2021 generation; a measurement is (serial number of the sensor, its name, unit, value)."""
    body = {
        "serial_number": device,
        "battery_level": "71.5",
        "latitude": "-8.33",
        "longitude": "115.64",
        "measurements": [
            {
                "sensor": {
                    "correction_value": None,
                    "details": {"name": name, "unit": unit},
                    "serial_number": serial,
                    "name": name,
                },
                "value": value,
                "error_text": "",
                "datetime": received_at.isoformat(),
            }
            for serial, name, unit, value in measurements
        ],
    }
    return Delivery(received_at=received_at, device=device, schema_id=NEMOPI_2021_1, body=json.dumps(body).encode())
