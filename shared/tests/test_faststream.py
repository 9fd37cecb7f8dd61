"""Subscribers for the mesh's channels in a FastStream application, without a broker."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faststream.exceptions import SetupError

from reefmesh.backoff import Backoff
from reefmesh.contracts import alerts, readings, scores
from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.readings import Readings
from reefmesh.contracts.schema import ALERT_2, READINGS_1, SCORES_1, SCORES_2
from reefmesh.contracts.scores import ReefScore
from reefmesh.contracts.senders import BrokerUsers
from reefmesh.errors import ConfigurationError, PoisonMessage, TransientError
from reefmesh.faststream import ReefEnvelope
from reefmesh.faststream.activemq import StompReefBroker
from reefmesh.faststream.message_reader import FORGED
from reefmesh.faststream.rabbitmq import RabbitReefBroker
from reefmesh.faststream.retry_in_place import Retrying, RetryInPlace
from reefmesh.faststream.testing import mesh_without_broker

GOLDEN = Path(__file__).parents[2] / "tests" / "contract" / "golden"
ALERT: Alert = alerts.READERS[ALERT_2].validate_json((GOLDEN / "alert-2.json").read_bytes())
SCORE: ReefScore = scores.READERS[SCORES_2].validate_json((GOLDEN / "scores-2.json").read_bytes())
READINGS: Readings = readings.READERS[READINGS_1].validate_json((GOLDEN / "readings-1.json").read_bytes())

AnyBroker = RabbitReefBroker | StompReefBroker
Make = Callable[..., AnyBroker]


def on_rabbitmq(**more: Any) -> RabbitReefBroker:
    return RabbitReefBroker("amqp://pager:secret@broker.example.org", service="pager", **more)


def on_activemq(**more: Any) -> StompReefBroker:
    return StompReefBroker("stomp://pager:secret@broker.example.org", service="pager", **more)


def headers_of(schema_id: str) -> Any:
    instant = "2026-03-01T18:30:00+00:00"
    return {"event-id": "1", "reef-id": "amed-wall", "schema": schema_id, "produced-at": instant, "seq": "1"}


both = pytest.mark.parametrize("make", [on_rabbitmq, on_activemq], ids=["rabbitmq", "activemq"])


@both
async def test_handler_gets_its_typed_body_and_the_envelope(make: Make) -> None:
    broker, came = make(), list[tuple[object, Envelope]]()

    @broker.readings()
    async def take_readings(body: Readings, envelope: ReefEnvelope) -> None:
        came.append((body, envelope))

    @broker.scores()
    async def take_score(body: ReefScore, envelope: ReefEnvelope) -> None:
        came.append((body, envelope))

    @broker.alerts()
    async def take_alert(body: Alert, envelope: ReefEnvelope) -> None:
        came.append((body, envelope))

    async with mesh_without_broker(broker) as mesh:
        sent = [(body, await mesh.send(body)) for body in (READINGS, SCORE, ALERT, ALERT)]

    assert sent == came
    assert [1, 1, 1, 2] == [envelope.seq for _, envelope in came]
    assert {"amed-wall"} == {envelope.reef_id for _, envelope in came}


@both
async def test_handler_that_needs_no_envelope_takes_the_body_alone(make: Make) -> None:
    broker, came = make(), list[Alert]()

    @broker.alerts()
    async def take(body: Alert) -> None:
        came.append(body)

    async with mesh_without_broker(broker) as mesh:
        await mesh.send(ALERT)

    assert [ALERT] == came


@both
async def test_message_of_somebody_who_may_not_speak_reaches_no_handler(make: Make) -> None:
    """Law 12: nobody speaks for another."""
    broker, came = make(), list[Alert]()

    @broker.alerts()
    async def take(body: Alert) -> None:
        came.append(body)

    async with mesh_without_broker(broker) as mesh:
        with pytest.raises(PoisonMessage) as refused:
            await mesh.send(ALERT, sender="publisher")

    assert FORGED == refused.value.reason
    assert [] == came


@both
async def test_services_whose_users_have_other_names_are_believed(make: Make) -> None:
    broker, came = make(users=BrokerUsers(renamed={"alerts": frozenset({"svc-7"})})), list[Alert]()

    @broker.alerts()
    async def take(body: Alert) -> None:
        came.append(body)

    async with mesh_without_broker(broker) as mesh:
        await mesh.send(ALERT, sender="svc-7")
        with pytest.raises(PoisonMessage):
            await mesh.send(ALERT, sender="alerts")

    assert [ALERT] == came


async def test_message_without_an_envelope_is_refused_with_what_is_wrong() -> None:
    broker, came = on_rabbitmq(), list[Alert]()

    @broker.alerts()
    async def take(body: Alert) -> None:
        came.append(body)

    async with mesh_without_broker(broker):
        (lanes,) = broker.lanes
        with pytest.raises(PoisonMessage) as refused:
            await broker.publish(b"{}", broker.address_of(lanes, "amed-wall"), user_id="alerts")

    assert "bad-envelope" == refused.value.reason
    assert [] == came


async def test_body_that_breaks_its_schema_is_refused() -> None:
    broker, came = on_rabbitmq(), list[Alert]()

    @broker.alerts()
    async def take(body: Alert) -> None:
        came.append(body)

    headers = headers_of(ALERT_2)
    async with mesh_without_broker(broker):
        (subscription,) = broker.lanes
        with pytest.raises(PoisonMessage) as refused:
            await broker.publish(b"{}", broker.address_of(subscription, "amed-wall"), headers=headers, user_id="alerts")

    assert "bad-body" == refused.value.reason
    assert [] == came


async def test_score_of_the_older_schema_comes_as_one_of_the_newest() -> None:
    broker, came = on_rabbitmq(), list[ReefScore]()

    @broker.scores()
    async def take(body: ReefScore) -> None:
        came.append(body)

    old = json.dumps(json.loads((GOLDEN / "scores-1.json").read_text())).encode()
    headers = headers_of(SCORES_1)
    async with mesh_without_broker(broker):
        (subscription,) = broker.lanes
        await broker.publish(old, broker.address_of(subscription, "amed-wall"), headers=headers, user_id="scoring")

    assert [scores.current_score(scores.READERS[SCORES_1].validate_json(old))] == came


@both
def test_second_handler_of_a_channel_is_refused(make: Make) -> None:
    broker = make()
    broker.alerts()
    with pytest.raises(SetupError, match="has a handler already"):
        broker.alerts()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RabbitReefBroker("amqp://one,two", service="pager"), "one host"),
        (lambda: RabbitReefBroker("amqps://one?server_name=two", service="pager"), "server_name="),
        (lambda: StompReefBroker("stomp+ssl://one?server_name=two", service="pager"), "server_name="),
    ],
    ids=["two hosts", "server name, AMQP", "server name, STOMP"],
)
def test_address_that_the_client_cannot_serve_is_refused(make: Callable[[], AnyBroker], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make()


class Handler:
    """Fails with each of these, then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self, _: Any) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


class Message:
    """As the parser leaves it."""

    def __init__(self) -> None:
        self.envelope = Envelope(
            event_id="1", reef_id="amed-wall", schema_id=ALERT_2, produced_at=ALERT.raised_at, body=b"{}", seq=1
        )


def retrying(**more: Any) -> Retrying:
    return Retrying(backoff=Backoff(first_seconds=0.001, max_seconds=0.002), **more)


async def handled(handler: Handler, policy: Retrying, message: Any = None) -> Any:
    middleware = RetryInPlace(None, context=None, retrying=policy)
    given: Any = message or Message()
    return await middleware.consume_scope(handler, given)


async def test_handler_that_fails_is_called_again_with_the_same_message() -> None:
    handler = Handler(ValueError("once"), ValueError("twice"))
    assert "done" == await handled(handler, retrying())
    assert 3 == handler.calls


async def test_handler_that_fails_again_and_again_gives_up_after_its_attempts() -> None:
    handler = Handler(*(ValueError(str(number)) for number in range(9)))
    with pytest.raises(ValueError, match="2"):
        await handled(handler, retrying(attempts=3))
    assert 3 == handler.calls


async def test_transient_error_is_tried_without_end() -> None:
    handler = Handler(*(TransientError(str(number)) for number in range(9)))
    assert "done" == await handled(handler, retrying(attempts=3))
    assert 10 == handler.calls


async def test_poison_has_no_second_attempt() -> None:
    handler = Handler(PoisonMessage("no-use"))
    with pytest.raises(PoisonMessage):
        await handled(handler, retrying())
    assert 1 == handler.calls


async def test_broker_that_stops_leaves_a_failing_message_to_its_next_delivery() -> None:
    """An interrupted attempt is no verdict: FastStream must not reject the message."""
    handler, policy = Handler(TransientError("away")), Retrying(backoff=Backoff(first_seconds=60, max_seconds=60))
    attempt = asyncio.create_task(handled(handler, policy))
    policy.stopping.set()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert 1 == handler.calls


async def test_other_messages_of_the_application_are_not_tried_again() -> None:
    handler = Handler(ValueError("once"))
    with pytest.raises(ValueError, match="once"):
        await handled(handler, retrying(), type("Plain", (), {})())
    assert 1 == handler.calls
