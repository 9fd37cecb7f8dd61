"""The parts of ``scores/1`` and ``scores/2`` that are the same in both."""

from enum import IntEnum
from typing import Literal, assert_never

from pydantic import Field

from reefmesh.contracts.contract import BuoyId, Contract, Instant
from reefmesh.contracts.flags import Flag


class Level(IntEnum):
    """Bleaching alert area codes of NOAA Coral Reef Watch, table of December 2023."""

    NO_STRESS = 0
    WATCH = 1
    WARNING = 2
    ALERT_1 = 3
    ALERT_2 = 4
    ALERT_3 = 5
    ALERT_4 = 6
    ALERT_5 = 7

    @property
    def title(self) -> str:
        """The name that Coral Reef Watch gives this level."""
        match self:
            case Level.NO_STRESS:
                return "No Stress"
            case Level.WATCH:
                return "Bleaching Watch"
            case Level.WARNING:
                return "Bleaching Warning"
            case Level.ALERT_1:
                return "Alert Level 1"
            case Level.ALERT_2:
                return "Alert Level 2"
            case Level.ALERT_3:
                return "Alert Level 3"
            case Level.ALERT_4:
                return "Alert Level 4"
            case Level.ALERT_5:
                return "Alert Level 5"
            case _:
                assert_never(self)


DaySource = Literal["night", "whole_day", "filled", "missing"]
"""What a day's temperature is made of: its night readings, all its readings (there was none at night), a linear fill of a short
gap, or nothing."""

CarbonateStatus = Literal["ok", "indicative", "unknown"]
CarbonateBand = Literal["good", "adequate", "low", "marginal"]
DiveVerdict = Literal["good", "fair", "poor", "experienced_only", "no_go", "unknown"]


class DiveFactor(Contract):
    """One factor of the verdict, with the age of its value at ``as_of`` of the score."""

    quantity: str
    value: float | None
    unit: str
    verdict: DiveVerdict
    observed_at: Instant | None
    age_seconds: float | None
    reason: str


class Window(Contract):
    """Minimum, mean and maximum of the 5-minute window of event time that holds the newest value."""

    starts_at: Instant
    minimum: float
    mean: float
    maximum: float
    count: int = Field(ge=1)


class LatestValue(Contract):
    """Newest value of one quantity, with any flag; its age at ``as_of``; and the window of its scored values."""

    quantity: str
    unit: str
    value: float | None
    flag: Flag
    observed_at: Instant
    age_seconds: float
    buoy_id: BuoyId
    window: Window | None
