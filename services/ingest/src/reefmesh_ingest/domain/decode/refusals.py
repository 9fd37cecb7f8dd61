"""Why telemetry is refused: a closed list of reasons, each with a sentence for a person."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

DETAIL_CHARACTERS_LIMIT: Final = 1000
EXAMPLE_BYTES_LIMIT: Final = 4096
PARTS_LIMIT: Final = 64

OWN_FIGURES: Final = frozenset({"vbat", "battery_level"})
"""What devices call the figures of their own status."""

Scope = Literal["message", "reading", "channel"]


class Reason(StrEnum):
    """The slug of a refusal; ``sentence`` explains it to a person."""

    EMPTY = "empty"
    TOO_LARGE = "too-large"
    NOT_TEXT = "not-text"
    NOT_JSON = "not-json"
    TOO_DEEP = "too-deep"
    WRONG_STRUCTURE = "wrong-structure"
    UNKNOWN_SCHEMA = "unknown-schema"
    UNKNOWN_MSG_TYPE = "unknown-msg-type"
    DECODER_FAULT = "decoder-fault"
    NO_DEVICE = "no-device"
    DEVICE_MISMATCH = "device-mismatch"
    SPOOFED = "spoofed"
    UNKNOWN_DEVICE = "unknown-device"
    NOT_DEPLOYED = "not-deployed"
    WRONG_REEF = "wrong-reef"
    BAD_READING = "bad-reading"
    UNKNOWN_QUANTITY = "unknown-channel"
    UNKNOWN_SENSOR = "unknown-sensor"
    UNKNOWN_MODEL = "unknown-model"
    AMBIGUOUS_SENSOR = "ambiguous-sensor"
    REPEATED_QUANTITY = "repeated-channel"
    WRONG_UNIT = "wrong-unit"
    NOT_A_NUMBER = "not-a-number"
    NUMBER_OUT_OF_RANGE = "number-out-of-range"
    BAD_CORRECTION = "bad-correction"
    BAD_TIME = "bad-time"
    BAD_POSITION = "bad-position"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES: Final = {
    Reason.EMPTY: "The message has no content.",
    Reason.TOO_LARGE: "The message is larger than a buoy's report may be.",
    Reason.NOT_TEXT: "The bytes are not text in an encoding of this format; part of them may have been lost or changed.",
    Reason.NOT_JSON: "The text is not a JSON document; it may have been cut off.",
    Reason.TOO_DEEP: "The JSON document is nested deeper than any report is.",
    Reason.WRONG_STRUCTURE: "The document is not built as its declared format says.",
    Reason.UNKNOWN_SCHEMA: "The declared format, or its version, is not one that ingest can read.",
    Reason.UNKNOWN_MSG_TYPE: "The device sent a type of message that is not known.",
    Reason.DECODER_FAULT: "The decoder failed on this message; that is a fault of reefmesh, not of the device.",
    Reason.NO_DEVICE: "Neither the transport nor the message says which device sent it.",
    Reason.DEVICE_MISMATCH: "The message names another device than the one that the transport knew.",
    Reason.SPOOFED: "The broker user that sent the message may not send for this device; if it may, name it in the settings.",
    Reason.UNKNOWN_DEVICE: "The device is not in the register; register it, and its telemetry is replayed.",
    Reason.NOT_DEPLOYED: "The register says that this buoy is not deployed, so its readings are of no reef.",
    Reason.WRONG_REEF: "The message came under another reef than the one where the buoy is registered.",
    Reason.BAD_READING: "This reading of the batch is not built as the format says; the others were used.",
    Reason.UNKNOWN_QUANTITY: "The name is not a quantity that reefmesh knows.",
    Reason.UNKNOWN_SENSOR: "The sensor is not known, and the register does not say which quantity it measures.",
    Reason.UNKNOWN_MODEL: "The sensor model is not known, and the register does not say which quantity it measures.",
    Reason.AMBIGUOUS_SENSOR: "Several sensors measure this quantity, and the register does not say which one is to be used.",
    Reason.REPEATED_QUANTITY: "The report has a second value for the same quantity; the first was used.",
    Reason.WRONG_UNIT: "The stated unit cannot be right for this quantity; set the unit in the register.",
    Reason.NOT_A_NUMBER: "The value is not a number.",
    Reason.NUMBER_OUT_OF_RANGE: "The number is infinite, not a number, or larger than any measurement.",
    Reason.BAD_CORRECTION: "The correction factor is not a number between 0.01 and 100.",
    Reason.BAD_TIME: "The time of the measurement cannot be read, or has no offset from UTC.",
    Reason.BAD_POSITION: "The position is not a latitude and a longitude in degrees.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A whole message that was refused."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPart:
    """Something of a message that was refused: all of it, a reading, or one quantity of a reading.

    One part stands for all readings of the message with the same trouble: ``readings`` counts them, ``example`` is the
    first refused JSON value (at most ``EXAMPLE_BYTES_LIMIT``). ``name`` is the quantity's or the sensor's. Of a whole
    message ``readings`` are those that it held.
    """

    scope: Scope
    reason: Reason
    detail: str
    name: str | None = None
    example: bytes = b""
    readings: int = 1

    @property
    def is_of_sensor(self) -> bool:
        """It is a value of a sensor, not the device's position or a figure of its own status."""
        return self.scope == "channel" and self.reason != Reason.BAD_POSITION and self.name not in OWN_FIGURES


class RefusedParts:
    """Collects parts of one message, merging equal trouble; beyond ``PARTS_LIMIT`` what has the same reason is merged."""

    def __init__(self, parts: Iterable[RefusedPart] = ()) -> None:
        self.added = 0
        """How often something was added; it tells whether anything was since."""
        self._parts: dict[tuple[str, str | None, Reason], RefusedPart] = {}
        for part in parts:
            self.add(part)

    def add(self, part: RefusedPart) -> None:
        self.added += 1
        key = (part.scope, part.name, part.reason)
        first = self._parts.get(key)
        if first is None and len(self._parts) >= PARTS_LIMIT:
            key = (part.scope, None, part.reason)
            first = self._parts.get(key)
        if first is None:
            self._parts[key] = part
            return
        self._parts[key] = replace(first, readings=first.readings + part.readings)

    def refuse_readings(self, readings: int) -> None:
        """Refuse readings of which nothing is left, each of which had a refused value: the first kind of value that was refused
        stands for them, so that one trouble makes one entry."""
        first = next(part for part in self._parts.values() if part.scope == "channel")
        del self._parts[first.scope, first.name, first.reason]
        if first.readings > readings:
            self._parts[first.scope, first.name, first.reason] = replace(first, readings=first.readings - readings)
        detail = f"{first.detail}; nothing else was in the reading"
        self.add(replace(first, scope="reading", detail=detail, readings=readings))

    def collected(self) -> tuple[RefusedPart, ...]:
        return tuple(self._parts.values())
