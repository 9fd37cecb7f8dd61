"""Law 14: repeated lines do not fill a log."""

import asyncio
from typing import Any

import pytest

from reefmesh.observability.folded_log import KINDS_LIMIT, LINES_PER_INTERVAL, FoldedLog


class Lines:
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def warning(self, event: str, **facts: Any) -> None:
        self.lines.append(("warning", event, facts))

    def error(self, event: str, **facts: Any) -> None:
        self.lines.append(("error", event, facts))


async def repeat(log: FoldedLog, times: int, **facts: Any) -> None:
    for number in range(times):
        log.write("warning", "retry", number=number, **facts)


async def test_lines_beyond_the_first_ones_become_one_with_their_count() -> None:
    lines = Lines()
    log = FoldedLog(lines, interval_seconds=0.0, subscription="s")
    await repeat(log, LINES_PER_INTERVAL + 100)
    log.write("error", "parked", kind="bad-body")
    while len(lines.lines) < LINES_PER_INTERVAL + 2:  # noqa: ASYNC110  # no event tells of a line; this only yields to the loop
        await asyncio.sleep(0)
    await repeat(log, 1)
    first = [("warning", "retry", {"number": number}) for number in range(LINES_PER_INTERVAL)]
    folded = ("warning", "retry", {"folded": 100, "seconds": 0.0, "subscription": "s"})
    assert lines.lines == [*first, ("error", "parked", {}), folded, ("warning", "retry", {"number": 0})]


@pytest.mark.parametrize("kinds", [3, 10 * KINDS_LIMIT])
async def test_kinds_are_counted_apart_up_to_their_limit(kinds: int) -> None:
    lines = Lines()
    log = FoldedLog(lines)
    for kind in range(kinds):
        await repeat(log, 1, kind=str(kind))
    assert len(lines.lines) == min(kinds, KINDS_LIMIT + LINES_PER_INTERVAL)
