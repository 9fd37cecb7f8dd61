"""The engine on a real broker: rights, trust, reconnection, and what the broker answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reefmesh.broker.activemq.destinations import consumer_advisories, subscription_queue
from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.activemq.errors import BrokerRefusal, ConnectionLost
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.lane import Ticket
from reefmesh.broker.activemq.message_headers import GROUP, to_frame
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import Address
from reefmesh.broker.port import BrokerEvent, BrokerUnavailable, Consumer, Delivery, Lane, LaneLost, Publication, PublishRefused
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import ALERTING, ALERTS, INGEST, READINGS, SCORES, SCORING, TELEMETRY, Subscription
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, Envelope
from reefmesh.errors import ConfigurationError
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.requirement import ComponentMissing, give_up

PATIENCE_SECONDS = 30.0


def publication(channel: str, number: int = 1, *, body: bytes = b"{}", reef_id: str = "reef-a") -> Publication:
    message = Envelope(
        event_id=f"{channel}/{reef_id}/{number}",
        reef_id=reef_id,
        schema_id="readings/1",
        produced_at=datetime(2026, 3, 1, tzinfo=UTC),
        seq=number,
        body=body,
    )
    return Publication(channel=channel, message=message)


class Events:
    """What a client told of itself, to be waited for."""

    def __init__(self, broker: ActiveMQBroker) -> None:
        self.heard: list[BrokerEvent] = []
        self._changed = asyncio.Event()
        broker.on_event(self._hear)

    def _hear(self, event: BrokerEvent) -> None:
        self.heard.append(event)
        self._changed.set()

    def count(self, name: str) -> int:
        return sum(event.name == name for event in self.heard)

    async def until(self, name: str, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.count(name) < times:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def client(url: str) -> AsyncIterator[ActiveMQBroker]:
    broker = ActiveMQBroker(url, clock=SystemClock())
    await broker.connect()
    try:
        yield broker
    finally:
        await broker.close()


async def one_line_failure(url: str) -> str:
    """Return what connecting there says, and that it needs somebody to mend it."""
    broker = ActiveMQBroker(url, clock=SystemClock())
    with pytest.raises(ConfigurationError) as caught:
        await broker.connect()
    await broker.close()
    text = str(caught.value)
    assert "\n" not in text
    return text


async def receive(broker: ActiveMQBroker, subscription: Subscription) -> Delivery:
    """Take the next message of a subscription and settle it."""
    consumer = broker.consumer(subscription, lanes=1)
    await consumer.start()
    delivery = await asyncio.wait_for(consumer.lanes[0].receive(), PATIENCE_SECONDS)
    assert delivery is not None
    await consumer.lanes[0].settle(delivery, ())
    await consumer.drain()
    return delivery


async def one_busy_one_idle(consumer: Consumer) -> "tuple[Delivery, asyncio.Task[Delivery | None]]":
    """Return what one of two lanes took in hand, and the other's waiting."""
    receiving = [asyncio.create_task(lane.receive()) for lane in consumer.lanes]
    done, (idle,) = await asyncio.wait(receiving, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_SECONDS)
    delivery = done.pop().result()
    assert delivery is not None
    return delivery, idle


async def test_wrong_password_says_so(activemq_process: ActivemqProcess) -> None:
    url = activemq_process.url("ingest").replace("ingest-p4ss", "ingest-wr0ng")
    text = await one_line_failure(url)
    assert "wrong user name or password" in text
    assert "wr0ng" not in text


async def test_nobody_logged_in_says_so(activemq_process: ActivemqProcess) -> None:
    assert "wrong user name or password" in await one_line_failure(f"stomp://127.0.0.1:{activemq_process.ports.stomp}")


async def test_unknown_authority_says_which_is_trusted(activemq_process: ActivemqProcess, tmp_path: Path) -> None:
    other = make_server_certificate(tmp_path)
    url = f"stomp+ssl://operator:x@127.0.0.1:{activemq_process.ports.stomp_tls}"
    assert "not trusted by this system" in await one_line_failure(url)
    assert str(other.ca_file) in await one_line_failure(f"{url}?ca={other.ca_file}")


async def test_wrong_host_name_is_not_the_certificates(activemq_process: ActivemqProcess) -> None:
    url = activemq_process.url(tls=True, parameters="server_name=broker.example")
    assert "for another name" in await one_line_failure(url)


async def test_host_that_does_not_exist_says_so() -> None:
    assert "no such host" in await one_line_failure("stomp://no-such-host.invalid:61613")


async def test_tls_to_a_plain_port_says_so(activemq_process: ActivemqProcess) -> None:
    ca_file = activemq_process.certificate.ca_file
    url = f"stomp+ssl://operator:x@127.0.0.1:{activemq_process.ports.stomp}?ca={ca_file}&connect_timeout_ms=2000"
    broker = ActiveMQBroker(url, clock=SystemClock())
    with pytest.raises((ConfigurationError, BrokerUnavailable)) as caught:
        await broker.connect()
    assert "\n" not in str(caught.value)


async def test_plain_to_a_tls_port_fails_in_one_line(activemq_process: ActivemqProcess) -> None:
    url = f"stomp://operator:x@127.0.0.1:{activemq_process.ports.stomp_tls}?connect_timeout_ms=2000"
    broker = ActiveMQBroker(url, clock=SystemClock())
    with pytest.raises(BrokerUnavailable) as caught:
        await broker.connect()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("user", "subscription", "outputs"),
    [("ingest", INGEST, READINGS), ("scoring", SCORING, SCORES), ("alerts", ALERTING, ALERTS)],
)
async def test_each_service_may_do_its_work_and_no_more(
    activemq_process: ActivemqProcess, user: str, subscription: Subscription, outputs: str
) -> None:
    """Consume its subscription, publish its outputs, park and replay; neither read nor write anything of the others."""
    others = {INGEST, SCORING, ALERTING} - {subscription}
    channels = {TELEMETRY, READINGS, SCORES, ALERTS} - {outputs} - ({TELEMETRY} if user == "ingest" else set())
    async with client(activemq_process.url()) as operator, client(activemq_process.url(user)) as service:
        await service.declare([subscription])
        await operator.publish([publication(subscription.channel)])
        consumer = service.consumer(subscription, lanes=1)
        await consumer.start()
        lane = consumer.lanes[0]
        delivery = await asyncio.wait_for(lane.receive(), PATIENCE_SECONDS)
        assert delivery is not None
        await lane.park(delivery, reason="test", detail="", attempts=1)
        parking = service.parking(subscription)
        assert 1 == await parking.replay([entry.parking_id for entry in await parking.list()])
        again = await asyncio.wait_for(lane.receive(), PATIENCE_SECONDS)
        assert again is not None
        await lane.settle(again, [publication(outputs)])
        await consumer.drain()
        for other in others:
            with pytest.raises(ConfigurationError, match="not authorized to read"):
                await service.consumer(other, lanes=1).start()
            with pytest.raises(ConfigurationError, match="not authorized"):
                await service.declare([other])
        for channel in channels:
            for count in (1, 2):
                with pytest.raises(PublishRefused, match="not authorized to write"):
                    await service.publish([publication(channel, number) for number in range(1, count + 1)])
    async with client(activemq_process.url()) as operator:
        for each in (SCORING, ALERTING):
            if each.channel == outputs:
                await receive(operator, each)  # leave nothing to the next test


async def test_buoy_may_only_write_telemetry(activemq_process: ActivemqProcess) -> None:
    async with client(activemq_process.url("buoy")) as buoy:
        await buoy.publish([publication(TELEMETRY)])
        with pytest.raises(PublishRefused, match="not authorized"):
            await buoy.publish([publication(READINGS)])
        with pytest.raises(ConfigurationError, match="not authorized"):
            await buoy.consumer(INGEST, lanes=1).start()
        await buoy.publish([publication(TELEMETRY, 2)])
    async with client(activemq_process.url("ingest")) as ingest:
        for _ in range(2):
            await receive(ingest, INGEST)


async def test_one_refused_in_a_batch_nothing_of_it_is_out(activemq_process: ActivemqProcess) -> None:
    """All in one transaction: a right that is missing for one message keeps all of them back."""
    async with client(activemq_process.url("ingest")) as ingest, client(activemq_process.url()) as operator:
        with pytest.raises(PublishRefused):
            await ingest.publish([publication(READINGS, 1), publication(SCORES, 1)])
        await ingest.publish([publication(READINGS, 2)])
        assert 2 == (await receive(operator, SCORING)).message.seq


async def test_refused_output_concerns_its_own_lane_alone(activemq_process: ActivemqProcess) -> None:
    """Settlements share transactions. The first refusal may cost the connection, and all lanes a redelivery; after it each is
    precise: the others settle, and the refused delivery is still its lane's."""
    reefs = [f"reef-{index}" for index in range(6)]
    async with client(activemq_process.url()) as operator, client(activemq_process.url("scoring")) as scoring:
        events = Events(scoring)
        await operator.publish([publication(READINGS, 1, reef_id=reef_id) for reef_id in reefs])
        consumer = scoring.consumer(SCORING, lanes=6)
        await consumer.start()
        refused_settled = asyncio.Event()

        async def work(lane: Lane) -> None:
            while (delivery := await lane.receive()) is not None:
                reef_id = delivery.message.reef_id
                try:
                    await lane.settle(delivery, [publication(ALERTS if reef_id == "reef-3" else SCORES, reef_id=reef_id)])
                except LaneLost:
                    continue  # done or not: what was not comes again
                except PublishRefused:
                    await lane.settle(delivery, ())  # it is still ours
                    refused_settled.set()

        working = [asyncio.create_task(work(lane)) for lane in consumer.lanes]
        got = {(await receive(operator, ALERTING)).message.reef_id for _ in range(5)}
        async with asyncio.timeout(PATIENCE_SECONDS):
            await refused_settled.wait()
        await consumer.drain()
        await asyncio.gather(*working)
        assert set(reefs) - {"reef-3"} == got
        assert events.count("lost") <= 1


async def test_broker_killed_clients_come_back_by_themselves_and_what_was_in_hand_comes_again(
    activemq_process: ActivemqProcess,
) -> None:
    """Kill -9 of the broker: the lane hears of it, the client reconnects, the message is delivered again, flagged."""
    subscription = Subscription("alpha", "killed")
    async with client(activemq_process.url(parameters="heartbeat_ms=1000")) as broker:
        events = Events(broker)
        await broker.declare([subscription])
        await broker.publish([publication("killed", number) for number in (1, 2)])
        consumer = broker.consumer(subscription, lanes=2)
        await consumer.start()
        lane = consumer.lanes[0]
        held = await asyncio.wait_for(lane.receive(), PATIENCE_SECONDS)
        assert held is not None
        await asyncio.to_thread(activemq_process.kill)
        await events.until("lost", 2)
        with pytest.raises(LaneLost):
            await lane.settle(held, ())
        with pytest.raises(BrokerUnavailable):
            await broker.publish([publication("killed", 3)])
        await asyncio.to_thread(activemq_process.start)
        await events.until("connected", 2)
        seen = []
        for _ in range(2):
            again = await asyncio.wait_for(lane.receive(), PATIENCE_SECONDS)
            assert again is not None
            seen.append((again.message.seq, again.redelivered))
            await lane.settle(again, ())
        assert (1, True) == seen[0]
        assert 2 == seen[1][0]
        assert 2 == (await broker.statistics()).reconnects


async def test_subscription_that_never_had_a_message_survives_the_broker(activemq_process: ActivemqProcess) -> None:
    """What is published before anybody consumed, and after a restart, still waits for its subscription."""
    subscription = Subscription("alpha", "empty-until-restart")
    async with client(activemq_process.url()) as broker:
        events = Events(broker)
        await broker.declare([subscription])
        await asyncio.to_thread(activemq_process.restart)
        await events.until("connected", 2)
        await broker.publish([publication("empty-until-restart", 7)])
        assert 7 == (await receive(broker, subscription)).message.seq


async def test_broker_that_freezes_is_noticed_within_two_heartbeats(activemq_process: ActivemqProcess) -> None:
    """Connections stay open and say nothing: the watchdog tells, and the client comes back when the broker does."""
    heartbeat_seconds = 1.0
    async with client(activemq_process.url(parameters="heartbeat_ms=1000&connect_timeout_ms=1000")) as broker:
        events = Events(broker)
        activemq_process.pause()
        try:
            began = asyncio.get_running_loop().time()
            await events.until("lost", 2)
            assert asyncio.get_running_loop().time() - began < 2.5 * heartbeat_seconds
        finally:
            activemq_process.resume()
        await events.until("connected", 2)


async def test_password_changed_while_connected_is_told_once_and_not_tried_in_a_storm(
    activemq_process: ActivemqProcess,
) -> None:
    """A reconnection that no retry mends waits long between attempts."""
    settings = activemq_process.log.parent / "conf" / "reefmesh.properties"
    before = settings.read_text()
    async with client(activemq_process.url("alerts")) as broker:
        events = Events(broker)
        try:
            settings.write_text(before.replace("alerts-p4ss@word", "changed"))
            await asyncio.to_thread(activemq_process.restart)
            await events.until("lost", 4)
            told = [event.facts["reason"] for event in events.heard if event.name == "lost"]
            assert 2 == sum("wrong user name or password" in str(reason) for reason in told)
        finally:
            settings.write_text(before)
            await asyncio.to_thread(activemq_process.restart)


async def test_message_without_an_envelope_is_parked_and_the_next_one_flows(activemq_process: ActivemqProcess) -> None:
    """Whoever may write to a channel may write nonsense: it never reaches a handler, and is never lost."""
    subscription = Subscription("alpha", "nonsense")
    async with client(activemq_process.url()) as broker:
        await broker.declare([subscription])
        address = Address.parse(activemq_process.url())
        session = await Session.open(address, address.endpoints[0], None)
        headers = (("destination", "/topic/VirtualTopic.nonsense"), ("persistent", "true"), ("device", "860000000000001"))
        await session.request("SEND", headers, b"\x00 no envelope")
        await session.close()
        await broker.publish([publication("nonsense", 2)])
        assert 2 == (await receive(broker, subscription)).message.seq
        (parked,) = await broker.parking(subscription).list()
        assert ("bad-envelope", b"\x00 no envelope") == (parked.reason, parked.message.body)
        assert {"device": "860000000000001"} == parked.message.headers
        assert 1 == await broker.parking(subscription).discard([parked.parking_id])


async def test_body_beyond_the_limit_is_refused_by_the_broker_the_longest_allowed_comes_through(
    activemq_process: ActivemqProcess,
) -> None:
    """What no consumer of ours would take must not get into a queue: it would come again and again."""
    subscription = Subscription("alpha", "long")
    async with client(activemq_process.url()) as broker:
        await broker.declare([subscription])
        address = Address.parse(activemq_process.url())
        session = await Session.open(address, address.endpoints[0], None)
        headers = (("destination", "/topic/VirtualTopic.long"), ("persistent", "true"))
        with pytest.raises((BrokerRefusal, ConnectionLost)):
            await session.request("SEND", headers, bytes(BODY_BYTES_LIMIT + 1))
        await session.close()
        message = publication("long").message.model_copy(update={"body": bytes(BODY_BYTES_LIMIT)})
        await broker.publish([Publication(channel="long", message=message)])
        assert BODY_BYTES_LIMIT == len((await receive(broker, subscription)).message.body)


async def test_drained_consumers_leave_nothing_behind_at_the_broker(activemq_process: ActivemqProcess) -> None:
    """Neither lanes nor the ear for advisories outlive their consumer, though the connection lives on."""
    subscription = Subscription("alpha", "left-behind")
    async with client(activemq_process.url()) as broker, client(activemq_process.url()) as other:
        events = Events(broker)
        await broker.declare([subscription])
        await broker.publish([publication("left-behind")])
        await receive(broker, subscription)  # its consumer is drained in there
        consumer = other.consumer(subscription, lanes=1)
        await consumer.start()
        await broker.publish([publication("left-behind", 2)])
        delivery = await asyncio.wait_for(consumer.lanes[0].receive(), PATIENCE_SECONDS)
        assert delivery is not None
        assert 2 == delivery.message.seq
        await consumer.lanes[0].settle(delivery, ())
        await consumer.drain()
        assert 0 == events.count("consumers_changed")


async def test_settled_messages_are_forgotten_by_the_broker(activemq_process: ActivemqProcess) -> None:
    """A limit on everything, at the broker too: what lanes acknowledged in transactions does not pile up there."""
    subscription, outputs = Subscription("alpha", "forgotten"), Subscription("alpha", "forgotten-outputs")
    async with client(activemq_process.url()) as broker:
        await broker.declare([subscription, outputs])
        await broker.publish([publication("forgotten", number) for number in range(1, 101)])
        consumer = broker.consumer(subscription, lanes=1)
        await consumer.start()
        (lane,) = consumer.lanes
        for number in range(1, 101):
            delivery = await asyncio.wait_for(lane.receive(), PATIENCE_SECONDS)
            assert delivery is not None
            await lane.settle(delivery, [publication("forgotten-outputs", number)])
        try:
            kept = await asyncio.to_thread(activemq_process.live_objects, "org.apache.activemq.transport.stomp.StompAckEntry")
        except ComponentMissing as missing:
            give_up(missing)
        assert 0 == kept
        await consumer.drain()


async def test_message_settled_while_it_moves_to_a_siding_does_not_come_again(activemq_process: ActivemqProcess) -> None:
    subscription = Subscription("alpha", "siding")
    async with client(activemq_process.url()) as broker:
        events = Events(broker)
        await broker.declare([subscription])
        consumer = broker.consumer(subscription, lanes=2)
        await consumer.start()
        await broker.publish([publication("siding", number) for number in (1, 2)])
        slow, idle = await one_busy_one_idle(consumer)
        settling: list[asyncio.Task[None]] = []

        def settle_at_once(event: BrokerEvent) -> None:
            if event.name == "reef_moved":
                settling.append(asyncio.create_task(consumer.lanes[slow.lane].settle(slow, ())))

        broker.on_event(settle_at_once)
        await events.until("reef_moved")
        await asyncio.wait_for(settling[0], PATIENCE_SECONDS)
        following = await asyncio.wait_for(idle, PATIENCE_SECONDS)
        assert following is not None
        assert (1, 2) == (slow.message.seq, following.message.seq)
        assert isinstance(following.token, Ticket)
        assert not following.token.mail.slot.leave_when_free, "the siding has ended: this came through one of the lasting slots"
        await consumer.lanes[following.lane].settle(following, ())
        await consumer.drain()


async def test_message_in_no_group_that_takes_long_stays_in_its_hands(activemq_process: ActivemqProcess) -> None:
    """Nothing is to be gained for it, and nothing is lost: it comes back through another slot, and the siding is given up."""
    subscription = Subscription("alpha", "siding-ungrouped")
    async with client(activemq_process.url()) as broker:
        events = Events(broker)
        await broker.declare([subscription])
        consumer = broker.consumer(subscription, lanes=2)
        await consumer.start()
        address = Address.parse(activemq_process.url())
        session = await Session.open(address, address.endpoints[0], None)
        headers = [each for each in to_frame(publication("siding-ungrouped").message) if each[0] != GROUP]
        await session.request("SEND", (("destination", subscription_queue(subscription)), *headers), b"{}")
        counts: list[int] = []
        siding_ended = asyncio.Event()

        def count(advisory: Frame) -> None:
            counts.append(int(advisory.headers["consumerCount"]))
            if counts[-4:] == [3, 2, 3, 2]:  # the siding began, its slot ended and began again, the siding ended
                siding_ended.set()

        await session.subscribe("watcher", consumer_advisories(subscription), (("ack", "auto"),), count)
        slow, idle = await one_busy_one_idle(consumer)
        await events.until("reef_moved")
        await asyncio.wait_for(siding_ended.wait(), PATIENCE_SECONDS)
        await session.close()
        await consumer.lanes[slow.lane].settle(slow, ())
        await broker.publish([publication("siding-ungrouped", 2)])
        following = await asyncio.wait_for(idle, PATIENCE_SECONDS)
        assert following is not None
        assert 2 == following.message.seq
        await consumer.lanes[following.lane].settle(following, ())
        await consumer.drain()
        await broker.publish([publication("siding-ungrouped", 3)])
        assert 3 == (await receive(broker, subscription)).message.seq
