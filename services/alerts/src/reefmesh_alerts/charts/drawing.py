"""Draws the chart of a reef's heat stress: temperature above, degree heating weeks below, NOAA's levels as bands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from io import BytesIO
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from reefmesh.contracts.scores import Level
from reefmesh_alerts.texts.colours import of_level
from reefmesh_alerts.texts.heat_day import HeatDayRow
from reefmesh_alerts.texts.measured import DHW_LIMITS

DOTS_PER_INCH: Final = 150
INCHES: Final = (6.0, 3.7)
HALF_DAY: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    ground: str
    letters: str
    lines: str
    warm: str
    water: str
    band_opacity: float


LIGHT: Final = Theme(ground="#ffffff", letters="#3c4852", lines="#d9e0e6", warm="#b3261e", water="#0b65b1", band_opacity=0.28)
DARK: Final = Theme(ground="#182026", letters="#b7c4ce", lines="#2b3640", warm="#ff8a80", water="#7cc4ff", band_opacity=0.45)


def draw(days: Sequence[HeatDayRow], theme: Theme) -> bytes:
    """Return the chart as PNG. Days without a value are gaps in the lines. Uses no global state of matplotlib."""
    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, facecolor=theme.ground, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    at = [datetime.combine(day.date, time()) for day in days]
    _temperature(upper, at, days, theme)
    _accumulation(lower, at, days, theme)
    for axes in (upper, lower):
        _dress(axes, theme)
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call] # matplotlib.dates has no types
    lower.xaxis.set_major_locator(locator)
    lower.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call] # likewise
    lower.xaxis.get_offset_text().set(color=theme.letters, fontsize=8)
    lower.set_xlim(at[0] - HALF_DAY, at[-1] + HALF_DAY)
    written = BytesIO()
    figure.savefig(written, format="png", facecolor=theme.ground, metadata={"Software": None})
    return written.getvalue()


def _temperature(axes: Any, at: Sequence[datetime], days: Sequence[HeatDayRow], theme: Theme) -> None:
    values = _gapped(day.sst_celsius for day in days)
    axes.plot(at, values, color=theme.water, linewidth=1.6, marker="o" if len(days) < 15 else None, markersize=3)
    axes.set_ylabel("SST, °C", color=theme.letters, fontsize=8)
    norm = _monthly_maximum(days)
    if norm is None:
        return
    for value, label in ((norm, "MMM"), (norm + 1, "MMM + 1")):
        axes.axhline(value, color=theme.warm, linewidth=0.9, linestyle="--" if value > norm else ":")
        axes.annotate(
            label, (0.005, value), xycoords=("axes fraction", "data"), color=theme.warm, fontsize=7, va="bottom", ha="left"
        )
    axes.margins(y=0.18)


def _accumulation(axes: Any, at: Sequence[datetime], days: Sequence[HeatDayRow], theme: Theme) -> None:
    values = _gapped(day.dhw_celsius_weeks for day in days)
    known = [value for value in values if value == value]  # noqa: PLR0124 - a gap is NaN
    top = max([*known, DHW_LIMITS[0]]) * 1.18
    levels = list(Level)[Level.ALERT_1 :]
    for level, lowest, highest in zip(levels, DHW_LIMITS, [*DHW_LIMITS[1:], float("inf")], strict=True):
        if lowest >= top:
            break
        upper = min(highest, top)
        axes.axhspan(lowest, upper, color=of_level(level).back, alpha=theme.band_opacity, linewidth=0)
        if upper - lowest > 0.12 * top:
            axes.annotate(
                level.title,
                (0.005, lowest),
                xycoords=("axes fraction", "data"),
                color=theme.letters,
                fontsize=7,
                va="bottom",
                ha="left",
            )
    axes.plot(at, values, color=theme.warm, linewidth=1.8, marker="o" if len(days) < 15 else None, markersize=3)
    axes.set_ylim(0, top)
    axes.set_ylabel("DHW, °C-weeks", color=theme.letters, fontsize=8)


def _dress(axes: Any, theme: Theme) -> None:
    axes.set_facecolor(theme.ground)
    axes.tick_params(colors=theme.letters, labelsize=8, length=3, color=theme.lines)
    axes.grid(visible=True, color=theme.lines, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.lines)


def _gapped(values: Any) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _monthly_maximum(days: Sequence[HeatDayRow]) -> float | None:
    """Return what the newest HotSpot is counted from."""
    for day in reversed(days):
        if day.sst_celsius is not None and day.hotspot_celsius is not None:
            return day.sst_celsius - day.hotspot_celsius
    return None
