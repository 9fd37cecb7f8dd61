"""reefmesh's own format (``telemetry/1``): a batch of readings of one buoy, in the units of ``contracts.quantities``.

A batch without trouble is validated in one call. Otherwise it is taken apart: what concerns the whole batch refuses it,
a bad reading is refused alone, and so is a bad quantity of a good reading.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from typing_extensions import TypedDict

from reefmesh.contracts.contract import BuoyId
from reefmesh.contracts.quantities import UNITS
from reefmesh.contracts.readings import READINGS_PER_MESSAGE_LIMIT
from reefmesh.mistake_sentence import sentence_of
from reefmesh_ingest.domain.decode.document import open_text, parse_object
from reefmesh_ingest.domain.decode.refusals import Reason, Refusal, RefusedPart, RefusedParts
from reefmesh_ingest.domain.decode.report import Observation, Report
from reefmesh_ingest.domain.decode.values import (
    MAGNITUDE_LIMIT,
    clean_text,
    example_of,
    instant_us_of,
    number_of,
    position_of,
    us_of,
)

QUANTITIES_PER_READING_LIMIT: Final = 64
FAULT_CHARACTERS_LIMIT: Final = 500

_CLOSED: Final = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_KNOWN: Final = UNITS.keys()

_Quantity = Annotated[str, Field(max_length=128)]
_Number = Annotated[float, Field(ge=-MAGNITUDE_LIMIT, le=MAGNITUDE_LIMIT)]
_Words = Annotated[str, Field(max_length=FAULT_CHARACTERS_LIMIT)]


class SentPosition(TypedDict):
    __pydantic_config__ = _CLOSED  # type: ignore[misc]  # pydantic's documented way to configure a TypedDict
    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]


class SentReading(TypedDict):
    __pydantic_config__ = _CLOSED  # type: ignore[misc]  # as above
    observed_at: AwareDatetime
    position: NotRequired[SentPosition | None]
    channels: Annotated[dict[_Quantity, _Number | None], Field(max_length=QUANTITIES_PER_READING_LIMIT)]
    faults: NotRequired[Annotated[dict[_Quantity, _Words], Field(max_length=QUANTITIES_PER_READING_LIMIT)]]


class _Frame(TypedDict):
    """Everything of a batch but its readings."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]  # as above
    schema: Literal["telemetry/1"]
    buoy_id: BuoyId
    seq: Annotated[int, Field(ge=0, lt=2**63)]
    sent_at: AwareDatetime


class _Batch(_Frame):
    __pydantic_config__ = _CLOSED  # type: ignore[misc]  # as above
    readings: Annotated[list[SentReading], Field(min_length=1, max_length=READINGS_PER_MESSAGE_LIMIT)]


BATCH: Final = TypeAdapter(_Batch)
_FRAME: Final = TypeAdapter(_Frame)


def decode(payload: bytes) -> Report | Refusal:
    text = open_text(payload)
    if isinstance(text, Refusal):
        return text
    try:
        batch = BATCH.validate_json(text)
    except ValidationError:
        return _take_apart(text)
    refused: RefusedParts | None = None
    observations = []
    for reading in batch["readings"]:
        values, faults = reading["channels"], reading.get("faults")
        has_refused = False
        if not values.keys() <= _KNOWN or (faults and not faults.keys() <= _KNOWN):
            refused = refused or RefusedParts()
            values = _known(values, refused)
            faults = _known(faults or {}, refused)
            has_refused = True
        position = reading.get("position")
        observations.append(
            Observation(
                observed_us=us_of(reading["observed_at"]),
                values=values if not faults else {**dict.fromkeys(faults), **values},
                faults={name: clean_text(words, FAULT_CHARACTERS_LIMIT) for name, words in faults.items()} if faults else {},
                position=None if position is None else (position["lat"], position["lon"]),
                has_refused=has_refused,
            )
        )
    return Report(
        device=batch["buoy_id"],
        observations=tuple(observations),
        sent_us=us_of(batch["sent_at"]),
        refused=refused.collected() if refused is not None else (),
    )


def _known(named: dict[str, Any], refused: RefusedParts) -> dict[str, Any]:
    """Return the entries of known quantities; the others are refused one by one."""
    for name in named.keys() - _KNOWN:
        refused.add(_quantity_trouble(name, Reason.UNKNOWN_QUANTITY, named[name]))
    return {name: value for name, value in named.items() if name in _KNOWN}


def _take_apart(text: bytes) -> Report | Refusal:
    document = parse_object(text)
    if isinstance(document, Refusal):
        return document
    readings = document.pop("readings", None)
    if not isinstance(readings, list) or not 1 <= len(readings) <= READINGS_PER_MESSAGE_LIMIT:
        detail = f"readings must be a list of 1 to {READINGS_PER_MESSAGE_LIMIT} readings"
        return Refusal(reason=Reason.WRONG_STRUCTURE, detail=detail)
    try:
        frame = _FRAME.validate_json(to_json(document, inf_nan_mode="constants"))
    except ValidationError as error:
        return Refusal(reason=Reason.WRONG_STRUCTURE, detail=_first_of(error))
    refused = RefusedParts()
    observations = []
    for place, reading in enumerate(readings):
        taken = _observation(reading, refused)
        if isinstance(taken, Observation):
            observations.append(taken)
        else:
            refused.add(
                RefusedPart(
                    scope="reading",
                    reason=Reason.BAD_READING,
                    detail=f"readings[{place}]: {taken}",
                    example=example_of(reading),
                )
            )
    sent_at: datetime = frame["sent_at"]
    return Report(
        device=frame["buoy_id"],
        observations=tuple(observations),
        sent_us=us_of(sent_at),
        refused=refused.collected(),
    )


def _observation(reading: object, refused: RefusedParts) -> Observation | str:
    """Return one reading of a batch in trouble, or what is wrong with it."""
    if not isinstance(reading, dict):
        return "a reading must be an object"
    extra = reading.keys() - {"observed_at", "position", "channels", "faults"}
    if extra:
        return f"unknown field {clean_text(min(extra), 100)}"
    observed_us = instant_us_of(reading.get("observed_at"))
    if observed_us is None:
        return f"observed_at must be an instant with its offset, not {clean_text(reading.get('observed_at'), 100)}"
    channels, stated, place = reading.get("channels"), reading.get("faults", {}), reading.get("position")
    if not isinstance(channels, dict) or not isinstance(stated, dict):
        return "channels and faults must be objects"
    if max(len(channels), len(stated)) > QUANTITIES_PER_READING_LIMIT:
        return f"more than {QUANTITIES_PER_READING_LIMIT} channels"
    position = None
    added = refused.added
    if place is not None:
        if isinstance(place, dict) and place.keys() == {"lat", "lon"} and not any(isinstance(v, str) for v in place.values()):
            position = position_of(place["lat"], place["lon"])
        if position is None:
            refused.add(_quantity_trouble("position", Reason.BAD_POSITION, place))
    values: dict[str, float | None] = {}
    for name, value in _known(channels, refused).items():
        number = None if isinstance(value, str) else number_of(value)
        if number is not None or value is None:
            values[name] = number
        else:
            meant = isinstance(value, int | float) and not isinstance(value, bool)
            refused.add(_quantity_trouble(name, Reason.NUMBER_OUT_OF_RANGE if meant else Reason.NOT_A_NUMBER, value))
    faults = {name: clean_text(words, FAULT_CHARACTERS_LIMIT) for name, words in _known(stated, refused).items()}
    return Observation(
        observed_us=observed_us,
        values={**dict.fromkeys(faults), **values},
        faults=faults,
        position=position,
        has_refused=refused.added > added,
    )


def _quantity_trouble(name: str, reason: Reason, value: object) -> RefusedPart:
    return RefusedPart(
        scope="channel",
        reason=reason,
        name=clean_text(name, 128),
        detail=f"{clean_text(name, 128)} is {clean_text(value, 100)}",
        example=example_of(value),
    )


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(clean_text(str(part), 100) for part in first["loc"]) or "document"
    return f"{place}: {sentence_of(first)}"
