"""The bodies of the API's answers."""

import datetime as dt
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, Field

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.contract import BuoyId, Instant, ReefId
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import UNITS
from reefmesh.contracts.readings import ChannelReading
from reefmesh.contracts.score_parts import CarbonateBand, DiveFactor, DiveVerdict, Level
from reefmesh.contracts.scores import BuoyHealth, CarbonateDay, DayScore, ReefScore
from reefmesh_dashboard.domain.aggregate import Aggregate, ByQuantity
from reefmesh_dashboard.domain.now import Standing, carbonate_now, dive_now, heat_now, value_now
from reefmesh_dashboard.domain.schedule import is_late, report_expected_by
from reefmesh_dashboard.domain.spans import DAY_US, instant_of
from reefmesh_dashboard.queries.reefs import ListedReef
from reefmesh_dashboard.queries.series import ShownReading, Summed
from reefmesh_dashboard.readings_table import channels_from_body

NEXT: Final = "Ask again with this as `cursor` for the next rows; null: there are no more."


class Dive(BaseModel):
    """``verdict`` is ``unknown`` unless ``standing`` is ``current``; ``last_verdict`` held until ``valid_until``."""

    standing: Standing
    verdict: DiveVerdict
    reasons: list[str]
    last_verdict: DiveVerdict | None
    valid_until: Instant | None
    factors: list[DiveFactor] | None = None


class Heat(BaseModel):
    """NOAA's bleaching alert level; null unless ``standing`` is ``current``. ``last_level`` is that of ``last_date``."""

    standing: Standing
    reason: str
    level: Level | None
    level_name: str | None
    dhw_celsius_weeks: float | None
    last_level: Level | None
    last_date: dt.date | None


class CarbonateAnswer(BaseModel):
    """Aragonite saturation; null unless ``standing`` is ``current``."""

    standing: Standing
    reason: str
    band: CarbonateBand | None
    omega_aragonite: float | None
    last_date: dt.date | None


class LatestAnswer(BaseModel):
    """The newest value of a quantity, with its instant and its flag. Rely on it only if ``standing`` is ``current``."""

    standing: Standing
    reason: str
    value: float | None
    unit: str
    flag: Flag | None
    observed_at: Instant | None
    buoy_id: BuoyId | None


class ReefSummary(BaseModel):
    """``as_of`` is the newest reading's instant; null: no score yet."""

    reef_id: ReefId
    name: str
    time_zone: str | None
    as_of: Instant | None
    dive: Dive
    heat: Heat


class ReefDetail(ReefSummary):
    """``latest`` has every quantity that reefmesh knows, also those that are not measured here."""

    carbonate: CarbonateAnswer
    latest: dict[str, LatestAnswer]


class Point(BaseModel):
    """GeoJSON: longitude, latitude."""

    type: Literal["Point"] = "Point"
    coordinates: tuple[float, float]


class ReefListFeature(BaseModel):
    type: Literal["Feature"] = "Feature"
    id: ReefId
    geometry: Point | None
    properties: ReefSummary


class ReefFeature(BaseModel):
    type: Literal["Feature"] = "Feature"
    id: ReefId
    geometry: Point | None
    properties: ReefDetail


class ReefList(BaseModel):
    """A GeoJSON feature collection, ordered by id."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[ReefListFeature]
    next: str | None = Field(description=NEXT)


class ReadingAnswer(BaseModel):
    """One buoy, one instant, in its newest revision. ``channels`` maps each quantity to its value with its QARTOD flag."""

    buoy_id: BuoyId
    observed_at: Instant
    received_at: Instant
    time_source: str
    revision: int
    channels: dict[str, ChannelReading]


class ReadingList(BaseModel):
    reef_id: ReefId
    readings: list[ReadingAnswer]
    next: str | None = Field(description=NEXT)


class Sums(BaseModel):
    """Of ``count`` scored values; ``left_out`` had a flag worse than *not evaluated*. No scored value: null."""

    count: int
    minimum: float | None
    mean: float | None
    maximum: float | None
    left_out: int
    unit: str

    @classmethod
    def of(cls, quantity: str, sums: Aggregate) -> Self:
        return cls(
            count=sums.count,
            minimum=sums.lowest,
            mean=sums.mean,
            maximum=sums.highest,
            left_out=sums.left_out,
            unit=UNITS.get(quantity, ""),
        )


class HourAnswer(BaseModel):
    buoy_id: BuoyId
    starts_at: Instant
    quantities: dict[str, Sums]


class HourList(BaseModel):
    reef_id: ReefId
    hours: list[HourAnswer]
    next: str | None = Field(description=NEXT)


class DayAnswer(BaseModel):
    """A day of UTC."""

    buoy_id: BuoyId
    date: dt.date
    quantities: dict[str, Sums]


class DayList(BaseModel):
    reef_id: ReefId
    days: list[DayAnswer]
    next: str | None = Field(description=NEXT)


class HeatList(BaseModel):
    """Heat stress by solar date, as NOAA Coral Reef Watch defines it."""

    reef_id: ReefId
    days: list[DayScore]
    next: str | None = Field(description=NEXT)


class CarbonateList(BaseModel):
    """Aragonite saturation of the solar dates that could be judged."""

    reef_id: ReefId
    days: list[CarbonateDay]
    next: str | None = Field(description=NEXT)


class BuoyAnswer(BaseModel):
    """``report_expected_by`` is when its next report is due, after the hours in which it sleeps; ``is_late``: it has missed
    three, and six hours at least. ``quantities`` are those of which the reef's newest value is this buoy's."""

    buoy_id: BuoyId
    last_seen_at: Instant
    report_interval_seconds: int
    report_expected_by: Instant
    is_late: bool
    quantities: list[str]


class BuoyList(BaseModel):
    """By id: a reef has dozens at most, so all are in one answer."""

    reef_id: ReefId
    buoys: list[BuoyAnswer]


class AlertList(BaseModel):
    """Newest first."""

    alerts: list[Alert]
    next: str | None = Field(description=NEXT)


def list_feature(reef: ListedReef, now: dt.datetime) -> ReefListFeature:
    return ReefListFeature(id=reef.reef_id, geometry=_point(reef), properties=ReefSummary(**_summary(reef, now)))


def feature(reef: ListedReef, now: dt.datetime) -> ReefFeature:
    carbonate = carbonate_now(reef.score, now)
    summary = _summary(reef, now)
    factors = list(dive_now(reef.score, now).factors)
    summary["dive"] = summary["dive"].model_copy(update={"factors": factors})
    detail = ReefDetail(
        **summary,
        carbonate=CarbonateAnswer(
            standing=carbonate.standing,
            reason=carbonate.reason,
            band=carbonate.band,
            omega_aragonite=carbonate.omega_aragonite,
            last_date=carbonate.last_date,
        ),
        latest={quantity: _latest(reef, quantity, now) for quantity in UNITS},
    )
    return ReefFeature(id=reef.reef_id, geometry=_point(reef), properties=detail)


def buoys_of(reef: ListedReef, now: dt.datetime) -> BuoyList:
    buoys = [] if reef.score is None else [_buoy(buoy, reef.score, now) for buoy in reef.score.buoys]
    return BuoyList(reef_id=reef.reef_id, buoys=sorted(buoys, key=lambda each: each.buoy_id))


def _buoy(buoy: BuoyHealth, score: ReefScore, now: dt.datetime) -> BuoyAnswer:
    facts = buoy.facts
    return BuoyAnswer(
        buoy_id=facts.buoy_id,
        last_seen_at=buoy.last_seen_at,
        report_interval_seconds=facts.report_interval_seconds,
        report_expected_by=report_expected_by(buoy),
        is_late=is_late(buoy, now),
        quantities=sorted(quantity for quantity, latest in score.latest.items() if latest.buoy_id == facts.buoy_id),
    )


def reading_answer(reading: ShownReading, quantity: str | None) -> ReadingAnswer:
    channels = channels_from_body(reading.body)
    if quantity is not None:
        channels = {name: channel for name, channel in channels.items() if name == quantity}
    return ReadingAnswer(
        buoy_id=reading.place.buoy_id,
        observed_at=instant_of(reading.place.at),
        received_at=instant_of(reading.received_us),
        time_source=reading.time_source,
        revision=reading.revision,
        channels=channels,
    )


def hour_answer(hour: Summed, quantity: str | None) -> HourAnswer:
    starts_at = instant_of(hour.place.at)
    return HourAnswer(buoy_id=hour.place.buoy_id, starts_at=starts_at, quantities=_sums(hour.sums, quantity))


def day_answer(day: Summed, quantity: str | None) -> DayAnswer:
    on = instant_of(day.place.at * DAY_US).date()
    return DayAnswer(buoy_id=day.place.buoy_id, date=on, quantities=_sums(day.sums, quantity))


def _sums(sums: ByQuantity, quantity: str | None) -> dict[str, Sums]:
    return {name: Sums.of(name, each) for name, each in sums.items() if quantity is None or name == quantity}


def _summary(reef: ListedReef, now: dt.datetime) -> dict[str, Any]:
    dive, heat = dive_now(reef.score, now), heat_now(reef.score, now)
    as_of = None if reef.score is None else reef.score.as_of
    return {
        "reef_id": reef.reef_id,
        "name": reef.name,
        "time_zone": None if reef.score is None else reef.score.time_zone,
        "as_of": as_of,
        "dive": Dive(
            standing=dive.standing,
            verdict=dive.verdict,
            reasons=list(dive.reasons),
            last_verdict=dive.last_verdict,
            valid_until=dive.valid_until,
        ),
        "heat": Heat(
            standing=heat.standing,
            reason=heat.reason,
            level=heat.level,
            level_name=None if heat.level is None else heat.level.title,
            dhw_celsius_weeks=heat.dhw_celsius_weeks,
            last_level=heat.last_level,
            last_date=heat.last_date,
        ),
    }


def _latest(reef: ListedReef, quantity: str, now: dt.datetime) -> LatestAnswer:
    known = value_now(reef.score, quantity, now)
    return LatestAnswer(
        standing=known.standing,
        reason=known.reason,
        value=known.value,
        unit=known.unit or UNITS[quantity],
        flag=known.flag,
        observed_at=known.observed_at,
        buoy_id=known.buoy_id,
    )


def _point(reef: ListedReef) -> Point | None:
    if reef.longitude_degrees is None or reef.latitude_degrees is None:
        return None
    return Point(coordinates=(reef.longitude_degrees, reef.latitude_degrees))
