"""The services as a table, from the database of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from reefmesh_standalone.commands.reef_table import table_of
from reefmesh_standalone.mesh import Stores

COUNTS = ("reefs", "outputs waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLine:
    """``reefs``: those of which the service has state; ``outputs_waiting``: its messages that the broker has not confirmed."""

    service: str
    reefs: int
    outputs_waiting: int


async def service_lines(stores: Stores) -> list[ServiceLine]:
    """Return a line for each service with a database, upstream first."""
    lines = []
    for entry, store in stores.items():
        ((reefs, outputs),) = await store.fetch(
            "SELECT (SELECT COUNT(*) FROM mesh_reef), (SELECT COUNT(*) FROM mesh_outbox)",
        )
        lines.append(ServiceLine(service=entry.name, reefs=int(reefs), outputs_waiting=int(outputs)))
    return lines


def service_table(lines: Sequence[ServiceLine]) -> Table:
    table = table_of("Services", "service", *COUNTS, numbers=COUNTS)
    for line in lines:
        table.add_row(line.service, f"{line.reefs:,}", f"{line.outputs_waiting:,}")
    return table
