"""Folding of log lines that repeat: the first ones of an interval are written, the others become one line with their count.

Whoever sends many bad messages, or a database that is away for all lanes, must not write the log full.
"""

import asyncio
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final, Literal

Level = Literal["info", "warning", "error"]

LINES_PER_INTERVAL: Final = 5
INTERVAL_SECONDS: Final = 10.0
KINDS_LIMIT: Final = 64
"""Kinds that are counted apart at a time; the lines of any further kind of an event are counted together."""


@dataclass(slots=True)
class _Interval:
    written: int = 0
    folded: int = 0


class FoldedLog:
    """Writes to a logger of structlog's. Lines repeat when they have the same event and kind. Needs a running event loop."""

    def __init__(self, log: Any, *, interval_seconds: float = INTERVAL_SECONDS, **bound: str) -> None:
        self._log = log
        self._interval_seconds = interval_seconds
        self._bound = bound
        self._intervals: dict[tuple[Level, str, str], _Interval] = {}

    def write(self, level: Level, event: str, *, kind: str = "", **facts: object) -> None:
        """Write the line, or count it. The count of an interval is written at its end, without any message's context."""
        key = (level, event, kind)
        interval = self._intervals.get(key)
        if interval is None and len(self._intervals) >= KINDS_LIMIT:
            key = (level, event, "")
            interval = self._intervals.get(key)
        if interval is None:
            interval = self._intervals[key] = _Interval()
            asyncio.get_running_loop().call_later(self._interval_seconds, self._end, key, context=Context())
        if interval.written < LINES_PER_INTERVAL:
            interval.written += 1
            getattr(self._log, level)(event, **facts)
        else:
            interval.folded += 1

    def _end(self, key: tuple[Level, str, str]) -> None:
        folded = self._intervals.pop(key).folded
        if not folded:
            return
        level, event, kind = key
        named = {"kind": kind} if kind else {}
        getattr(self._log, level)(event, folded=folded, seconds=self._interval_seconds, **named, **self._bound)
