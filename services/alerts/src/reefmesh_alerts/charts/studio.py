"""Charts for mails: drawn in a thread of their own, one at a time, kept by what they show."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from reefmesh_alerts.texts.background import HeatChart
from reefmesh_alerts.texts.heat_day import HeatDayRow

log = structlog.get_logger()

CHARTS_KEPT: Final = 16
"""About 100 kB each: an alert goes to several recipients within seconds."""
DRAWN_WITHIN_SECONDS: Final = 10.0
"""A mail that waited so long for its chart goes without one."""
DRAWINGS_LIMIT: Final = 8
"""Charts that are drawn or wait for it."""
DAYS_LIMIT: Final = 400
DAYS_LEAST: Final = 2

Days = tuple[HeatDayRow, ...]
Draw = Callable[[Sequence[HeatDayRow]], HeatChart]


def draw_with_matplotlib(days: Sequence[HeatDayRow]) -> HeatChart:
    """Draw both forms of a chart.

    Raises:
        ImportError: the extra ``charts`` is not installed.
    """
    from reefmesh_alerts.charts.drawing import DARK, LIGHT, draw  # noqa: PLC0415 - optional, and slow to import

    return HeatChart(light=draw(days, LIGHT), dark=draw(days, DARK))


class Studio:
    """Draws at most one chart at a time. Without the extra ``charts``, after a fault and when it takes too long there is no
    chart: an alert never waits for its picture longer than that. A chart that comes too late is kept for the next mail."""

    def __init__(self, draw: Draw = draw_with_matplotlib, *, within_seconds: float = DRAWN_WITHIN_SECONDS) -> None:
        self._draw = draw
        self._within_seconds = within_seconds
        self._kept: OrderedDict[Days, HeatChart] = OrderedDict()
        self._drawings: dict[Days, asyncio.Future[HeatChart]] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._is_off = False

    async def chart_of(self, days: Sequence[HeatDayRow]) -> HeatChart | None:
        """Return the chart of these days, oldest first; None if there is nothing to draw or no way to."""
        shown = tuple(days[-DAYS_LIMIT:])
        if self._is_off or len(shown) < DAYS_LEAST or all(day.dhw_celsius_weeks is None for day in shown):
            return None
        if shown not in self._kept:
            if shown not in self._drawings and not self._begin(shown):
                return None
            await asyncio.wait([self._drawings[shown]], timeout=self._within_seconds)
        if shown not in self._kept:
            return None
        self._kept.move_to_end(shown)
        return self._kept[shown]

    def close(self) -> None:
        """Stop drawing; a chart in progress is finished in its thread and not used. Idempotent."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None

    def _begin(self, days: Days) -> bool:
        if len(self._drawings) >= DRAWINGS_LIMIT:
            log.warning("chart left out, others are still drawn", charts=len(self._drawings))
            return False
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="charts")
        drawing = asyncio.get_running_loop().run_in_executor(self._thread, self._draw, days)
        self._drawings[days] = drawing
        drawing.add_done_callback(lambda done: self._note(days, done))
        return True

    def _note(self, days: Days, drawing: asyncio.Future[HeatChart]) -> None:
        del self._drawings[days]
        if drawing.cancelled():
            return
        match drawing.exception():
            case None:
                self._kept[days] = drawing.result()
                while len(self._kept) > CHARTS_KEPT:
                    self._kept.popitem(last=False)
            case ImportError() as error:
                self._is_off = True
                log.info("mails have no charts, reefmesh-alerts[charts] is not installed", reason=str(error))
            case error:
                log.error("chart left out", error=repr(error))
