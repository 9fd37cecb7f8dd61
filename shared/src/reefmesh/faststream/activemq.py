"""The broker of faststream-stomp for ActiveMQ, with subscribers for the mesh's channels."""

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

from faststream_stomp import StompBroker
from stompman import AckableMessageFrame, Client, ConnectionParameters, Heartbeat

from reefmesh.broker.activemq.destinations import subscription_queue
from reefmesh.broker.activemq.message_headers import USER_ID, facts_of, text_of
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.senders import BrokerUsers
from reefmesh.errors import ConfigurationError
from reefmesh.faststream.message_reader import MessageReader
from reefmesh.faststream.retry_in_place import Retrying
from reefmesh.faststream.subscribers import GRACEFUL_SECONDS, ReefSubscribers, SharedSubscriber, until_nothing_in_hand

LANES: Final = 8
PREFETCH: Final = {"activemq.prefetchSize": "1"}
"""stompman handles at once whatever it has: one message of a subscription, so that a reef's come one by one."""
CONFIRM_SECONDS: Final = 60.0


class StompReefBroker(ReefSubscribers, StompBroker):
    """``service`` names the subscriptions: every process of one service shares them, another service has its own.

    ``url`` as reefmesh has it (``stomp+ssl://user:password@host-1:61614,host-2:61614?ca=FILE``). ``lanes``: how many reefs
    this process handles at once. ``users``: who may speak on the channels, where broker users are not called as their
    services. ``more``: what faststream-stomp's ``StompBroker`` takes. What the application publishes is confirmed.
    """

    def __init__(
        self,
        url: str,
        *,
        service: str,
        lanes: int = LANES,
        users: BrokerUsers | None = None,
        retrying: Retrying | None = None,
        graceful_timeout: float = GRACEFUL_SECONDS,
        **more: Any,
    ) -> None:
        retrying = retrying or Retrying()
        self._lane_count = lanes
        self._graceful_seconds = graceful_timeout
        super().__init__(
            client_of(ActiveMQAddress.parse(url)),
            service=service,
            users=users,
            retrying=retrying,
            graceful_timeout=graceful_timeout,
            **{
                "receipt_timeout": CONFIRM_SECONDS,
                **more,
                "middlewares": (*more.get("middlewares", ()), retrying.middleware),
            },
        )

    def made_lanes(self, subscription: Subscription) -> Iterable[SharedSubscriber]:
        reader = MessageReader(subscription, self._users, facts_of=facts_of, sender_of=_sender_of)
        for index in range(self._lane_count):
            yield self.subscriber(
                subscription_queue(subscription),
                headers=PREFETCH,
                parser=reader.parse,
                decoder=reader.decode,
                title=str(subscription.channel),
                include_in_schema=index == 0,
            )

    def address_of(self, subscription: Subscription, reef_id: str) -> str:  # noqa: ARG002 - all reefs share the queue
        return subscription_queue(subscription)

    async def start(self) -> None:
        self.retrying.stopping.clear()
        await super().start()

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Finish what handlers have before the subscriptions end: ActiveMQ drops an acknowledgement that comes after."""
        self.retrying.stopping.set()
        await until_nothing_in_hand(self.subscribers, within_seconds=self._graceful_seconds)
        await super().stop(exc_type, exc_val, exc_tb)


def client_of(address: ActiveMQAddress) -> Client:
    """Raises ConfigurationError: stompman cannot do what the address asks for."""
    if address.server_name is not None:
        raise ConfigurationError("broker URL: server_name= is for reefmesh's services only")
    host = {"host": address.virtual_host} if address.virtual_host else {}
    servers = [
        ConnectionParameters(each.host, each.port, address.user, quote(address.password, safe=""), connect_headers=host)
        for each in address.endpoints
    ]
    milliseconds = int(address.heartbeat_seconds * 1000)
    return Client(
        servers,
        heartbeat=Heartbeat(milliseconds, milliseconds),
        ssl=address.ssl_context(),
        connect_timeout=max(1, round(address.connect_timeout_seconds)),
        max_concurrent_handlers=None,  # one message for each lane bounds them
    )


def _sender_of(raw: AckableMessageFrame) -> str | None:
    return text_of({str(name): str(value) for name, value in raw.headers.items()}, USER_ID)
