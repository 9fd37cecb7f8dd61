"""In which order the statements of many units are executed together.

A statement is prepared and sent once for many rows, which is where the speed is; but a unit's own statements must keep
their order. So the units' lists are merged: at every step, the text that most units have next is executed for all of them.
"""

from collections.abc import Iterator, Sequence

from reefmesh.store.port import Value, Write


def merged(units: Sequence[Sequence[Write]]) -> Iterator[tuple[str, list[tuple[Value, ...]]]]:
    """Yield (text, rows of parameters) so that each unit's statements come in its own order; rows in the units' order."""
    waiting: dict[str, list[tuple[int, int]]] = {}  # text -> (unit, position of its next statement)
    for unit, writes in enumerate(units):
        if writes:
            waiting.setdefault(writes[0].sql, []).append((unit, 0))
    while waiting:
        sql = max(waiting, key=lambda text: len(waiting[text]))
        rows: list[tuple[Value, ...]] = []
        for unit, start in waiting.pop(sql):
            writes, position = units[unit], start
            while position < len(writes) and writes[position].sql == sql:
                rows.append(writes[position].parameters)
                position += 1
            if position < len(writes):
                waiting.setdefault(writes[position].sql, []).append((unit, position))
        yield sql, rows
