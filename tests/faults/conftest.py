"""What the fault tests share: a broker of this module's own, and a publisher."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import TransientError
from reefmesh_components.either_broker import ACTIVEMQ, RABBITMQ, EitherBroker, either_broker
from reefmesh_components.requirement import ComponentMissing, give_up

AT_ONCE = 250
RETRIES_LIMIT = 600


EACH_KIND = [ACTIVEMQ, pytest.param(RABBITMQ, marks=pytest.mark.rabbitmq)]


@pytest.fixture(scope="module", params=EACH_KIND)
def broker(request: pytest.FixtureRequest) -> Iterator[EitherBroker]:
    """A broker that no other module's backlog slows down, one of each kind."""
    yield from _started(request.param)


@pytest.fixture(params=EACH_KIND)
def own_broker(request: pytest.FixtureRequest) -> Iterator[EitherBroker]:
    """One that the test may end, of each kind."""
    yield from _started(request.param)


def _started(kind: str) -> Iterator[EitherBroker]:
    try:
        with either_broker(kind) as broker:
            yield broker
    except ComponentMissing as missing:
        give_up(missing)


class Publisher:
    """Numbers each reef's messages from 1, and repeats what was not confirmed under the same id and number."""

    def __init__(self, client: Broker) -> None:
        self.client = client
        self.sent: dict[str, int] = {}
        self.failures = 0

    async def publish(
        self, subscription: Subscription, counts: Mapping[str, int], *, bodies: Mapping[tuple[str, int], bytes] | None = None
    ) -> None:
        """Publish so many further messages of each reef, round by round; what a message says is ``work`` or ``bodies``'."""
        publications = []
        for turn in range(max(counts.values(), default=0)):
            for reef_id, count in counts.items():
                if turn < count:
                    number = self.sent[reef_id] = self.sent.get(reef_id, 0) + 1
                    body = (bodies or {}).get((reef_id, number), b"work")
                    publications.append(self.publication(subscription.channel.name, reef_id, number, body))
        for start in range(0, len(publications), AT_ONCE):
            await self._confirmed(publications[start : start + AT_ONCE])

    async def _confirmed(self, publications: Sequence[Publication]) -> None:
        for _ in range(RETRIES_LIMIT):
            try:
                await self.client.publish(publications)
            except TransientError:
                self.failures += 1
                await asyncio.sleep(0.1)  # the pause of whoever has nothing else to do than to try again
            else:
                return
        raise AssertionError("the broker did not come back")

    def publication(self, channel: str, reef_id: str, number: int, body: bytes) -> Publication:
        message = Envelope(
            event_id=f"{channel}/{reef_id}/{number}",
            reef_id=reef_id,
            schema_id="readings/1",
            produced_at=SystemClock().now(),
            body=body,
            seq=number,
        )
        return Publication(channel=channel, message=message)


@pytest.fixture
def make_publisher() -> Callable[[Broker], Publisher]:
    return Publisher


@pytest.fixture
async def publisher(broker: EitherBroker) -> AsyncIterator[Publisher]:
    client = open_broker(broker.url(), clock=SystemClock())
    await client.connect()
    yield Publisher(client)
    await client.close()
