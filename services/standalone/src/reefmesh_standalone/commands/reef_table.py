"""Reefs as one table that fits the terminal: the narrower it is, the fewer columns, never a cut word, always the ages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from rich import box
from rich.table import Table
from rich.text import Text

from reefmesh.contracts.scores import DayScore, HeatStatus, Level, ReefScore, is_still_known
from reefmesh_standalone.commands.fitting_table import FittingTable

UNKNOWN: Final = "unknown"
TODAYS_DAYS: Final = 1
"""A day that is not over yet, or was the last to be over."""

ROOMY_COLUMNS: Final = 100
"""From this width on, lists have their optional columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReefLine:
    """One reef to show; ``score`` None: nothing is known of it."""

    name: str
    score: ReefScore | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """``from_width``: the terminal's columns from which on this one is shown."""

    title: str
    cell: Callable[[ReefScore, datetime], str]
    from_width: int = 0
    number: bool = False
    if_unknown: str = ""


def table_of(title: str, *columns: str, numbers: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """Return an empty table in the style of all commands; ``numbers`` are right-aligned, ``whole`` columns never wrapped."""
    table = FittingTable(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        justify: Literal["right", "left"] = "right" if column in numbers else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column in (*whole, *numbers))
    return table


def reef_table(lines: Sequence[ReefLine], *, now: datetime, width: int) -> Table:
    """Return the table of reefs as they stand ``now``, for a terminal of ``width`` columns."""
    columns = [column for column in COLUMNS if width >= column.from_width]
    table = table_of(
        "Reefs", "reef", *(each.title for each in columns), numbers=[each.title for each in columns if each.number]
    )
    for line in lines:
        score = line.score
        cells = [each.if_unknown if score is None else each.cell(score, now) for each in columns]
        table.add_row(line.name, *(Text(cell, style=style_of(cell)) for cell in cells))
    return table


def style_of(said: str) -> str:
    """Return the colour of a heat level or a dive verdict, which its words say too; none of anything else."""
    return next((style for words_of_state, style in STYLES.items() if said.startswith(words_of_state)), "")


def words(slug: str) -> str:
    """Return a slug of a contract as a person reads it."""
    return slug.replace("_", " ")


def dive_verdict(score: ReefScore, now: datetime) -> str:
    """Return the dive verdict as it stands now: after ``valid_until`` nobody knows."""
    expired = score.dive.valid_until is not None and score.dive.valid_until < now
    return UNKNOWN if expired else score.dive.verdict


def age(at: datetime, now: datetime) -> str:
    """Return how long ago that was, in its largest fitting unit."""
    passed = max(timedelta(), now - at)
    if passed < timedelta(minutes=2):
        return f"{passed.total_seconds():.0f} s"
    if passed < timedelta(hours=2):
        return f"{passed.total_seconds() / 60:.0f} min"
    return f"{passed.total_seconds() / 3600:.0f} h" if passed < timedelta(days=2) else f"{passed.days} days"


def level_now(score: ReefScore, now: datetime) -> Level | None:
    """Return the published heat level as it stands now: a week after the newest day nobody knows."""
    day = score.heat.latest
    return None if day is None or not is_still_known(day.date, now) else day.level_7day_max


def days_old(day: DayScore, now: datetime) -> int:
    """Return how many days ago a solar date was, by the date in UTC; sites east of Greenwich may be a day ahead."""
    return max(0, (now.date() - day.date).days)


def day_age(days: int) -> str:
    """Return how long ago a day was, in a person's words."""
    return {0: "today", 1: "yesterday"}.get(days, f"{days:,} days ago")


def _level(level: int | None) -> str:
    return UNKNOWN if level is None else Level(level).title


def _week(score: ReefScore, now: datetime) -> str:
    day = score.heat.latest
    if day is None or day.level_7day_max is None:
        return UNKNOWN
    level, age_days = _level(day.level_7day_max), days_old(day, now)
    if not is_still_known(day.date, now):
        return f"{UNKNOWN}; last {level} on {day.date}"
    return f"{level}, {day_age(age_days)}"


def _today(score: ReefScore, now: datetime) -> str:
    day = score.heat.latest
    return UNKNOWN if day is None or days_old(day, now) > TODAYS_DAYS else _level(day.level)


def _heat_date(score: ReefScore, _: datetime) -> str:
    return UNKNOWN if score.heat.latest is None else str(score.heat.latest.date)


def _weeks(score: ReefScore, now: datetime) -> str:
    day = score.heat.latest
    if day is None or day.dhw_celsius_weeks is None or not is_still_known(day.date, now):
        return UNKNOWN
    at_least = ">= " if day.status is HeatStatus.LOWER_BOUND else ""
    return f"{at_least}{day.dhw_celsius_weeks:.2f}"


def _band(score: ReefScore, now: datetime) -> str:
    day = score.heat.latest
    if day is None or not is_still_known(day.date, now):
        return ""
    if day.dhw_low_celsius_weeks is None or day.dhw_high_celsius_weeks is None:
        return ""
    return f"{day.dhw_low_celsius_weeks:.1f}-{day.dhw_high_celsius_weeks:.1f}"


def _days(score: ReefScore, now: datetime) -> str:
    day = score.heat.latest
    return "0/84" if day is None or not is_still_known(day.date, now) else f"{day.coverage_days}/84"


def _status(score: ReefScore, now: datetime) -> str:
    day = score.heat.latest
    if day is None:
        return "no temperature"
    if not is_still_known(day.date, now):
        return f"no day for {days_old(day, now):,} days"
    said = dict.fromkeys((day.status.value, day.day_status))
    return words(", ".join(word for word in said if word != "ok") or "ok")


def _omega(score: ReefScore, _: datetime) -> str:
    carbonate = score.carbonate
    if carbonate.omega_aragonite is None:
        return UNKNOWN
    mark = "" if carbonate.status == "ok" else f" {words(carbonate.status)}"
    return f"{carbonate.omega_aragonite:.2f}{mark}"


COLUMNS: Final = (
    Column(title="heat, 7 days", cell=_week, if_unknown=UNKNOWN),
    Column(title="heat of", cell=_heat_date, from_width=140, if_unknown=UNKNOWN),
    Column(title="heat today", cell=_today, from_width=140),
    Column(title="DHW", cell=_weeks, number=True, if_unknown=UNKNOWN),
    Column(title="band", cell=_band, from_width=140),
    Column(title="nights", cell=_days, number=True, if_unknown="0/84"),
    Column(title="status", cell=_status, if_unknown="no readings"),
    Column(title="aragonite", cell=_omega, from_width=110, if_unknown=UNKNOWN),
    Column(title="dive", cell=lambda score, now: words(dive_verdict(score, now)), if_unknown=UNKNOWN),
    Column(title="data age", cell=lambda score, now: age(score.as_of, now), number=True, if_unknown="never"),
)

STYLES: Final[Mapping[str, str]] = {
    UNKNOWN: "dim",
    Level.NO_STRESS.title: "green",
    Level.WATCH.title: "yellow",
    Level.WARNING.title: "dark_orange",
    **{level.title: "bold red" for level in Level if level > Level.WARNING},
    "good": "green",
    "fair": "yellow",
    "poor": "dark_orange",
    "experienced only": "dark_orange",
    "no go": "bold red",
}
"""By the words with which a cell begins."""
