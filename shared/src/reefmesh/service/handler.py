"""What a service must bring: one message in; new state, rows and messages out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from reefmesh.contracts.channels import Channel
from reefmesh.contracts.envelope import Envelope
from reefmesh.store.port import Write

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A message to be: the worker gives it its envelope, with the reef's next number where the channel is numbered.
    ``step`` makes its event id deterministic (unique per input)."""

    channel: Channel
    step: str
    schema_id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[S]):
    """What one message did to one reef. ``committed`` is called once it is safe in the store: for counting, which a repeated
    attempt must not do twice."""

    state: S
    writes: Sequence[Write] = ()
    outputs: Sequence[Output] = ()
    committed: Callable[[], None] | None = None


class Handler(Protocol[S]):
    """The domain's side of a worker. State is owned by the worker: after a failed commit it is loaded again, so a handler
    may change it in place."""

    async def load(self, reef_id: str, state: bytes | None) -> S:
        """Make the state of a reef from its row (None: a new reef), reading the service's own tables if need be."""
        ...

    def dump(self, state: S) -> bytes:
        """Return the bytes for the reef's row."""
        ...

    async def handle(self, message: Envelope, state: S) -> Change[S]:
        """Apply one message.

        Raises:
            PoisonMessage: it can never be handled.
            TransientError: try again later.
        """
        ...
