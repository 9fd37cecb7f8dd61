"""What the pages show of a reef: domain values as words, still unescaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.figures import decisive
from reefmesh_dashboard.domain.now import Standing, ValueNow, carbonate_now, dive_now, heat_now, value_now
from reefmesh_dashboard.pages.words import QUANTITIES, UNITS, VERDICTS, age, shown, site_time, utc
from reefmesh_dashboard.queries.reefs import ListedReef

DECIMALS: Final = {"1": 2, "m/s": 2, "degree": 0, "uatm": 0}
NOT_MEASURED: Final = "not-measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line: what, how it stands, why or how old. ``state`` names its colour; ``sign`` says the same without one."""

    name: str
    text: str
    state: str
    sign: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """An instant on the site's clock, in UTC (shown on touch, and read by programs), and its age."""

    text: str
    utc: str
    machine: str
    age: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A reef in the list."""

    reef_id: str
    name: str
    dive: Fact
    heat: Fact
    temperature: Fact
    as_of: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    moment: Moment
    summary: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuoyLine:
    buoy_id: str
    seen: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """A reef's own page."""

    line: Line
    valid_until: Moment | None
    factors: tuple[Fact, ...]
    carbonate: Fact
    values: tuple[Fact, ...]
    alerts: tuple[AlertLine, ...]
    buoys: tuple[BuoyLine, ...]
    position: str | None


def line_of(reef: ListedReef, now: datetime) -> Line:
    zone = None if reef.score is None else reef.score.time_zone
    return Line(
        reef_id=reef.reef_id,
        name=shown(reef.name),
        dive=_dive(reef, now),
        heat=_heat(reef, now),
        temperature=_value(value_now(reef.score, SEA_WATER_TEMPERATURE, now), now),
        as_of=None if reef.score is None else moment(reef.score.as_of, now, zone),
    )


def site_of(reef: ListedReef, alerts: Sequence[Alert], now: datetime) -> SiteView:
    score = reef.score
    zone = None if score is None else score.time_zone
    dive = dive_now(score, now)
    valid_until = dive.valid_until
    place = None
    if reef.latitude_degrees is not None and reef.longitude_degrees is not None:
        place = f"{reef.latitude_degrees:.4f}, {reef.longitude_degrees:.4f}"
    return SiteView(
        line=line_of(reef, now),
        valid_until=None if valid_until is None else moment(valid_until, now, zone),
        factors=tuple(
            Fact(
                name=QUANTITIES.get(factor.quantity, shown(factor.quantity)),
                text=VERDICTS[factor.verdict][0],
                state=factor.verdict,
                sign=VERDICTS[factor.verdict][1],
                notes=(shown(factor.reason), age(factor.observed_at, now)),
            )
            for factor in dive.factors
        ),
        carbonate=_carbonate(reef, now),
        values=tuple(_value(value_now(score, quantity, now), now) for quantity in QUANTITIES),
        alerts=tuple(
            AlertLine(moment=moment(each.occurred_at, now, zone), summary=shown(each.summary), kind=each.kind)
            for each in alerts
        ),
        buoys=()
        if score is None
        else tuple(BuoyLine(buoy_id=buoy.facts.buoy_id, seen=moment(buoy.last_seen_at, now, zone)) for buoy in score.buoys),
        position=place,
    )


def moment(at: datetime, now: datetime, time_zone: str | None) -> Moment:
    return Moment(text=site_time(at, time_zone), utc=utc(at), machine=at.isoformat(timespec="seconds"), age=age(at, now))


def _state(standing: Standing) -> str:
    return standing.value.replace("_", "-")


def _dive(reef: ListedReef, now: datetime) -> Fact:
    dive = dive_now(reef.score, now)
    word, sign = VERDICTS[dive.verdict]
    notes = tuple(shown(reason) for reason in dive.reasons)
    match dive.standing:
        case Standing.NOT_MEASURED:
            return Fact(name="Diving", text="Not measured here", state=NOT_MEASURED, sign="\N{EN DASH}", notes=notes)
        case Standing.STALE if dive.last_verdict is not None:
            was = f"was {VERDICTS[dive.last_verdict][0].lower()} until {age(dive.valid_until, now)}"
            return Fact(name="Diving", text=word, state="stale", sign=sign, notes=(*notes, was))
        case _:
            return Fact(name="Diving", text=word, state=dive.verdict, sign=sign, notes=notes)


def _heat(reef: ListedReef, now: datetime) -> Fact:
    heat = heat_now(reef.score, now)
    if heat.level is not None:
        notes = [f"reliability: {heat.reason.replace('_', ' ')}"]
        if heat.dhw_celsius_weeks is not None:
            notes.insert(0, f"DHW {decisive(heat.dhw_celsius_weeks, (4.0, 8.0), decimals=1)} {UNITS['degC']}-weeks")
        return Fact(name="Heat stress", text=heat.level.title, state=f"level-{heat.level.value}", notes=tuple(notes))
    why = [heat.reason.replace("_", " ")]
    if heat.last_level is not None and heat.last_date is not None:
        why.append(f"was {heat.last_level.title} on {heat.last_date.isoformat()}")
    text = "Not measured here" if heat.standing is Standing.NOT_MEASURED else "Unknown"
    return Fact(name="Heat stress", text=text, state=_state(heat.standing), sign="?", notes=tuple(why))


def _carbonate(reef: ListedReef, now: datetime) -> Fact:
    carbonate = carbonate_now(reef.score, now)
    name = "Aragonite saturation"
    if carbonate.band is not None and carbonate.omega_aragonite is not None:
        text = f"{carbonate.omega_aragonite:.2f}, {carbonate.band}"
        notes = (shown(carbonate.reason), f"of {carbonate.last_date}")
        return Fact(name=name, text=text, state=f"band-{carbonate.band}", notes=notes)
    text = "Not measured here" if carbonate.standing is Standing.NOT_MEASURED else "Unknown"
    last = () if carbonate.last_date is None else (f"last of {carbonate.last_date}",)
    return Fact(name=name, text=text, state=_state(carbonate.standing), sign="?", notes=(shown(carbonate.reason), *last))


def _value(known: ValueNow, now: datetime) -> Fact:
    """What cannot be relied on is said first; its number stands behind that."""
    name = QUANTITIES[known.quantity]
    if known.standing is Standing.NOT_MEASURED:
        return Fact(name=name, text="Not measured here", state=NOT_MEASURED)
    number = "" if known.value is None else _number(known.value, known.unit or "")
    when = () if known.observed_at is None else (age(known.observed_at, now),)
    if known.standing is Standing.CURRENT:
        return Fact(name=name, text=number, state="current", notes=when)
    text = f"Unknown, last {number}" if number else "Unknown"
    return Fact(name=name, text=text, state=_state(known.standing), sign="?", notes=(shown(known.reason), *when))


def _number(value: float, unit: str) -> str:
    return f"{value:.{DECIMALS.get(unit, 1)}f} {UNITS.get(unit, unit)}".rstrip()
