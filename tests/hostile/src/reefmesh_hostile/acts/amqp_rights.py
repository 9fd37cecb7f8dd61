"""RabbitMQ, what is whose: each user tries every command on all exchanges and queues that are not its own."""

from collections.abc import Mapping, Sequence
from typing import Final

from pamqp.base import Frame
from pamqp.commands import Basic, Exchange, Queue

from reefmesh.broker.rabbitmq.topology import Topology, members_exchange
from reefmesh.contracts import channels
from reefmesh.contracts.services import SERVICES
from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.amqp_wire import AmqpConnection, AmqpMessage, AmqpRefused
from reefmesh_hostile.attacked_rabbitmq import DEVICE_QUEUE, SHARDS, SUBSCRIPTIONS
from reefmesh_hostile.attacker import PUBLISHER
from reefmesh_hostile.messages import envelope, forged_score
from reefmesh_hostile.reefs import ATTACKER_DEVICE, UNHEARD, VICTIM_DEVICE
from reefmesh_hostile.wire_cut import WireCut

CHANNELS: Final = tuple(each.name for each in channels.ALL)
DEVICES: Final = "reef.devices"
OF_EVERY_BROKER: Final = ("", "amq.topic", "amq.direct", "amq.fanout", "amq.headers", "amq.match", "amq.rabbitmq.trace")
PUBLISHES: Final[Mapping[str, frozenset[str]]] = {
    PUBLISHER: frozenset({"reef.telemetry"}),
    ATTACKER_DEVICE: frozenset({DEVICES}),
    **{each.name: frozenset(channel.name for channel in each.publishes) for each in SERVICES},
}
READS: Final[Mapping[str, frozenset[str]]] = {
    PUBLISHER: frozenset(),
    ATTACKER_DEVICE: frozenset({DEVICES}),
    **{each.name: frozenset(subscription.channel.name for subscription in each.subscriptions) for each in SERVICES},
}
OWN_QUEUES: Final[Mapping[str, frozenset[str]]] = {"ingest": frozenset({DEVICE_QUEUE})}


def foreign(user: str) -> tuple[list[str], list[str]]:
    """Return the exchanges and the queues of all subscriptions but the user's own, and the queue of devices."""
    made = [Topology.of(each, shards=SHARDS) for each in SUBSCRIPTIONS if each.service != user]
    exchanges = [exchange.name for each in made for exchange in each.exchanges[1:]]
    queues = [queue.name for each in made for queue in each.queues]
    return exchanges, [*queues, *({DEVICE_QUEUE} - OWN_QUEUES.get(user, frozenset()))]


def commands_against(user: str) -> list[Frame]:
    """Return what takes, empties, ends, turns aside or copies what is not the user's own."""
    exchanges, queues = foreign(user)
    commands: list[Frame] = []
    for queue in queues:
        commands += [
            Basic.Get(queue=queue),
            Basic.Consume(queue=queue, consumer_tag="thief"),
            Queue.Purge(queue=queue),
            Queue.Delete(queue=queue),
            Queue.Declare(queue=queue, durable=True, arguments={"x-message-ttl": 0}),
            Queue.Bind(queue=queue, exchange="reef.telemetry", routing_key="#"),
            Queue.Unbind(queue=queue, exchange="reef.telemetry", routing_key="#"),
        ]
    for exchange in exchanges:
        commands += [
            Exchange.Delete(exchange=exchange),
            Exchange.Declare(exchange=exchange, exchange_type="fanout"),
            Exchange.Bind(destination=exchange, source="reef.telemetry", routing_key="#"),
            Exchange.Unbind(destination=exchange, source="reef.telemetry", routing_key="#"),
        ]
    commands += [Exchange.Delete(exchange=channel) for channel in (*CHANNELS, DEVICES)]
    own = next((each for each in SUBSCRIPTIONS if each.service == user), None)
    commands += [
        Queue.Declare(queue=name) for name in (user, "", "evil", "amq.gen-x", f"mqtt-subscription-{VICTIM_DEVICE}qos1")
    ]
    commands += [Exchange.Declare(exchange=name) for name in ("evil", "amq.evil", "reef.telemetry.evil")]
    if own is None:
        return commands
    # with a queue of its own, it listens where it has no right, or has its dead letters published by the broker
    mine = members_exchange(own)
    commands += [
        Exchange.Bind(destination=mine, source=source, routing_key="#")
        for source in (*CHANNELS, DEVICES, "amq.rabbitmq.trace", *exchanges)
        if source not in READS[user]
    ]
    name = f"{own.channel.name}.{user}"
    commands += [
        Queue.Declare(queue=f"{name}.trick", arguments={"x-dead-letter-exchange": target})
        for target in ("", *exchanges, "reef.alerts.x")
    ]
    commands.append(
        Exchange.Declare(exchange=f"{name}.trick", exchange_type="fanout", arguments={"alternate-exchange": exchanges[0]})
    )
    return commands


def _commands(scene: Scene) -> Deed:
    user = scene.attacker.user
    findings, refused = [], 0
    connection = scene.attacker.amqp()
    for command in commands_against(user):
        try:
            answer = connection.call(command)
        except AmqpRefused:
            refused += 1
        except WireCut:
            refused += 1
            connection.close()
            connection = scene.attacker.amqp()
        else:
            findings.append(Finding(kind="not-held", text=f"{user}: {dict(command)} of {command.name} had {answer.name}"))
    connection.close()
    return Deed(refused=refused, findings=findings, note=f"{refused} commands were refused")


def targets_of(user: str) -> Sequence[tuple[str, str]]:
    """Return exchange and key of all places where a user may not publish."""
    exchanges, queues = foreign(user)
    through = [(exchange, "") for exchange in (*CHANNELS, DEVICES, *exchanges) if exchange not in PUBLISHES[user]]
    into = [("", queue) for queue in queues]
    others = [(DEVICES, f"buoys.{VICTIM_DEVICE}.{kind}") for kind in ("d2c.telemetry", "c2d.cmd")]
    return [*through, *into, *others, *((exchange, UNHEARD) for exchange in OF_EVERY_BROKER)]


def _publishes(scene: Scene) -> Deed:
    findings, refused = [], 0
    headers = [pair for pair in envelope(scene.mark, reef_id=UNHEARD, schema="scores/1", seq=1) if pair[0] != "JMSXGroupID"]
    connection = scene.attacker.amqp()
    for exchange, key in targets_of(scene.attacker.user):
        message = AmqpMessage(exchange=exchange, routing_key=key, headers=headers, body=forged_score(UNHEARD))
        (outcome,) = connection.publish_all([message])
        refused += not outcome.is_confirmed
        if outcome.is_confirmed:
            findings.append(
                Finding(kind="not-held", text=f"the broker took a message of {scene.attacker.user} for {exchange!r} {key}")
            )
        if outcome.is_cut:
            connection = _again(scene, connection)
    connection.close()
    return Deed(refused=refused, findings=findings, note=f"{refused} messages were refused")


def _again(scene: Scene, connection: AmqpConnection) -> AmqpConnection:
    connection.close()
    return scene.attacker.amqp()


ACTS: Final = tuple(
    act
    for user in PUBLISHES
    for act in (
        Act(
            name=f"{'device' if user == ATTACKER_DEVICE else user}-commands-what-is-not-its-own",
            row=2,
            user=user,
            what="gets, consumes, purges, deletes, declares and binds exchanges and queues of others",
            does=_commands,
        ),
        Act(
            name=f"{'device' if user == ATTACKER_DEVICE else user}-publishes-where-it-has-no-right",
            row=2,
            user=user,
            what="a forged score into every exchange and queue of others, and of every broker",
            does=_publishes,
        ),
    )
)
