"""The order in which the statements of many units are executed together.

Executing a statement once for many rows is fast; but the statements of one unit must keep their order. So the units' lists are
merged: at every step, the text that is next in most units is executed for all of these.
"""

from collections.abc import Iterator, Sequence

from reefmesh.store.port import Value, Write


def merged(units: Sequence[Sequence[Write]]) -> Iterator[tuple[str, list[tuple[Value, ...]]]]:
    """Yield (text, rows of parameters): each unit's statements in its own order, the rows of a text in the units' order."""
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
