"""Labels that several rows have."""

from typing import Final

from reefmesh.observability.table.rows import Label

SUBSCRIPTION: Final = Label("subscription", limit=16)
CHANNEL: Final = Label("channel", limit=16)
REASON: Final = Label("reason", limit=64)
REEF: Final = Label("reef", limit=1000)  # an operator sets another: REEFMESH_METRICS_REEFS_LIMIT

HANDLED_OUTCOMES: Final = ("handled", "duplicate", "parked", "released")
