"""What a stage needs of the broker that is attacked, whichever it is: to empty it, and to look into it past everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from reefmesh_components.broker_process import BrokerProcess
from reefmesh_hostile.attacker import Attacker

Engine = Literal["activemq", "rabbitmq"]
SERVICES: Final = ("ingest", "scoring", "alerts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One message that lies at the broker."""

    event_id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for the services or is in their hands: ``messages`` that the broker shows, and how many it only counts."""

    messages: Sequence[Held] = ()
    unseen: int = 0


class AttackedBroker(Protocol):
    """``store_growth_bytes_limit``: by how much one act may let its store grow."""

    @property
    def engine(self) -> Engine: ...

    @property
    def process(self) -> BrokerProcess: ...

    @property
    def store_growth_bytes_limit(self) -> int: ...

    def url(self, user: str) -> str:
        """Return the address for a service."""
        ...

    def attacker(self, user: str) -> Attacker: ...

    def device(self, imei: str) -> Attacker:
        """Return who speaks MQTT for a device: its own user, or the one that all devices share."""
        ...

    def command(self, imei: str, body: bytes) -> None:
        """Send a command to a device, as an operator."""
        ...

    def purge(self) -> bool:
        """Take every message out of every queue; nobody consumes. Return whether none is left. Raises OSError or WireCut when
        the broker answers no more."""
        ...

    def forget(self) -> None:
        """Throw its whole store away; it runs again afterwards, with its users."""
        ...

    def parked(self, service: str) -> Sequence[Held]:
        """Return what lies in a service's parking; nothing is taken. Raises WireCut."""
        ...

    def waiting(self) -> Waiting:
        """Raises WireCut."""
        ...

    def store_bytes(self) -> int:
        """Return how much it keeps on disk."""
        ...

    def is_nearly_full(self) -> bool:
        """Whether it still keeps so much of earlier acts that the next one would fill a small store."""
        ...

    def close(self) -> None:
        """End it hard."""
        ...
