"""The comparison as a table: on the terminal, and as Markdown for a page."""

from collections.abc import Sequence

from rich.table import Table

from candidate import MESH_PROMISES
from measured_row import Row, ratios

COLUMNS = ("pipeline", "messages/s", "in each round", "rate, ratio", "CPU of services", "CPU of the broker", "CPU, ratio")


def cells_of(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the table's cells; ratios are to the fastest plain pipeline on the same broker."""
    compared = ratios(rows)
    return [
        (
            row.name,
            f"{row.per_second:,.0f}",
            ", ".join(f"{rate:,.0f}" for rate in row.rounds),
            f"{compared[row.name].rate:.2f}" if row.name in compared else "",
            f"{row.services_microseconds:,.0f} us",
            "in the services" if row.broker_microseconds is None else f"{row.broker_microseconds:,.0f} us",
            f"{compared[row.name].cpu:.2f}" if row.name in compared else "",
        )
        for row in rows
    ]


def table_of(rows: Sequence[Row], title: str) -> Table:
    table = Table(*COLUMNS, title=title)
    for cells in cells_of(rows):
        table.add_row(*cells)
    return table


def promises_of(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return for each promise its words, and for each row whether it is made."""
    return [(promise, *("yes" if promise in row.promises else "no" for row in rows)) for promise in MESH_PROMISES]


def markdown(rows: Sequence[Row], *, promises: bool) -> str:
    """Return the table, and with ``promises`` the one of what each promises."""
    lines = [*_markdown(COLUMNS, cells_of(rows))]
    if promises:
        lines += ["", *_markdown(("promise", *(row.name for row in rows)), promises_of(rows))]
    return "\n".join(lines)


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *body]
    return [f"| {' | '.join(cells)} |" for cells in lines]
