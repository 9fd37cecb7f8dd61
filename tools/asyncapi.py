"""Writes docs/asyncapi.yaml (AsyncAPI 3.0): every channel, envelope and body of the mesh, from the code that reads them.

python tools/asyncapi.py            write the document
python tools/asyncapi.py --check    write nothing; exit 1 when it is not current
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import TypeAdapter

import reefmesh
from reefmesh.broker.activemq.destinations import DEVICE_QUEUE, channel_topic, parking_queue, subscription_queue
from reefmesh.broker.rabbitmq.slots import routing_key_of
from reefmesh.broker.rabbitmq.topology import TOPIC, channel_exchange, shard_queue
from reefmesh.broker.rabbitmq.topology import parking_queue as rabbitmq_parking_queue
from reefmesh.contracts import alerts, channels, exclusion, quarantine, readings, schema, scores
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, Envelope
from reefmesh.contracts.services import EVERY_SERVICE, ServiceEntry
from reefmesh_ingest.domain.decode import telemetry

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs" / "asyncapi.yaml"
GOLDEN: Final = ROOT / "tests" / "contract" / "golden"
NOTE: Final = "# Written by `make docs` (tools/asyncapi.py) from the contracts; do not edit.\n"
SCHEMAS: Final = "#/components/schemas/"
AMQP: Final = "-amqp"
"""Behind the key of a channel or an operation: the same on RabbitMQ."""
AMQP_BINDING: Final = "0.3.0"

BODIES: Final[Mapping[str, TypeAdapter[Any]]] = {
    schema.TELEMETRY_1: telemetry.BATCH,
    **readings.READERS,
    **scores.READERS,
    **alerts.READERS,
    **quarantine.READERS,
    **exclusion.READERS,
}
"""Schema id -> what reads it. The two formats of devices have no reader: a decoder takes what it can of them."""

DEVICE_FORMATS: Final = {
    schema.NEMOPI_MQTT_1: (
        "A Nemo-Pi of the current firmware: `connect`, `data`, `diagnosis` and `response` messages. It has no clock and names "
        "no device: the topic names it, the time of receipt stands in for the clock."
    ),
    schema.NEMOPI_2021_1: (
        "A Nemo-Pi of the 2021 generation: one document with a measurement for each sensor, numbers as text, UTF-8 or UTF-16."
    ),
}

CHANNELS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    channels.TELEMETRY.name: (
        "What buoys sent, as they sent it; and which of it operators say does not count.",
        (schema.TELEMETRY_1, schema.NEMOPI_MQTT_1, schema.NEMOPI_2021_1, schema.EXCLUSION_1),
    ),
    channels.READINGS.name: ("Quality-controlled readings of one reef.", (schema.READINGS_1, schema.READINGS_2)),
    channels.SCORES.name: ("What is known of one reef after a batch of readings.", (schema.SCORES_1, schema.SCORES_2)),
    channels.ALERTS.name: ("One change of one episode at one reef.", (schema.ALERT_1, schema.ALERT_2)),
    channels.QUARANTINE.name: ("Telemetry that could not be understood, and why.", (schema.QUARANTINE_1,)),
}

DEVICE_CHANNELS: Final = {
    "device-telemetry": ("buoys/{imei}/d2c/telemetry", "What a Nemo-Pi reports.", schema.NEMOPI_MQTT_1),
    "device-response": ("buoys/{imei}/d2c/response", "A Nemo-Pi's answer to a command.", "device-response"),
    "device-command": ("buoys/{imei}/c2d/cmd", "A command to a Nemo-Pi that listens now.", "device-command"),
}

HEADERS: Final = {
    "event-id": "event_id",
    "reef-id": "reef_id",
    "schema": "schema_id",
    "produced-at": "produced_at",
    "seq": "seq",
    "traceparent": "traceparent",
}
"""Header -> field of ``Envelope``."""
HEADER_WORDS: Final = {
    "event-id": "Deterministic: the same input gives the same id, and a repeat is recognised by it.",
    "reef-id": "The reef, which is the message group too: messages of one reef stay in order.",
    "schema": "Name and major version of the body.",
    "produced-at": "ISO 8601, with its offset from UTC.",
    "seq": "Counts from 1 for each reef and channel.",
    "traceparent": "W3C Trace Context; the same trace id in every message that one report of a device caused.",
    "producer-id": "Optional: one run of one sender.",
    "follows": "Optional: event id of the message that this producer published before this one for the reef. This one waits "
    "until that has been applied, for a minute at most.",
    "device": "The device, where the body does not name it.",
    "received-at": "When the report was received, ISO 8601.",
}

TELEMETRY_HEADERS: Final = ("device", "received-at", "producer-id", "follows")

EXAMPLE_HEADERS: Final = {
    "event-id": "0d4a9d4e-5f0e-5d0b-8a44-6d8f2c1f5a10",
    "reef-id": "amed-wall",
    "produced-at": "2026-03-01T18:30:03+00:00",
    "seq": "41",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
DEVICE_EXAMPLES: Final[Mapping[str, Any]] = {
    schema.TELEMETRY_1: {
        "schema": schema.TELEMETRY_1,
        "buoy_id": "agent-1",
        "seq": 17,
        "sent_at": "2026-03-01T18:30:00+00:00",
        "readings": [
            {
                "observed_at": "2026-03-01T18:00:00+00:00",
                "position": {"lat": -8.34, "lon": 115.66},
                "channels": {"sea_water_temperature": 29.31, "sea_water_speed": 0.12},
            }
        ],
    },
    schema.NEMOPI_MQTT_1: {
        "msg_type": "data",
        "sensors": [
            {
                "model": "DS18B20-LOGGER",
                "interface": "rs485",
                "address": 2,
                "data": [{"channel": "ch1", "value": 29.3, "fault": ""}],
            }
        ],
    },
    schema.NEMOPI_2021_1: {
        "serial_number": "ABCDEF0123456789",
        "battery_level": "52.85",
        "latitude": "-8.34",
        "longitude": "115.66",
        "measurements": [
            {
                "sensor": {
                    "correction_value": None,
                    "details": {"name": "WATER_TEMPERATURE", "unit": "C"},
                    "serial_number": "KIT0021",
                    "name": "WATER_TEMPERATURE",
                },
                "value": "29.31",
                "error_text": "",
                "datetime": "2026-03-01T18:30:00+00:00",
            }
        ],
    },
    "device-response": {
        "msg_type": "response",
        "cmd": "ping",
        "operation_id": "5f0e5d0b8a446d8f2c1f5a100d4a9d4e",
        "status": "ok",
        "reason": "",
    },
    "device-command": {"msg_type": "cmd", "cmd": "ping", "operation_id": "5f0e5d0b8a446d8f2c1f5a100d4a9d4e"},
}


def document() -> dict[str, Any]:
    """Return the AsyncAPI document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "reefmesh",
            "version": reefmesh.__version__,
            "description": (
                "What the services of reefmesh say to each other, and what buoys say to them. A deployment has one broker. "
                "On ActiveMQ a channel is a virtual topic; each consuming service has one durable queue on it (`x-queue`), and "
                "every such queue gets every message. The message group is the reef. On RabbitMQ (`-amqp`) a channel is a "
                "topic exchange; the routing key is the reef behind its slot, by which each consuming service spreads the "
                "reefs over queues of its own (`x-queues`). On both, one reef's messages are handled one at a time, in order. "
                "Programs that are not reefmesh's own subscribe in the same way, under names of their own. Bodies are "
                f"closed (an unknown field is refused) and at most {BODY_BYTES_LIMIT} bytes."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": _messages(),
            "schemas": _schemas(),
            "securitySchemes": {"user": {"type": "userPassword", "description": "A user of the broker for each service."}},
        },
    }


def _servers() -> dict[str, Any]:
    def server(port: int, protocol: str, version: str, words: str) -> dict[str, Any]:
        return {
            "host": f"broker.example.org:{port}",
            "protocol": protocol,
            "protocolVersion": version,
            "description": words,
            "security": [_ref("components/securitySchemes/user")],
        }

    return {
        "stomp": server(61613, "stomp", "1.2", "ActiveMQ, for services on a trusted network."),
        "stomp-tls": server(61614, "stomps", "1.2", "ActiveMQ over TLS, for services."),
        "amqp": server(5672, "amqp", "0.9.1", "RabbitMQ, for services on a trusted network."),
        "amqp-tls": server(5671, "amqps", "0.9.1", "RabbitMQ over TLS, for services."),
        "mqtt": server(1883, "mqtt", "3.1.1", "ActiveMQ, for devices on a trusted network."),
        "mqtt-tls": server(8883, "secure-mqtt", "3.1.1", "ActiveMQ over TLS, for devices."),
    }


def _channels() -> dict[str, Any]:
    services = [_ref("servers/stomp"), _ref("servers/stomp-tls")]
    rabbitmq = [_ref("servers/amqp"), _ref("servers/amqp-tls")]
    devices = [_ref("servers/mqtt"), _ref("servers/mqtt-tls")]
    described: dict[str, Any] = {}
    slot, _, reef = routing_key_of("menjangan").partition(".")
    for name, (words, schema_ids) in CHANNELS.items():
        described[_key(name)] = {
            "address": channel_topic(name).removeprefix("/topic/"),
            "description": words,
            "servers": services,
            "messages": {_key(each): _ref(f"components/messages/{_key(each)}") for each in schema_ids},
            "bindings": {"stomp": {}},  # AsyncAPI gives it no fields yet
        }
        described[f"{_key(name)}{AMQP}"] = {
            "address": "{slot}.{reef}",
            "description": words,
            "servers": rabbitmq,
            "parameters": {
                "slot": {
                    "description": (
                        "The first two digits of the reef's SHA-256 in lower-case hexadecimal; a message with another slot "
                        "is parked."
                    ),
                    "examples": [slot],
                },
                "reef": {"description": "The reef.", "examples": [reef]},
            },
            "messages": {_key(each): _ref(f"components/messages/{_key(each)}") for each in schema_ids},
            "bindings": {"amqp": {"is": "routingKey", "exchange": _exchange(name), "bindingVersion": AMQP_BINDING}},
        }
    for name, (address, words, message) in DEVICE_CHANNELS.items():
        described[name] = {
            "address": address,
            "description": words,
            "servers": devices,
            "parameters": {"imei": {"description": "The device's IMEI, its MQTT client id."}},
            "messages": {f"mqtt-{_key(message)}": _ref(f"components/messages/mqtt-{_key(message)}")},
        }
    return described


def _operations() -> dict[str, Any]:
    described: dict[str, Any] = {
        "ingest-receive-device-telemetry": _device_operation("receive", "device-telemetry"),
        "ingest-receive-device-response": _device_operation("receive", "device-response"),
        "operator-send-device-command": {
            "action": "send",
            "channel": _ref("channels/device-command"),
            "summary": "`reefmesh buoys ping` and `reefmesh buoys reboot`; the answer names the command's operation_id.",
            "messages": [_ref("channels/device-command/messages/mqtt-device-command")],
            "reply": {
                "channel": _ref("channels/device-response"),
                "messages": [_ref("channels/device-response/messages/mqtt-device-response")],
            },
            "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}},
        },
    }
    for service in EVERY_SERVICE:
        for subscription in service.subscriptions:
            described[f"{service}-receive-{_key(subscription.channel.name)}"] = _receiving(subscription)
            described[f"{service}-receive-{_key(subscription.channel.name)}{AMQP}"] = _receiving_amqp(subscription)
        for channel in service.publishes:
            if channel.numbered:  # telemetry has many senders: it is described with the devices
                described[f"{service}-send-{_key(channel.name)}"] = _sending(service, channel)
                described[f"{service}-send-{_key(channel.name)}{AMQP}"] = _sending_amqp(service, channel)
    return dict(sorted(described.items()))


def _sending(service: ServiceEntry, channel: Channel) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": _ref(f"channels/{_key(channel.name)}"),
        "summary": f"{service} publishes to {channel}, in one transaction with its acknowledgement.",
        "messages": _messages_of(channel.name),
    }


def _receiving(subscription: Subscription) -> dict[str, Any]:
    return {
        "action": "receive",
        "channel": _ref(f"channels/{_key(subscription.channel.name)}"),
        "summary": f"{subscription.service} takes {subscription.channel}, each reef in order.",
        "messages": _messages_of(subscription.channel.name),
        "x-queue": subscription_queue(subscription).removeprefix("/queue/"),
        "x-parking-queue": parking_queue(subscription).removeprefix("/queue/"),
    }


def _exchange(channel: str) -> dict[str, Any]:
    return {"name": channel_exchange(channel), "type": TOPIC, "durable": True, "autoDelete": False, "vhost": "/"}


def _sending_amqp(service: ServiceEntry, channel: Channel) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": _ref(f"channels/{_key(channel.name)}{AMQP}"),
        "summary": f"{service} publishes to {channel}, confirmed, before its acknowledgement.",
        "messages": _messages_of(channel.name, of_key=f"{_key(channel.name)}{AMQP}"),
        "bindings": {"amqp": {"deliveryMode": 2, "mandatory": True, "userId": service.name, "bindingVersion": AMQP_BINDING}},
    }


def _receiving_amqp(subscription: Subscription) -> dict[str, Any]:
    return {
        "action": "receive",
        "channel": _ref(f"channels/{_key(subscription.channel.name)}{AMQP}"),
        "summary": f"{subscription.service} takes {subscription.channel}, each reef in order.",
        "messages": _messages_of(subscription.channel.name, of_key=f"{_key(subscription.channel.name)}{AMQP}"),
        "bindings": {"amqp": {"ack": True, "bindingVersion": AMQP_BINDING}},
        "x-queues": f"{shard_queue(subscription, 0)}, and so on to the number of shards",
        "x-parking-queue": rabbitmq_parking_queue(subscription),
    }


def _device_operation(action: str, channel: str) -> dict[str, Any]:
    (message,) = (f"mqtt-{_key(message)}" for _, _, message in [DEVICE_CHANNELS[channel]])
    return {
        "action": action,
        "channel": _ref(f"channels/{_key(channel)}"),
        "summary": f"The bridge in ingest moves it to {channels.TELEMETRY}, in order.",
        "messages": [_ref(f"channels/{_key(channel)}/messages/{message}")],
        "bindings": {"mqtt": {"qos": 1, "bindingVersion": "0.2.0"}},
        "x-queue": DEVICE_QUEUE.removeprefix("/queue/"),
    }


def _messages_of(channel: str, *, of_key: str | None = None) -> list[dict[str, str]]:
    return [_ref(f"channels/{of_key or _key(channel)}/messages/{_key(each)}") for each in CHANNELS[channel][1]]


def _messages() -> dict[str, Any]:
    described: dict[str, Any] = {}
    for channel, (_, schema_ids) in CHANNELS.items():
        for schema_id in schema_ids:
            described[_key(schema_id)] = {
                "name": schema_id,
                "title": schema_id,
                "contentType": "application/json",
                "correlationId": {"location": "$message.header#/traceparent"},
                "headers": _headers(schema_id, channel),
                "payload": _ref(f"components/schemas/{_key(schema_id)}"),
                "examples": [
                    {"name": "sample", "headers": _example_headers(schema_id, channel), "payload": _sample(schema_id)}
                ],
            }
    for _, _, message in DEVICE_CHANNELS.values():
        described[f"mqtt-{_key(message)}"] = {
            "name": message,
            "title": f"{message} over MQTT, without an envelope",
            "contentType": "application/json",
            "payload": _ref(f"components/schemas/{_key(message)}"),
            "examples": [{"name": "sample", "payload": _sample(message)}],
        }
    return described


def _headers(schema_id: str, channel: str) -> dict[str, Any]:
    """The envelope as the text headers of a frame."""
    properties: dict[str, Any] = {}
    fields = Envelope.model_json_schema()["properties"]
    for header, field in HEADERS.items():
        words: dict[str, Any] = {"type": "string", "description": HEADER_WORDS[header]}
        if pattern := fields[field].get("pattern"):
            words["pattern"] = pattern
        properties[header] = words
    properties["schema"]["const"] = schema_id
    properties["produced-at"]["format"] = "date-time"
    properties["seq"]["pattern"] = "^[1-9][0-9]*$"
    required = ["event-id", "reef-id", "schema", "produced-at"]
    if channel == channels.TELEMETRY.name:
        del properties["seq"]
        properties |= {name: {"type": "string", "description": HEADER_WORDS[name]} for name in TELEMETRY_HEADERS}
    else:
        required.append("seq")
    return {"type": "object", "properties": properties, "required": required}


def _example_headers(schema_id: str, channel: str) -> dict[str, str]:
    example = {**EXAMPLE_HEADERS, "schema": schema_id}
    if channel == channels.TELEMETRY.name:
        del example["seq"]
    return dict(sorted(example.items()))


def _sample(schema_id: str) -> Any:
    if schema_id in DEVICE_EXAMPLES:
        return DEVICE_EXAMPLES[schema_id]
    return json.loads((GOLDEN / f"{_key(schema_id)}.json").read_text())


def _schemas() -> dict[str, Any]:
    bodies, shared = TypeAdapter.json_schemas(
        [(schema_id, "validation", adapter) for schema_id, adapter in BODIES.items()], ref_template=SCHEMAS + "{model}"
    )
    described: dict[str, Any] = {
        _key(schema_id): body | {"title": schema_id} if "$ref" not in body else body for (schema_id, _), body in bodies.items()
    }
    for schema_id, words in DEVICE_FORMATS.items():
        described[_key(schema_id)] = {"type": "object", "title": schema_id, "description": words}
    text = {"type": "string"}
    described["device-command"] = {
        "type": "object",
        "properties": {"msg_type": {"const": "cmd"}, "cmd": {"enum": ["ping", "reboot"]}, "operation_id": text},
        "required": ["msg_type", "cmd", "operation_id"],
    }
    described["device-response"] = {
        "type": "object",
        "properties": {"msg_type": {"const": "response"}, "cmd": text, "operation_id": text, "status": text, "reason": text},
        "required": ["msg_type", "operation_id"],
    }
    plain: dict[str, Any] = _draft_7(dict(sorted(described.items())) | dict(sorted(shared.get("$defs", {}).items())))
    return plain


def _draft_7(node: Any) -> Any:
    """Say in JSON Schema draft 7, which AsyncAPI reads, what pydantic says in draft 2020-12; docstrings as one line."""
    if isinstance(node, list):
        return [_draft_7(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _draft_7(value) for key, value in node.items()}
    if "prefixItems" in plain:
        plain["items"] = plain.pop("prefixItems")
        plain["additionalItems"] = False
    if isinstance(plain.get("description"), str):
        plain["description"] = " ".join(plain["description"].split())
    return plain


def _key(name: str) -> str:
    """A schema id or a channel's name as a key: letters, digits, hyphens."""
    return name.replace("/", "-").replace(".", "-")


def _ref(path: str) -> dict[str, str]:
    return {"$ref": f"#/{path}"}


class _Plain(yaml.SafeDumper):
    """Writes every value out where it stands."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def text() -> str:
    return NOTE + yaml.dump(document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the document is not current")
    options = parser.parse_args()
    wanted = text()
    if options.check:
        if DOCUMENT.exists() and DOCUMENT.read_text() == wanted:
            return 0
        sys.stderr.write("docs/asyncapi.yaml does not say what the contracts say; write it anew with `make docs`\n")
        return 1
    DOCUMENT.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
