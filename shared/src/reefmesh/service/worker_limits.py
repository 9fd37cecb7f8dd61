"""The bounds of a worker; ``reefmesh.settings`` is how operators set them."""

from dataclasses import dataclass, field
from typing import Literal

from reefmesh.backoff import Backoff
from reefmesh.broker.parking_quota import ParkingQuota


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """``crash_limit``: a redelivered message is tried this often before it is parked as one that kills its process.
    ``fault_attempts_limit``: attempts in which the handler itself fails (a bug) before the message is parked.
    ``gap_patience_seconds``: how long a message waits for an earlier one of its reef that is missing; longer than the relay
    leaves an output in the outbox (30 s). ``reefs_cached_limit``: reefs whose state is kept in memory. ``parking_quota``: how
    much of what others send is kept in the parking.
    """

    lanes: int = 64
    poison_policy: Literal["continue", "park"] = "continue"
    crash_limit: int = 5
    fault_attempts_limit: int = 5
    gap_patience_seconds: float = 60.0
    reefs_cached_limit: int = 20_000
    parking_quota: ParkingQuota = field(default_factory=ParkingQuota)
    backoff: Backoff = field(default_factory=Backoff)
