"""The names of channels, subscriptions and parkings at the broker."""

from typing import Final

from reefmesh.contracts.channels import Subscription

DEVICE_QUEUE: Final = "/queue/reef.telemetry.mqtt"
"""Where the broker's composite topic forwards what devices send over MQTT."""

_SWAPPED: Final = str.maketrans("/.", "./")


def channel_topic(channel: str) -> str:
    """A channel is a virtual topic: the broker copies each message into every subscription's queue."""
    return f"/topic/VirtualTopic.{channel}"


def subscription_queue(subscription: Subscription) -> str:
    return f"/queue/{_queue(subscription)}"


def parking_queue(subscription: Subscription) -> str:
    return f"/queue/Parking.{subscription.service}.VirtualTopic.{subscription.channel}"


def probe_queue(service: str) -> str:
    """A queue for a message of a service to itself; not a subscription, so no virtual topic copies anything into it."""
    return f"/queue/Consumer.{service}.probe"


def consumer_advisories(subscription: Subscription) -> str:
    """The topic on which the broker announces consumers that join and leave the subscription's queue."""
    return f"/topic/ActiveMQ.Advisory.Consumer.Queue.{_queue(subscription)}"


def _queue(subscription: Subscription) -> str:
    return f"Consumer.{subscription.service}.VirtualTopic.{subscription.channel}"


def device_topic(topic: str) -> str:
    """Return the destination of an MQTT topic: the broker writes ``.`` for ``/``, and ``/`` for ``.``."""
    return f"/topic/{topic.translate(_SWAPPED)}"


def mqtt_topic(destination: str) -> str | None:
    """Return the MQTT topic of a destination; None if it is not a topic."""
    name = destination.removeprefix("/topic/")
    return None if name == destination else name.translate(_SWAPPED)
