"""Schema names and their version rule.

A schema id is ``name/major``. Any change of a body's fields or meaning is a new major: bodies are closed, so there is no
compatible addition. Consumers are deployed before producers and read every major that they list. A message of another
major is quarantined (telemetry) or parked (inside the mesh); nobody guesses its meaning.
"""

from collections.abc import Collection, Mapping
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import PoisonMessage
from reefmesh.mistake_sentence import sentence_of

TELEMETRY_1: Final = "telemetry/1"
NEMOPI_MQTT_1: Final = "nemopi-mqtt/1"
NEMOPI_2021_1: Final = "nemopi-2021/1"
READINGS_1: Final = "readings/1"
READINGS_2: Final = "readings/2"
SCORES_1: Final = "scores/1"
SCORES_2: Final = "scores/2"
ALERT_1: Final = "alert/1"
ALERT_2: Final = "alert/2"
QUARANTINE_1: Final = "quarantine/1"
EXCLUSION_1: Final = "exclusion/1"

Body = TypeVar("Body")


def read_body(message: Envelope, readers: Mapping[str, TypeAdapter[Body]]) -> Body:
    """Validate a message's JSON body by the schema that it declares.

    Raises:
        PoisonMessage: ``unknown-schema`` when no reader takes that version, ``bad-body`` when the body breaks it.
    """
    reader = readers.get(message.schema_id)
    if reader is None:
        raise unknown_schema(message.schema_id, readers)
    try:
        return reader.validate_json(message.body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise PoisonMessage("bad-body", f"{place}: {sentence_of(first)}") from error


def unknown_schema(schema_id: str, known: Collection[str]) -> PoisonMessage:
    return PoisonMessage("unknown-schema", f"{schema_id} is not one of {', '.join(sorted(known))}")
