"""The names and arguments of exchanges and queues at the broker.

A channel is a topic exchange. A subscription is another one, bound to it, that spreads the reefs by their slots over *shards*:
quorum queues of which one consumer at a time gets messages. What has no slot in its key comes to the first shard, whose
consumer parks it. Each shard has an *overflow* queue for the reefs that are isolated, and the subscription one queue for what
is parked and one exchange by which its consumers know each other.
"""

from dataclasses import dataclass, field
from typing import Final

from reefmesh.broker.rabbitmq.slots import ShardSlots
from reefmesh.contracts.channels import Subscription

WINDOW_MESSAGES: Final = 32
"""How many unacknowledged messages of a shard its consumer may have. Every consumer has the same number, for ever: then the
active one always has all that was ever returned, and what it returns comes in order again (ADR 0037)."""
OVERFLOW_MESSAGES_LIMIT: Final = 10_000
OVERFLOW_BYTES_LIMIT: Final = 64 * 1024 * 1024
"""How much the owner of a shard moves into its overflow queue. No limit of the queue could say it: that would count only what
nobody has in hand, and the owner has all of it."""
OVERFLOW_WINDOW_MESSAGES: Final = 2 * OVERFLOW_MESSAGES_LIMIT
"""Above all that an overflow queue can hold, with what crashes have left there twice: its consumer has all of it."""
DELIVERIES_LIMIT: Final = 1_000_000
"""Every hand-over and every lost connection counts as a delivery of all that was in the window. Without a limit a returned
message would go to the back of its queue."""
CONSUMER_TIMEOUT_MILLISECONDS: Final = 7 * 24 * 3600 * 1000
"""How long a message may be in hand (for instance, while its reef waits for a missing one) before the broker closes the
channel. Brokers before 3.12 do not know this argument of a queue; there it is a setting of the broker."""

PARKED_DELIVERIES_LIMIT: Final = 2**31 - 1
"""Each look into a parking counts as a delivery of all that lies there; brokers from 4.0 on have a limit of 20 by default."""
PARKING_ARGUMENTS: Final[dict[str, str | int | bool]] = {
    "x-queue-type": "quorum",
    "x-overflow": "reject-publish",
    "x-delivery-limit": PARKED_DELIVERIES_LIMIT,
}

TOPIC, DIRECT, FANOUT = "topic", "direct", "fanout"
EVERY_KEY: Final = "#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    name: str
    kind: str
    arguments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    name: str
    arguments: dict[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """``to_queue``: the destination is a queue, not an exchange."""

    source: str
    destination: str
    key: str
    to_queue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What has to exist at the broker, in this order: exchanges, queues, bindings."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]

    @classmethod
    def of(cls, subscription: Subscription, *, shards: int) -> "Topology":
        fan_out, spread = channel_exchange(subscription.channel.name), subscription_exchange(subscription)
        own, others, indices = own_exchange(subscription), alternate_exchange(subscription), range(shards)
        of_own = (parking_queue(subscription), *(overflow_queue(subscription, index) for index in indices))
        return cls(
            exchanges=(
                Exchange(name=fan_out, kind=TOPIC),
                Exchange(name=others, kind=FANOUT),
                Exchange(name=spread, kind=TOPIC, arguments={"alternate-exchange": others}),
                Exchange(name=own, kind=DIRECT),
                Exchange(name=members_exchange(subscription), kind=FANOUT),
            ),
            queues=(
                Queue(name=parking_queue(subscription), arguments=PARKING_ARGUMENTS),
                *(Queue(name=shard_queue(subscription, index), arguments=shard_arguments(subscription)) for index in indices),
                *(
                    Queue(name=overflow_queue(subscription, index), arguments=shard_arguments(subscription))
                    for index in indices
                ),
            ),
            bindings=(
                *(Binding(source=own, destination=queue, key=queue, to_queue=True) for queue in of_own),
                Binding(source=others, destination=shard_queue(subscription, 0), key="", to_queue=True),
                *(
                    Binding(source=spread, destination=shard_queue(subscription, index), key=key, to_queue=True)
                    for index in indices
                    for key in ShardSlots(index=index, shards=shards).binding_keys
                ),
                # last: from now on messages come, and every shard is there
                Binding(source=fan_out, destination=spread, key=EVERY_KEY, to_queue=False),
            ),
        )


def channel_exchange(channel: str) -> str:
    return channel


def subscription_name(subscription: Subscription) -> str:
    """With it begin the names of everything that the subscription has."""
    return f"{subscription.channel}.{subscription.service}"


def subscription_exchange(subscription: Subscription) -> str:
    return f"{subscription_name(subscription)}.slots"


def alternate_exchange(subscription: Subscription) -> str:
    """Gets what no shard is bound for. Without it such a message would be confirmed to its sender and gone."""
    return f"{subscription_name(subscription)}.alternate"


def hash_exchange(subscription: Subscription) -> str:
    """Versions without slots spread the reefs by it (``x-consistent-hash``). Where it is still bound, shards get everything
    twice."""
    return subscription_name(subscription)


def own_exchange(subscription: Subscription) -> str:
    """Through it the subscription's own service reaches the parking and the overflow queues, each by its name. The default
    exchange would do as well, but who may write there may write into every queue of everybody."""
    return f"{subscription_name(subscription)}.own"


def shard_queue(subscription: Subscription, index: int) -> str:
    return f"{subscription_name(subscription)}.{index}"


def overflow_queue(subscription: Subscription, index: int) -> str:
    return f"{shard_queue(subscription, index)}.overflow"


def parking_queue(subscription: Subscription) -> str:
    return f"{subscription_name(subscription)}.parked"


def members_exchange(subscription: Subscription) -> str:
    return f"{subscription_name(subscription)}.members"


def member_queue(subscription: Subscription, member: str) -> str:
    return f"{subscription_name(subscription)}.member.{member}"


def probe_exchange(service: str) -> str:
    """For a message of a service to itself."""
    return f"probe.{service}"


def probe_queue(service: str, mark: str) -> str:
    return f"probe.{service}.{mark}"


def shard_arguments(subscription: Subscription) -> dict[str, str | int | bool]:
    """What is delivered too often goes to the parking, and the shard keeps it until it lies there."""
    return {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-overflow": "reject-publish",
        "x-delivery-limit": DELIVERIES_LIMIT,
        "x-dead-letter-exchange": own_exchange(subscription),
        "x-dead-letter-routing-key": parking_queue(subscription),
        "x-dead-letter-strategy": "at-least-once",
        "x-consumer-timeout": CONSUMER_TIMEOUT_MILLISECONDS,
    }
