"""A message in a lane's hands, and what its attempts have settled so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reefmesh.broker.port import Delivery, Lane, Publication
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import PoisonMessage
from reefmesh.service.gap_waiter import Accepted

Outcome = Literal["handled", "duplicate", "parked", "released"]
"""How a message leaves the hands; ``released``: it will be redelivered, here or elsewhere."""


@dataclass(slots=True, kw_only=True)
class MessageInHand:
    """What one attempt has settled, the next one does not do again.

    ``message``: as the worker reads it, see ``LaneLoop``. ``attempts``: those that failed for now; ``faults``: those in which
    the handler itself failed (a bug). ``is_believed``: its sender is no speaker of the channel, and it is to be handled all the
    same. ``is_applied``: the effect is in the store, ``is_duplicate``: it was there before, and
    ``outputs`` are to go out with the acknowledgement. ``poison``: the verdict that it is to be parked.
    ``missing``, ``accepted``, ``is_late`` and ``is_healed`` are for counting: how many messages before it were given up, and
    why; whether a later one was applied before it; whether its own outputs were found in the outbox.
    """

    lane: Lane
    delivery: Delivery
    message: Envelope
    attempts: int = 0
    faults: int = 0
    is_believed: bool = False
    is_applied: bool = False
    is_duplicate: bool = False
    outputs: Sequence[Publication] = ()
    poison: PoisonMessage | None = None
    missing: int = 0
    accepted: Accepted = "waited"
    is_late: bool = False
    is_healed: bool = False
