"""The subscribers that both brokers have: one for each channel of the mesh that people downstream use."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeVar, cast

from faststream.exceptions import SetupError

from reefmesh.contracts import channels
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.senders import BrokerUsers
from reefmesh.faststream.retry_in_place import Retrying

Handler = TypeVar("Handler", bound=Callable[..., Any])

GRACEFUL_SECONDS: Final = 30.0
"""How long a stop waits for handlers."""


class SharedSubscriber(Protocol):
    """A FastStream subscriber, as far as it is used here."""

    running: bool
    lock: Any

    def __call__(self, func: Any) -> Any: ...


class ReefSubscribers:
    """Mixed into a FastStream broker. A handler's first parameter is the body, typed; others are FastStream's, among them
    ``ReefEnvelope``."""

    def __init__(self, *args: Any, service: str, users: BrokerUsers | None, retrying: Retrying, **more: Any) -> None:
        super().__init__(*args, **more)
        self.retrying = retrying
        self._service = service
        self._users = users or BrokerUsers()
        self.lanes: dict[Subscription, tuple[SharedSubscriber, ...]] = {}
        """The FastStream subscribers of each subscription."""

    def readings(self) -> Callable[[Handler], Handler]:
        """Register a handler for ``reef.readings``: its body is a ``reefmesh.contracts.readings.Readings``."""
        return self._register(channels.READINGS)

    def scores(self) -> Callable[[Handler], Handler]:
        """Register a handler for ``reef.scores``: its body is a ``reefmesh.contracts.scores.ReefScore``."""
        return self._register(channels.SCORES)

    def alerts(self) -> Callable[[Handler], Handler]:
        """Register a handler for ``reef.alerts``: its body is a ``reefmesh.contracts.alerts.Alert``."""
        return self._register(channels.ALERTS)

    @abstractmethod
    def made_lanes(self, subscription: Subscription) -> Iterable[SharedSubscriber]:
        """Make the FastStream subscribers that share the subscription."""

    @abstractmethod
    def address_of(self, subscription: Subscription, reef_id: str) -> str:
        """Return the queue in which a message of this reef arrives."""

    def _register(self, channel: Channel) -> Callable[[Handler], Handler]:
        subscription = Subscription(self._service, channel)
        if subscription in self.lanes:
            raise SetupError(f"{subscription} has a handler already; a second one would take messages away from it")
        lanes = self.lanes[subscription] = tuple(self.made_lanes(subscription))

        def register(handler: Handler) -> Handler:
            wrapped: Any = handler
            for lane in lanes:
                wrapped = lane(wrapped)
            return cast("Handler", wrapped)

        return register


async def until_nothing_in_hand(lanes: Iterable[Any], *, within_seconds: float) -> None:
    """Hand out nothing more, and wait for what handlers have: only then may a subscription be given up, or the next consumer
    gets a later message of a reef beside it."""
    lanes = tuple(lanes)
    for lane in lanes:
        lane.running = False
    for lane in lanes:
        if hasattr(lane.lock, "wait_release"):  # it has one once it was started
            await lane.lock.wait_release(within_seconds)
