"""The port of a service's domain: one message in; new state, rows and messages out."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from reefmesh.contracts.channels import Channel
from reefmesh.contracts.envelope import Envelope
from reefmesh.store.port import Write

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A message to publish. The worker makes its envelope, with the reef's next number if the channel is numbered.
    ``step``, unique among the outputs of one input, makes its event id deterministic."""

    channel: Channel
    step: str
    schema_id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[S]):
    """What becomes of one reef. ``committed`` is called after the unit of work was committed, so that a refused or repeated
    attempt counts nothing."""

    state: S
    writes: Sequence[Write] = ()
    outputs: Sequence[Output] = ()
    committed: Callable[[], None] | None = None


class Handler(Protocol[S]):
    """The domain's side of a worker. The worker owns the state and loads it again after a commit that failed, so a handler may
    change it in place."""

    async def load(self, reef_id: str, state: bytes | None) -> S:
        """Return the state of a reef from the bytes in its row (None: a new reef); may read the service's own tables.

        Raises:
            StoreUnavailable: try again later.
        """
        ...

    def dump(self, state: S) -> bytes:
        """Return the bytes for the reef's row."""
        ...

    async def handle(self, message: Envelope, state: S) -> Change[S]:
        """Return what the message does to the reef. May wait for reads of the store, and writes nothing itself.

        Raises:
            PoisonMessage: it can never be handled.
            TransientError: try again later.
        """
        ...


@runtime_checkable
class Selective(Protocol):
    """A handler that names the schemas which it reads. A message of any other is parked at once, also when it would have to
    wait for a missing one."""

    @property
    def schemas(self) -> Collection[str]: ...
