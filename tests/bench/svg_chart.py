"""Charts as inline SVG, without any library: groups of bars, and lines. What they show is escaped, and they fetch nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import Final

COLOURS: Final = ("#0b6e99", "#c8782a", "#5a8f3c", "#8a4f9e", "#b5495b", "#6b7780")
WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 46, 44
LEGEND_ROW: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """``unit``: of the upright axis; ``across``: what the level one is."""

    title: str
    unit: str
    across: str = ""


def bars(chart: Chart, groups: Sequence[str], series: Mapping[str, Sequence[float | None]]) -> str:
    """Draw for each group one bar of each series; None: there is none, and the place says so."""
    top = _nice(max((value for row in series.values() for value in row if value is not None), default=0.0))
    parts = [_upright(top), *_legend(list(series))]
    room = (WIDTH - LEFT - RIGHT) / max(1, len(groups))
    wide = room * 0.8 / max(1, len(series))
    for place, group in enumerate(groups):
        left = LEFT + place * room + room * 0.1
        parts.append(_text(left + room * 0.4, HEIGHT - BOTTOM + 16, group, anchor="middle"))
        for index, (name, values) in enumerate(series.items()):
            value, x = values[place], left + index * wide
            if value is None:
                parts.append(
                    _text(x + wide / 2, HEIGHT - BOTTOM - 4, "-", anchor="middle", hint=f"{name}: no figure, see the table")
                )
                continue
            high = (HEIGHT - TOP - BOTTOM) * value / top
            y = HEIGHT - BOTTOM - high
            hint = escape(f"{name}, {group}: {value:,.0f} {chart.unit}")
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide * 0.92:.1f}" height="{high:.1f}" fill="{_colour(index)}">'
                f"<title>{hint}</title></rect>"
            )
            parts.append(_text(x + wide * 0.46, y - 3, _short(value), anchor="middle", size=9))
    return _framed(chart, parts, rows=len(series))


def lines(chart: Chart, series: Mapping[str, Sequence[tuple[float, float]]], *, logarithmic: bool = False) -> str:
    """Draw each series of points (across, up); with ``logarithmic`` both axes, and only points above 0."""
    kept = {name: [point for point in points if not logarithmic or min(point) > 0] for name, points in series.items()}
    every = [point for points in kept.values() for point in points]
    if not every:
        return _framed(chart, [_text(LEFT, HEIGHT / 2, "nothing was measured")], rows=0)
    if logarithmic:
        across = (floor(log10(min(x for x, _ in every))), ceil(log10(max(x for x, _ in every)) + 1e-9))
        up = (floor(log10(min(y for _, y in every))), ceil(log10(max(y for _, y in every)) + 1e-9))
        parts = [_decades(across, up)]
        placed = {name: [(_part(log10(x), across), _part(log10(y), up)) for x, y in points] for name, points in kept.items()}
    else:
        right, top = max(x for x, _ in every) or 1.0, _nice(max(y for _, y in every))
        parts = [_upright(top), _text(WIDTH - RIGHT, HEIGHT - BOTTOM + 16, _short(right), anchor="end")]
        parts.append(_text(LEFT, HEIGHT - BOTTOM + 16, "0", anchor="middle"))
        placed = {name: [(x / right, y / top) for x, y in points] for name, points in kept.items()}
    parts += _legend(list(series))
    for index, (name, points) in enumerate(placed.items()):
        path = " ".join(
            f"{LEFT + x * (WIDTH - LEFT - RIGHT):.1f},{HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM):.1f}" for x, y in points
        )
        if path:
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{_colour(index)}" stroke-width="1.8">'
                f"<title>{escape(name)}</title></polyline>"
            )
            parts += [
                f'<circle cx="{each.split(",")[0]}" cy="{each.split(",")[1]}" r="2.4" fill="{_colour(index)}"/>'
                for each in path.split()
            ]
    return _framed(chart, parts, rows=len(series))


def _framed(chart: Chart, parts: Sequence[str], *, rows: int) -> str:
    height = HEIGHT + LEGEND_ROW * rows
    head = [_text(LEFT, 14, chart.title, size=13), _text(LEFT, 28, chart.unit, size=10)]
    foot = [_text(WIDTH - RIGHT, HEIGHT - 10, chart.across, anchor="end", size=10)] if chart.across else []
    body = "".join([*head, *parts, *foot])
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(chart.title)}">{body}</svg>'


def _upright(top: float) -> str:
    """The lines of a level axis from 0 to ``top``, in quarters."""
    made = []
    for quarter in range(5):
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * quarter / 4
        made.append(_line(LEFT, y, WIDTH - RIGHT, y))
        made.append(_text(LEFT - 6, y + 4, _short(top * quarter / 4), anchor="end"))
    return "".join(made)


def _decades(across: tuple[int, int], up: tuple[int, int]) -> str:
    made = []
    for power in range(up[0], up[1] + 1):
        y = HEIGHT - BOTTOM - _part(power, up) * (HEIGHT - TOP - BOTTOM)
        made += [_line(LEFT, y, WIDTH - RIGHT, y), _text(LEFT - 6, y + 4, f"{10.0**power:g}", anchor="end")]
    for power in range(across[0], across[1] + 1):
        x = LEFT + _part(power, across) * (WIDTH - LEFT - RIGHT)
        made += [_line(x, TOP, x, HEIGHT - BOTTOM), _text(x, HEIGHT - BOTTOM + 16, f"{10.0**power:,.0f}", anchor="middle")]
    return "".join(made)


def _part(value: float, limits: tuple[int, int]) -> float:
    low, high = limits
    return (value - low) / max(1, high - low)


def _legend(names: Sequence[str]) -> list[str]:
    made = []
    for index, name in enumerate(names):
        y = HEIGHT + LEGEND_ROW * index
        made.append(f'<rect x="{LEFT}" y="{y - 4}" width="10" height="10" fill="{_colour(index)}"/>')
        made.append(_text(LEFT + 16, y + 5, name))
    return made


def _line(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="currentColor" stroke-opacity="0.15"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, hint: str = "") -> str:
    title = f"<title>{escape(hint)}</title>" if hint else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="currentColor">'
        f"{title}{escape(text)}</text>"
    )


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _nice(value: float) -> float:
    """Return the next number of 1, 2, 4, 5 times a power of ten, at least 1."""
    if value <= 1:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 4, 5, 10) if step * power >= value)


def _short(value: float) -> str:
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"
