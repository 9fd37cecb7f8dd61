"""The records, numbered: what each is, what is right about it, and what the mesh said before it was mended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRow:
    record: str
    right: str
    before: str


ROWS: Final[Sequence[FieldRow]] = (
    FieldRow(
        record="A shallow lagoon, 100 days, hourly: 28.8 by night, up to 31.2 in the afternoon. Buoy A reports all day; "
        "buoy B only from 9 to 17 h by the sun",
        right="Neither is under stress. What B says is marked `daytime_only` wherever it is told",
        before="B: DHW 22.1, Alert Level 5, `ok`, six alerts",
    ),
    FieldRow(
        record="A fore reef of 30.2, every 10 minutes for 95 days, with a cold bore of five values every two hours",
        right="The mean of 29.36 counts: no DHW; or the day says how much of it was left out",
        before="54 % left out as suspect: DHW 14.4, Alert Level 3, `ok`",
    ),
    FieldRow(
        record="Calm water, every minute, from a probe with steps of 0.1 °C",
        right="One step of the sensor is no rate of change: nearly all pass",
        before="a third suspect",
    ),
    FieldRow(
        record="One message of 48 half-hourly readings from a clock that is 8 h ahead, its time of sending included",
        right="All 48 are moved by the same 8 h and marked",
        before="32 kept, 16 moved: two series mixed, a false warning",
    ),
    FieldRow(
        record="A table of local times: without an offset, with `--timezone`, and with +08:00 in each time",
        right="Without one the zone is asked for; with one there is no stress",
        before="taken as UTC: DHW 14.8, four alerts",
    ),
    FieldRow(
        record="A probe stuck for 48 h, 144 readings: one a message, 48, all; with and without a second buoy "
        "that has newer values",
        right="A `sensor_fault` at the same instant however the readings were cut",
        before="only with one reading a message",
    ),
    FieldRow(
        record="Temperature stops for two days while the pH of the same buoy goes on",
        right="An alert about the quantity that stopped",
        before="nothing",
    ),
    FieldRow(
        record="A current of 0.25 and 0.26 m/s in turns, every 5 minutes for 5 h; visibility 12 m",
        right="At most one alert",
        before="59 alerts",
    ),
    FieldRow(
        record='A Nemo-Pi that finds no sensor: `"sensors": {}` in `detect` and in `data`, three times',
        right="An empty list, no quarantine; it is told that no sensor was found",
        before="quarantined each time, no alert",
    ),
    FieldRow(
        record="Two probes of one logger: `ch1` null with a fault, `ch2` 28.6; then a logger with `ch2` alone",
        right="28.6 is the temperature, no fault is told, and the reading says which probe it is of",
        before="value lost, a false `sensor_fault`",
    ),
    FieldRow(
        record="A 12 V battery at 12.39, 10.2 and 9.1 V; another that says 12034",
        right="9.1 V raises an alert; 12034 is millivolts, or in quarantine",
        before="never an alert; 12,034 V",
    ),
    FieldRow(
        record="pH 8.17 of a hobby probe that was calibrated with NBS buffers, pCO2 400, 27 °C",
        right="Omega is that of pH 8.17 on the NBS scale: 3.38 by PyCO2SYS",
        before="6.49, good",
    ),
    FieldRow(
        record="A station file of NOAA with a day of `nan`, one with a HotSpot of -999 and one of -9999",
        right="Missing values; the other days count",
        before='"stopped by a bug"; a day of 0',
    ),
    FieldRow(
        record="What programs export: HOBOware (degF, offset in the column's name), ERDDAP (a line of units), NDBC, "
        "semicolons with decimal commas in cp1252",
        right="Read, in degC and UTC",
        before="refused",
    ),
    FieldRow(
        record="Half-hourly 28.x with one 85.0 and one -127, which a DS18B20 and its driver say instead of a value",
        right="These two fail and cost no other value; a person can exclude a value",
        before="both neighbours failed too; no command to exclude",
    ),
    FieldRow(
        record="48 reports that have the same wrong channels each: a current in ampere, two pH probes",
        right="One entry a device, channel and reason, with count, first and last",
        before="a list of every single one",
    ),
    FieldRow(
        record="A payload whose only sensor cannot be read",
        right="Not accepted",
        before="accepted",
    ),
    FieldRow(
        record="A station whose 100 days end in 1987",
        right="No level today; the last one with its date",
        before="Bleaching Watch, `ok`",
    ),
    FieldRow(
        record="Aragonite saturation of 3.98, 4.02 and 3.99 on three dates, known to a half; 4.05 before",
        right="No alert: the change is inside its own error",
        before="three alerts",
    ),
    FieldRow(
        record="Reports every 30 minutes that arrive in batches of 3 h, for two days",
        right="Not silent",
        before="silent, and over before it began",
    ),
    FieldRow(
        record="A day whose late readings revise its DHW: 4.01, 3.99, 4.02",
        right="At most one alert in each direction",
        before="three and more",
    ),
)
"""Row 1 is the first."""


def row(number: int) -> FieldRow:
    return ROWS[number - 1]
