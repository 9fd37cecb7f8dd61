"""The engine on a real broker: rights, trust, reconnection, and what the broker answers."""

import asyncio
from pathlib import Path

import pytest

from reefmesh.broker.activemq import message_headers
from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.session_killers import KILLS_SESSIONS, SESSIONS_LIMIT
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.parking_quota import SAMPLE_BYTES, ParkingQuota
from reefmesh.broker.port import (
    PARKING_FOLDED,
    UNREADABLE_PARKED,
    BrokerUnavailable,
    Lane,
    LaneLost,
    Publication,
    PublishRefused,
)
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import ALERTING, ALERTS, INGEST, READINGS, SCORES, SCORING, TELEMETRY, Channel, Subscription
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT
from reefmesh.errors import ConfigurationError
from reefmesh_components.activemq_client import PATIENCE_SECONDS, Events, client, publication, receive
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.requirement import ComponentMissing, give_up


async def one_line_failure(url: str) -> str:
    """Return what connecting there says, and that it needs somebody to mend it."""
    broker = ActiveMQBroker(url, clock=SystemClock())
    with pytest.raises(ConfigurationError) as caught:
        await broker.connect()
    await broker.close()
    text = str(caught.value)
    assert "\n" not in text
    return text


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


async def test_host_that_does_not_exist_says_so_and_may_come() -> None:
    broker = ActiveMQBroker("stomp://no-such-host.invalid:61613", clock=SystemClock())
    with pytest.raises(BrokerUnavailable, match=r"no-such-host\.invalid:61613: its name does not resolve"):
        await broker.connect()


async def test_tls_to_a_plain_port_says_so(activemq_process: ActivemqProcess) -> None:
    ca_file = activemq_process.certificate.ca_file
    url = f"stomp+ssl://operator:x@127.0.0.1:{activemq_process.ports.stomp}?ca={ca_file}&connect_timeout_ms=2000"
    broker = ActiveMQBroker(url, clock=SystemClock())
    with pytest.raises((ConfigurationError, BrokerUnavailable)) as caught:
        await broker.connect()
    assert "\n" not in str(caught.value)


async def test_plain_to_a_tls_port_says_so(activemq_process: ActivemqProcess) -> None:
    url = f"stomp://operator:x@127.0.0.1:{activemq_process.ports.stomp_tls}?connect_timeout_ms=2000"
    assert "speaks TLS there" in await one_line_failure(url)


@pytest.mark.parametrize(
    ("user", "subscription", "outputs"),
    [("ingest", INGEST, READINGS), ("scoring", SCORING, SCORES), ("alerts", ALERTING, ALERTS)],
)
async def test_each_service_may_do_its_work_and_no_more(
    activemq_process: ActivemqProcess, user: str, subscription: Subscription, outputs: Channel
) -> None:
    """Consume its subscription, publish its outputs, park and replay; neither read nor write anything of the others."""
    others = {INGEST, SCORING, ALERTING} - {subscription}
    channels = {TELEMETRY, READINGS, SCORES, ALERTS} - {outputs} - ({TELEMETRY} if user == "ingest" else set())
    async with client(activemq_process.url()) as operator, client(activemq_process.url(user)) as service:
        await service.declare([subscription])
        await operator.publish([publication(subscription.channel.name)])
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
        await lane.settle(again, [publication(outputs.name)])
        await consumer.drain()
        for other in others:
            with pytest.raises(ConfigurationError, match="not authorized to read"):
                await service.consumer(other, lanes=1).start()
            with pytest.raises(ConfigurationError, match="not authorized"):
                await service.declare([other])
        for channel in channels:
            for count in (1, 2):
                with pytest.raises(PublishRefused, match="not authorized to write"):
                    await service.publish([publication(channel.name, number) for number in range(1, count + 1)])
    async with client(activemq_process.url()) as operator:
        for each in (SCORING, ALERTING):
            if each.channel == outputs:
                await receive(operator, each)  # leave nothing to the next test


async def test_direct_publisher_may_only_write_telemetry_and_a_device_not_even_that(activemq_process: ActivemqProcess) -> None:
    async with client(activemq_process.url("publisher")) as publisher, client(activemq_process.url("buoy")) as device:
        await publisher.publish([publication(TELEMETRY.name)])
        for refused, channel in ((publisher, READINGS), (device, TELEMETRY)):
            with pytest.raises(PublishRefused, match="not authorized to write"):
                await refused.publish([publication(channel.name)])
            with pytest.raises(ConfigurationError, match="not authorized"):
                await refused.consumer(INGEST, lanes=1).start()
        await publisher.publish([publication(TELEMETRY.name, 2)])
    async with client(activemq_process.url("ingest")) as ingest:
        for _ in range(2):
            await receive(ingest, INGEST)


async def test_one_refused_in_a_batch_nothing_of_it_is_out(activemq_process: ActivemqProcess) -> None:
    """All in one transaction: a right that is missing for one message keeps all of them back."""
    async with client(activemq_process.url("ingest")) as ingest, client(activemq_process.url()) as operator:
        with pytest.raises(PublishRefused):
            await ingest.publish([publication(READINGS.name, 1), publication(SCORES.name, 1)])
        await ingest.publish([publication(READINGS.name, 2)])
        assert 2 == (await receive(operator, SCORING)).message.seq


async def test_refused_output_concerns_its_own_lane_alone(activemq_process: ActivemqProcess) -> None:
    """Settlements share transactions. The first refusal may cost the connection, and all lanes a redelivery; after it each is
    precise: the others settle, and the refused delivery is still its lane's."""
    reefs = [f"reef-{index}" for index in range(6)]
    async with client(activemq_process.url()) as operator, client(activemq_process.url("scoring")) as scoring:
        events = Events(scoring)
        await operator.publish([publication(READINGS.name, 1, reef_id=reef_id) for reef_id in reefs])
        consumer = scoring.consumer(SCORING, lanes=6)
        await consumer.start()
        refused_settled = asyncio.Event()

        async def work(lane: Lane) -> None:
            while (delivery := await lane.receive()) is not None:
                reef_id = delivery.message.reef_id
                try:
                    await lane.settle(
                        delivery, [publication(ALERTS.name if reef_id == "reef-3" else SCORES.name, reef_id=reef_id)]
                    )
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
    subscription = Subscription("alpha", Channel("killed", numbered=False))
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
    subscription = Subscription("alpha", Channel("empty-until-restart", numbered=False))
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
    subscription = Subscription("alpha", Channel("nonsense", numbered=False))
    async with client(activemq_process.url()) as broker:
        await broker.declare([subscription])
        address = ActiveMQAddress.parse(activemq_process.url())
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


HOSTILE = {
    "long block": [*((f"h-{number}", "a" * 9_000) for number in range(30)), ("device", "1")],
    "colons of STOMP 1.0": [("device", ":" * 9_500)],
    "escape in a name": [("x\\e", "1")],
    "length of a text": [("amq-msg-type", "text"), ("content-length", "+" + "0" * 6_000 + "7")],
    "number of 5,000 digits": [("seq", "9" * 5_000), ("JMSXGroupID", "reef-a"), ("reef-id", "reef-a")],
    "990 headers": [(f"h-{number}", ":") for number in range(960)],
}


async def send_as_it_is(address: ActiveMQAddress, destination: str, headers: list[tuple[str, str]], body: bytes) -> None:
    """Send over STOMP 1.0, which knows no escapes; return once the broker has taken it."""
    reader, writer = await asyncio.open_connection(address.endpoints[0].host, address.endpoints[0].port)
    writer.write(f"CONNECT\nlogin:{address.user}\npasscode:{address.password}\n\n\0".encode())
    await reader.readuntil(b"\0")
    headers = [("destination", destination), ("persistent", "true"), ("receipt", "r"), *headers]
    if "content-length" not in dict(headers):
        headers.append(("content-length", str(len(body))))
    writer.write("\n".join(["SEND", *(f"{name}:{value}" for name, value in headers), "", ""]).encode() + body + b"\0")
    assert b"RECEIPT" in await reader.readuntil(b"\0")
    writer.close()


@pytest.mark.parametrize("headers", HOSTILE.values(), ids=list(HOSTILE))
async def test_hostile_headers_are_parked_once_and_counted_and_the_link_stays(
    headers: list[tuple[str, str]], activemq_process: ActivemqProcess
) -> None:
    """Law 13: what the broker hands on, it hands on again after every loss: the consumer settles it, whatever it is."""
    subscription = Subscription("alpha", Channel("hostile", numbered=False))
    async with client(activemq_process.url()) as broker:
        await broker.declare([subscription])
        events = Events(broker)
        address = ActiveMQAddress.parse(activemq_process.url())
        await send_as_it_is(address, "/topic/VirtualTopic.hostile", headers, b"ab\0cd\0\0")
        await broker.publish([publication("hostile", 2)])
        assert 2 == (await receive(broker, subscription)).message.seq
        await events.until(UNREADABLE_PARKED)
        (parked,) = await broker.parking(subscription).list()
        assert parked.reason in {"unreadable", "bad-envelope"}
        assert b"ab\0cd\0\0" == parked.message.body
        assert (1, 0) == (events.count(UNREADABLE_PARKED), events.count("lost"))
        assert 1 == await broker.parking(subscription).discard([parked.parking_id])


async def test_body_beyond_the_limit_is_refused_by_the_broker_the_longest_allowed_comes_through(
    activemq_process: ActivemqProcess,
) -> None:
    """What no consumer of ours would take must not get into a queue: it would come again and again."""
    subscription = Subscription("alpha", Channel("long", numbered=False))
    async with client(activemq_process.url()) as broker:
        await broker.declare([subscription])
        address = ActiveMQAddress.parse(activemq_process.url())
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
    subscription = Subscription("alpha", Channel("left-behind", numbered=False))
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
    subscription, outputs = (
        Subscription("alpha", Channel("forgotten", numbered=False)),
        Subscription("alpha", Channel("forgotten-outputs", numbered=False)),
    )
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


def flood(count: int, size_bytes: int) -> list[tuple[list[tuple[str, str]], bytes]]:
    """Messages of one user, each of another reef, that cannot be read."""
    return [([("reef-id", f"reef-{number}"), ("event-id", f"e{number}")], b"x" * size_bytes) for number in range(count)]


async def send_all(address: ActiveMQAddress, destination: str, messages: list[tuple[list[tuple[str, str]], bytes]]) -> None:
    session = await Session.open(address, address.endpoints[0], None)
    for headers, body in messages:
        await session.request("SEND", [("destination", destination), ("persistent", "true"), *headers], body)
    await session.close()


async def test_flood_of_unreadable_messages_takes_no_more_than_half_of_the_parking(activemq_process: ActivemqProcess) -> None:
    """Law 14: the rest is settled and counted, and whoever comes behind it is served."""
    subscription = Subscription("alpha", Channel("flooded", numbered=False))
    address = ActiveMQAddress.parse(activemq_process.url())
    async with client(activemq_process.url()) as broker:
        await broker.declare([subscription])
        events = Events(broker)
        await send_all(address, "/topic/VirtualTopic.flooded", flood(30, 100_000))
        await broker.publish([publication("flooded", 99)])
        consumer = broker.consumer(subscription, lanes=4, quota=ParkingQuota(messages_limit=20))
        await consumer.start()
        delivery = await asyncio.wait_for(consumer.lanes[0].receive(), PATIENCE_SECONDS)
        assert delivery is not None
        await consumer.lanes[0].settle(delivery, ())
        statistics = (await broker.statistics()).subscriptions[subscription]
        await consumer.drain()
        parked = await broker.parking(subscription).list()
    assert (30, 20, 10) == (events.count(UNREADABLE_PARKED), events.count(PARKING_FOLDED), len(parked))
    assert {SAMPLE_BYTES} == {len(entry.message.body) for entry in parked}
    assert statistics.parked_messages == 10
    assert 1_000_000 < (statistics.parked_bytes or 0) < 1_010_000


async def test_message_whose_settlement_kills_every_connection_is_parked_after_ten(
    activemq_process: ActivemqProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 13: a header that this broker cannot bear, were our limit above the broker's, costs ten connections and no more."""
    monkeypatch.setattr(message_headers, "HEADER_LINE_BYTES_LIMIT", 1 << 20)
    subscription, out = (
        Subscription("alpha", Channel("deadly", numbered=False)),
        Subscription("alpha", Channel("out", numbered=False)),
    )
    deadly = publication("out").message.model_copy(update={"headers": {"x": ":" * 6_000}})
    async with client(activemq_process.url()) as broker:
        await broker.declare([subscription, out])
        events = Events(broker)
        await broker.publish([publication("deadly", 1)])
        consumer = broker.consumer(subscription, lanes=1)
        await consumer.start()
        lane = consumer.lanes[0]
        for _ in range(SESSIONS_LIMIT):
            delivery = await asyncio.wait_for(lane.receive(), PATIENCE_SECONDS)
            assert delivery is not None
            with pytest.raises(LaneLost):
                await lane.settle(delivery, [Publication(channel="out", message=deadly)])
        receiving = asyncio.create_task(lane.receive())
        await events.until(UNREADABLE_PARKED)
        await broker.publish([publication("deadly", 2)])
        delivery = await asyncio.wait_for(receiving, PATIENCE_SECONDS)
        assert delivery is not None
        await lane.settle(delivery, ())
        await consumer.drain()
        (parked,) = await broker.parking(subscription).list()
    assert (KILLS_SESSIONS, "operator") == (parked.reason, parked.sender)
    assert delivery.message.seq == 2
    assert "'deadly/reef-a/1'" in parked.detail
    assert (SESSIONS_LIMIT, 1) == (events.count("lost"), events.count(UNREADABLE_PARKED))
