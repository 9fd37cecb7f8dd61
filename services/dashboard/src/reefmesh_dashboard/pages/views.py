"""What the pages show of a reef: domain values as words, still unescaped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.score_parts import DiveFactor
from reefmesh.figures import decisive
from reefmesh_dashboard.domain.now import DiveNow, Standing, ValueNow, carbonate_now, dive_now, heat_now, value_now
from reefmesh_dashboard.pages.choices import Choices
from reefmesh_dashboard.pages.language import Language
from reefmesh_dashboard.pages.words import (
    BANDS,
    LEVELS,
    N_,
    QUANTITIES,
    UNITS,
    VERDICTS,
    Age,
    age,
    machine,
    number,
    shown,
    site_time,
    utc,
)
from reefmesh_dashboard.queries.reefs import ListedReef

NOT_MEASURED_HERE: Final = N_("Not measured here")
UNKNOWN: Final = N_("Unknown")
NO_SIGN: Final = "\N{EN DASH}"
UNKNOWN_SIGN: Final = "?"
AFTERWARDS: Final = timedelta(seconds=1)

Note = str | Age


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line: what, how it stands, why or how old. ``state`` names its colour; ``sign`` says the same without one.

    ``until``: it holds to this instant, and is ``afterwards`` after it if nothing newer comes. A page has both, so that it is
    right when it stays open without a connection.
    """

    name: str
    text: str
    state: str
    sign: str = ""
    notes: tuple[Note, ...] = ()
    until: str | None = None
    afterwards: "Fact | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """An instant on the site's clock, in UTC (shown on touch, and read by programs), and its age."""

    text: str
    utc: str
    machine: str
    age: Age


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A reef in the list."""

    reef_id: str
    version: str
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


class Views:
    """Writes for one visitor: in a language, in the units of ``choices``, at the instant ``now``."""

    def __init__(self, language: Language, choices: Choices, now: datetime) -> None:
        self._language = language
        self._choices = choices
        self._now = now

    def line_of(self, reef: ListedReef) -> Line:
        zone = None if reef.score is None else reef.score.time_zone
        return Line(
            reef_id=reef.reef_id,
            version=str(reef.version),
            name=shown(reef.name),
            dive=self._with_end(lambda now: self._dive(reef, now)),
            heat=self._with_end(lambda now: self._heat(reef, now)),
            temperature=self._value(reef, SEA_WATER_TEMPERATURE),
            as_of=None if reef.score is None else self._moment(reef.score.as_of, zone),
        )

    def site_of(self, reef: ListedReef, alerts: Sequence[Alert]) -> SiteView:
        score = reef.score
        zone = None if score is None else score.time_zone
        dive = dive_now(score, self._now)
        place = None
        if reef.latitude_degrees is not None and reef.longitude_degrees is not None:
            place = f"{reef.latitude_degrees:.4f}, {reef.longitude_degrees:.4f}"
        return SiteView(
            line=self.line_of(reef),
            valid_until=None if dive.valid_until is None else self._moment(dive.valid_until, zone),
            factors=tuple(self._factor(reef, dive, place_in_score) for place_in_score in range(len(dive.factors))),
            carbonate=self._with_end(lambda now: self._carbonate(reef, now)),
            values=tuple(self._value(reef, quantity) for quantity in QUANTITIES),
            alerts=tuple(
                AlertLine(moment=self._moment(each.occurred_at, zone), summary=shown(each.summary), kind=each.kind)
                for each in alerts
            ),
            buoys=()
            if score is None
            else tuple(
                BuoyLine(buoy_id=buoy.facts.buoy_id, seen=self._moment(buoy.last_seen_at, zone)) for buoy in score.buoys
            ),
            position=place,
        )

    def _with_end(self, judge: Callable[[datetime], tuple[Fact, datetime | None]]) -> Fact:
        """Return how something stands now and, if that ends by itself, from then on."""
        fact, until = judge(self._now)
        if until is None:
            return fact
        return replace(fact, until=machine(until), afterwards=judge(until + AFTERWARDS)[0])

    def _moment(self, at: datetime, time_zone: str | None) -> Moment:
        return Moment(text=site_time(at, time_zone), utc=utc(at), machine=machine(at), age=age(at, self._now, self._language))

    def _dive(self, reef: ListedReef, now: datetime) -> tuple[Fact, datetime | None]:
        dive = dive_now(reef.score, now)
        say = self._language.say
        name, (word, sign) = say("Diving"), VERDICTS[dive.verdict]
        text = self._language.safety(word)
        notes: tuple[Note, ...] = tuple(say(shown(reason)) for reason in dive.reasons)
        match dive.standing:
            case Standing.NOT_MEASURED:
                return self._absent(name, dive.standing, notes), None
            case Standing.STALE if dive.last_verdict is not None and dive.valid_until is not None:
                was = say("was {verdict} until", verdict=say(VERDICTS[dive.last_verdict][0]).lower())
                notes = (*notes, was, age(dive.valid_until, now, self._language))
                return Fact(name=name, text=text, state="stale", sign=sign, notes=notes), None
            case _:
                until = dive.valid_until if dive.standing is Standing.CURRENT else None
                return Fact(name=name, text=text, state=dive.verdict, sign=sign, notes=notes), until

    def _factor(self, reef: ListedReef, dive: DiveNow, place: int) -> Fact:
        def judge(now: datetime) -> tuple[Fact, datetime | None]:
            return self._judged(dive_now(reef.score, now).factors[place], now), dive.valid_until if current else None

        current = dive.standing is Standing.CURRENT
        return self._with_end(judge)

    def _judged(self, factor: DiveFactor, now: datetime) -> Fact:
        word, sign = VERDICTS[factor.verdict]
        when = () if factor.observed_at is None else (age(factor.observed_at, now, self._language),)
        name = QUANTITIES.get(factor.quantity, shown(factor.quantity))
        return Fact(
            name=self._language.say(name),
            text=self._language.safety(word),
            state=factor.verdict,
            sign=sign,
            notes=(shown(factor.reason), *when),
        )

    def _heat(self, reef: ListedReef, now: datetime) -> tuple[Fact, datetime | None]:
        heat = heat_now(reef.score, now)
        say = self._language.say
        name, reason = say("Heat stress"), say(heat.reason.replace("_", " "))
        if heat.level is not None:
            notes = [say("reliability: {reliability}", reliability=reason)]
            if heat.dhw_celsius_weeks is not None:
                notes.insert(0, f"DHW {decisive(heat.dhw_celsius_weeks, (4.0, 8.0), decimals=1)} {UNITS['degC']}-weeks")
            text = self._language.safety(LEVELS[heat.level])
            return Fact(name=name, text=text, state=f"level-{heat.level.value}", notes=tuple(notes)), heat.valid_until
        why = [reason]
        if heat.last_level is not None and heat.last_date is not None:
            why.append(say("was {level} on {date}", level=say(LEVELS[heat.last_level]), date=heat.last_date.isoformat()))
        return self._absent(name, heat.standing, tuple(why)), None

    def _carbonate(self, reef: ListedReef, now: datetime) -> tuple[Fact, datetime | None]:
        carbonate = carbonate_now(reef.score, now)
        say = self._language.say
        name, reason = say("Aragonite saturation"), say(shown(carbonate.reason))
        if carbonate.band is not None and carbonate.omega_aragonite is not None:
            text = f"{carbonate.omega_aragonite:.2f}, {say(BANDS[carbonate.band])}"
            notes = (reason, say("of {date}", date=carbonate.last_date))
            return Fact(name=name, text=text, state=f"band-{carbonate.band}", notes=notes), carbonate.valid_until
        last = () if carbonate.last_date is None else (say("last of {date}", date=carbonate.last_date),)
        return self._absent(name, carbonate.standing, (reason, *last)), None

    def _value(self, reef: ListedReef, quantity: str) -> Fact:
        def judge(now: datetime) -> tuple[Fact, datetime | None]:
            known = value_now(reef.score, quantity, now)
            return self._known(known, now), known.valid_until

        return self._with_end(judge)

    def _known(self, known: ValueNow, now: datetime) -> Fact:
        """What cannot be relied on is said first; its number stands behind that."""
        name = self._language.say(QUANTITIES[known.quantity])
        if known.standing is Standing.NOT_MEASURED:
            return self._absent(name, known.standing, ())
        figure = "" if known.value is None else number(known.value, known.unit or "", self._choices)
        when = () if known.observed_at is None else (age(known.observed_at, now, self._language),)
        if known.standing is Standing.CURRENT:
            return Fact(name=name, text=figure, state="current", notes=when)
        notes = (self._language.say(shown(known.reason)), *when)
        if not figure:
            return self._absent(name, known.standing, notes)
        text = self._language.safety("Unknown, last {value}", value=figure)
        return Fact(name=name, text=text, state=_state(known.standing), sign=UNKNOWN_SIGN, notes=notes)

    def _absent(self, name: str, standing: Standing, notes: tuple[Note, ...]) -> Fact:
        text, sign = (NOT_MEASURED_HERE, NO_SIGN) if standing is Standing.NOT_MEASURED else (UNKNOWN, UNKNOWN_SIGN)
        return Fact(name=name, text=self._language.safety(text), state=_state(standing), sign=sign, notes=notes)


def _state(standing: Standing) -> str:
    return standing.value.replace("_", "-")
