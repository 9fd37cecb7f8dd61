"""Telemetry of every format to one report. The format is the one that the message declares; it is never guessed."""

from collections.abc import Callable
from typing import Final

from reefmesh.contracts.schema import NEMOPI_2021_1, NEMOPI_MQTT_1, TELEMETRY_1
from reefmesh_ingest.domain.decode import nemopi_2021, nemopi_mqtt, telemetry
from reefmesh_ingest.domain.decode.refusals import Reason, Refusal, RefusedPart
from reefmesh_ingest.domain.decode.report import Observation, Report, SensorSample

__all__ = ["DECODERS", "Observation", "Reason", "Refusal", "RefusedPart", "Report", "SensorSample", "decode"]

DECODERS: Final[dict[str, Callable[[bytes], Report | Refusal]]] = {
    NEMOPI_MQTT_1: nemopi_mqtt.decode,
    NEMOPI_2021_1: nemopi_2021.decode,
    TELEMETRY_1: telemetry.decode,
}


def decode(schema_id: str, payload: bytes) -> Report | Refusal:
    """Decode a payload of any bytes; only a fault of a decoder itself raises."""
    decoder = DECODERS.get(schema_id)
    if decoder is None:
        known = ", ".join(DECODERS)
        return Refusal(reason=Reason.UNKNOWN_SCHEMA, detail=f"{schema_id!r} is not one of {known}")
    return decoder(payload)
