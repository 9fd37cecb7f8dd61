"""What the columns of a file hold: by their names and units, or as the operator says with ``--column`` and ``--unit``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from reefmesh.contracts.quantities import (
    NITRATE_AND_NITRITE,
    PCO2,
    PH_TOTAL_SCALE,
    SALINITY,
    SEA_WATER_SPEED,
    SEA_WATER_TEMPERATURE,
    SEA_WATER_TO_DIRECTION,
    UNITS,
    VISIBILITY,
)
from reefmesh.errors import ConfigurationError
from reefmesh_standalone.records.mistake import mistake, shown
from reefmesh_standalone.records.units import Conversion, conversion_of, is_temperature, needs_unit

IGNORED: Final = "ignored"
TIME: Final = "time"
DATE: Final = "date"

_NAMES: Final[dict[str, tuple[str, ...]]] = {
    SEA_WATER_TEMPERATURE: (
        "temp",
        "temperature",
        "water_temp",
        "watertemp",
        "water_temperature",
        "watertemperature",
        "wtmp",
        "wtemp",
        "otmp",
        "sea_temp",
        "sea_temperature",
        "sea_surface_temperature",
        "sea_water_temp",
        "sst",
    ),
    PH_TOTAL_SCALE: ("ph_total", "ph_total_scale", "total_scale_ph", "ph_on_total_scale"),
    PCO2: ("pco2", "pco2_water", "water_pco2", "pco2_sea_water"),
    NITRATE_AND_NITRITE: ("nitrate_nitrite", "nitrate_and_nitrite", "nitrate_plus_nitrite", "no3_no2"),
    SEA_WATER_SPEED: ("current_speed", "water_speed", "sea_current_speed"),
    SEA_WATER_TO_DIRECTION: ("current_direction", "current_to_direction"),
    SALINITY: ("salinity", "practical_salinity", "sal", "psal"),
    VISIBILITY: ("water_visibility", "visibility_underwater"),
}
_QUANTITIES: Final = {name: name for name in UNITS} | {name: quantity for quantity, names in _NAMES.items() for name in names}
_SCALE_UNSTATED: Final = frozenset({"ph", "sea_water_ph", "water_ph"})
_UNIT_ENDINGS: Final = {
    "_c": "degC",
    "_degc": "degC",
    "_celsius": "degC",
    "_f": "degF",
    "_degf": "degF",
    "_fahrenheit": "degF",
    "_psu": "psu",
    "_uatm": "uatm",
    "_m_s": "m/s",
    "_cm_s": "cm/s",
    "_kn": "kn",
}
_TIME_NAMES: Final = frozenset({"time", "datetime", "date_time", "timestamp", "time_stamp", "observed_at", "time_utc"})
_DATE_NAMES: Final = frozenset({"date"})
_COMPANIONS: Final = frozenset(
    {"", "id", "index", "no", "nr", "number", "record", "row", "latitude", "longitude", "lat", "lon"}
    | {"station", "station_id", "station_name", "platform", "buoy", "buoy_id", "reef", "reef_id", "site", "depth", "z"}
)
"""Columns that stand beside the quantities and are no quantity; a strict format knows these."""
_UNIT_IN_BRACKETS: Final = re.compile(r"^(?P<name>.*?)\s*[(\[]\s*(?P<unit>[^()\[\]]*?)\s*[)\]]\s*$")
_OFFSET_IN_NAME: Final = re.compile(r"(?:\b|_)(?:GMT|UTC)\s*(?:[+-]\s*\d{1,2}(?::?\d{2})?)?(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """One column as the file names it. ``name`` is the title without unit, serial numbers and offset."""

    title: str
    name: str
    unit: str = ""

    @property
    def key(self) -> str:
        return key_of(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnUse:
    """How one column was understood: its quantity and conversion, or ``time``, ``date``, or nothing, and why."""

    place: int
    title: str
    use: str
    conversion: Conversion | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRules:
    """What the operator says of columns. ``uses`` and ``units``: name -> use or unit. ``is_strict``: a column that nobody
    understands is a mistake, where a format brings none of its own."""

    uses: Mapping[str, str]
    units: Mapping[str, str]
    is_strict: bool


def key_of(name: str) -> str:
    """Return a name as it is compared: lower case, words joined by one underscore."""
    return "_".join(re.findall(r"[^\W_]+", name.lower()))


def heading_of(title: str, *, unit: str = "") -> Heading:
    """Return a heading with the unit in brackets or at the end of its name taken apart; ``unit`` if stated elsewhere."""
    text = " ".join(title.split())
    name = text
    if not unit and (found := _UNIT_IN_BRACKETS.match(text)) and found["name"]:
        name, unit = found["name"], found["unit"]
    if not unit and key_of(name) not in _QUANTITIES:
        for ending, known in _UNIT_ENDINGS.items():
            key = key_of(name)
            if key.endswith(ending) and key.removesuffix(ending) in _QUANTITIES:
                name, unit = key.removesuffix(ending), known
                break
    return Heading(title=text, name=name, unit=unit)


def is_time(heading: Heading) -> bool:
    """Tell whether a column of this name holds times, or the time of day beside dates."""
    return key_of(_OFFSET_IN_NAME.sub(" ", heading.name)) in _TIME_NAMES


def is_date(heading: Heading) -> bool:
    return key_of(heading.name) in _DATE_NAMES


def offset_in(heading: Heading) -> str:
    """Return what a time column's name or unit says of the offset or zone: ``GMT+08:00``, ``UTC``, ``PDT``; else empty."""
    found = _OFFSET_IN_NAME.search(heading.title)
    return found[0].strip("_ ") if found else heading.unit


def quantity_named(text: str) -> str | None:
    """Return the quantity that a name stands for; None for an unknown name, and for a pH whose scale is not stated."""
    return _QUANTITIES.get(key_of(text))


def uses_of(path: Path, headings: Sequence[Heading], rules: ColumnRules) -> list[ColumnUse]:
    """Return how every column is used, in the order of the file.

    Raises:
        ConfigurationError: a column that ``rules`` name is not there, two columns for one quantity, a unit that cannot be
            right or is not stated, no time, no quantity, or (if strict) a column that nobody understands.
    """
    said = _said(path, headings, rules.uses, option="--column")
    units = _said(path, headings, rules.units, option="--unit", quantities=said)
    uses = [
        _use_of(path, place, heading, rules, said=said.get(place), unit=units.get(place))
        for place, heading in enumerate(headings)
    ]
    uses = _without_guesses_beside(uses, {said[place] for place in said})
    _refuse_repeated(path, uses)
    if not any(use.use in UNITS for use in uses):
        titles = ", ".join(shown(heading.title) for heading in headings[:12])
        raise mistake(path, f"has no column of a known quantity among {titles}; name one with --column NAME=QUANTITY")
    return uses


def _said(
    path: Path,
    headings: Sequence[Heading],
    stated: Mapping[str, str],
    *,
    option: str,
    quantities: Mapping[int, str] | None = None,
) -> dict[int, str]:
    """Return place -> what the operator says of it; a column is named by its title, its name, its place or its quantity."""
    found: dict[int, str] = {}
    for name, value in stated.items():
        places = _places(headings, name)
        if not places and quantities is not None and (quantity := quantity_named(name)) is not None:
            places = [place for place in range(len(headings)) if _quantity_at(headings, quantities, place) == quantity]
        if len(places) != 1:
            titles = ", ".join(shown(heading.title) for heading in headings[:12])
            what = "is no column" if not places else "is the name of several columns; give its whole title or its number"
            raise mistake(path, f"{option} {shown(name)} {what}; there are {titles}")
        use = value if option == "--unit" else _use_named(value)
        if use is None:
            raise ConfigurationError(_unknown_use(name, value))
        found[places[0]] = use
    return found


def _quantity_at(headings: Sequence[Heading], quantities: Mapping[int, str], place: int) -> str | None:
    return quantities.get(place, quantity_named(headings[place].name))


def _places(headings: Sequence[Heading], name: str) -> list[int]:
    tries: Iterable[list[int]] = (
        [place for place, heading in enumerate(headings) if heading.title == name.strip()],
        [place for place, heading in enumerate(headings) if key_of(heading.title) == key_of(name)],
        [place for place, heading in enumerate(headings) if heading.key == key_of(name)],
        [int(name) - 1] if name.isdecimal() and 0 < int(name) <= len(headings) else [],
    )
    return next((places for places in tries if places), [])


def _use_named(text: str) -> str | None:
    return text.strip() if text.strip() in (TIME, DATE, IGNORED) else quantity_named(text)


def _unknown_use(name: str, value: str) -> str:
    if key_of(value) in _SCALE_UNSTATED:
        return f"--column {shown(name)}: on which scale is that pH? The total scale is {PH_TOTAL_SCALE}; else {IGNORED}"
    near = get_close_matches(key_of(value), [*_QUANTITIES, TIME, DATE, IGNORED], n=1)
    meant = f"; is {near[0]} meant?" if near else ""
    return f"--column {shown(name)}={value!s}: not one of {', '.join(UNITS)}, {TIME}, {DATE}, {IGNORED}{meant}"


def _use_of(path: Path, place: int, heading: Heading, rules: ColumnRules, *, said: str | None, unit: str | None) -> ColumnUse:
    """Return the use of one column; ``said`` and ``unit`` are the operator's."""
    why = "--column" if said is not None else "its name"
    use = said
    if use is None:
        if is_time(heading) or is_date(heading):
            return ColumnUse(place=place, title=heading.title, use=DATE if is_date(heading) else TIME, why=why)
        use = quantity_named(heading.name)
    if use is None and is_temperature(heading.unit) and not rules.is_strict and not _is_other_temperature(heading):
        use, why = SEA_WATER_TEMPERATURE, "its unit"
    if use is None:
        return ColumnUse(place=place, title=heading.title, use=IGNORED, why=_unread(path, heading, rules))
    if use not in UNITS:
        return ColumnUse(place=place, title=heading.title, use=use, why=why)
    written = heading.unit if unit is None else unit
    if not written and heading.key in UNITS:
        written = UNITS[heading.key]
    if not written and needs_unit(use):
        said_to = f"give --unit {shown(heading.title)}={UNITS[use]}, or the unit that it has"
        raise mistake(path, f"column {shown(heading.title)} states no unit for {use}; {said_to}")
    conversion = conversion_of(use, written)
    if conversion is None:
        said_to = "give the right one with --unit NAME=UNIT, or --column NAME=ignored"
        raise mistake(path, f"column {shown(heading.title)}: {shown(written)} cannot be a unit of {use}; {said_to}")
    return ColumnUse(
        place=place, title=heading.title, use=use, conversion=conversion, why=why if unit is None else f"{why}, --unit"
    )


def _unread(path: Path, heading: Heading, rules: ColumnRules) -> str:
    """Return why a column is not read.

    Raises:
        ConfigurationError: the rules are strict, and nobody said what it is.
    """
    if heading.key in _COMPANIONS:
        return "no quantity"
    said_to = f"give --column {shown(heading.title)}=QUANTITY"
    why = "not a quantity of reefmesh"
    if heading.key in _SCALE_UNSTATED:
        why = "a pH of an unstated scale"
        said_to = f"give --column {shown(heading.title)}={PH_TOTAL_SCALE} if it is the total scale"
    if rules.is_strict:
        known = ", ".join(UNITS)
        raise mistake(path, f"unknown column {shown(heading.title)}, {why}; {said_to} or =ignored; known are {known}")
    return why


def _is_other_temperature(heading: Heading) -> bool:
    words = set(heading.key.split("_"))
    return bool(words & {"air", "dew", "dewpoint", "internal", "logger", "board", "device", "wetbulb", "bulb", "chill"})


def _without_guesses_beside(uses: list[ColumnUse], said: set[str]) -> list[ColumnUse]:
    """A quantity that ``--column`` gives to one column is no other's by its name."""
    return [
        ColumnUse(place=use.place, title=use.title, use=IGNORED, why=f"--column names another one for {use.use}")
        if use.use in said and not use.why.startswith("--column") and use.use != IGNORED
        else use
        for use in uses
    ]


def _refuse_repeated(path: Path, uses: Sequence[ColumnUse]) -> None:
    taken: dict[str, ColumnUse] = {}
    for use in uses:
        if use.use == IGNORED:
            continue
        if (first := taken.setdefault(use.use, use)) is not use:
            both = f"columns {shown(first.title)} and {shown(use.title)} both hold {use.use}"
            raise mistake(path, f"{both}; name one with --column NAME={use.use}")
