"""The one table of metric names: what reefmesh counts, in which unit, under which labels.

Dashboards, alert rules and code name metrics by these rows alone, as ``table.READINGS``; a module holds the rows of one
subsystem. Every row carries the label ``service`` besides its own.
"""

from typing import Final

from reefmesh.observability.table import (
    alerts,
    bridge,
    broker,
    dashboard,
    gateway,
    ingest,
    process,
    reefs,
    scoring,
    store,
    worker,
)
from reefmesh.observability.table.alerts import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.bounds import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.bridge import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.broker import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.dashboard import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.gateway import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.ingest import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.labels import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.process import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.reefs import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.rows import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.rows import Counter, Gauge, Histogram, Row
from reefmesh.observability.table.scoring import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.store import *  # noqa: F403 - its rows are this table's
from reefmesh.observability.table.worker import *  # noqa: F403 - its rows are this table's

SUBSYSTEMS: Final = (worker, broker, store, ingest, scoring, bridge, gateway, reefs, alerts, dashboard, process)
"""In the order of the page."""

ROWS: Final[tuple[Row, ...]] = tuple(
    value for subsystem in SUBSYSTEMS for value in vars(subsystem).values() if isinstance(value, Counter | Gauge | Histogram)
)
