"""docs/asyncapi.yaml says what the code reads and writes, in AsyncAPI 3.0."""

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from reefmesh.broker.activemq.destinations import mqtt_topic
from reefmesh.broker.activemq.message_headers import ENVELOPE
from reefmesh.broker.rabbitmq.slots import routing_key_of
from reefmesh.broker.rabbitmq.topology import channel_exchange, parking_queue, shard_queue
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID
from reefmesh.contracts.services import EVERY_SERVICE, subscriptions_of
from reefmesh_ingest.domain.decode import DECODERS, Report
from reefmesh_ingest.domain.device_message import device_of

with warnings.catch_warnings():  # its fields called "schema" shadow pydantic's
    warnings.simplefilter("ignore", UserWarning)
    from asyncapi3.models.asyncapi import AsyncAPI3  # type: ignore[import-untyped]  # it brings no marker of its types

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "asyncapi.yaml"
BODIES = [
    "telemetry-1",
    "nemopi-mqtt-1",
    "nemopi-2021-1",
    "readings-1",
    "scores-1",
    "scores-2",
    "alert-1",
    "alert-2",
    "quarantine-1",
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return read


def found(document: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/")
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            elif key != "examples":
                yield from references(value)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def messages_of(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    return [found(document, found(document, each["$ref"])["$ref"])["name"] for each in operation["messages"]]


def test_document_is_what_the_contracts_say_now() -> None:
    command = [sys.executable, str(ROOT / "tools" / "asyncapi.py"), "--check"]
    checked = subprocess.run(command, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_document_is_valid_asyncapi(document: dict[str, Any]) -> None:
    """Every object has the fields that AsyncAPI 3.0 gives it, and no other."""
    assert AsyncAPI3.model_validate(document).asyncapi == "3.0.0"


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    named = set(references(document))
    assert len(named) > 50
    assert [reference for reference in sorted(named) if not isinstance(found(document, reference), dict)] == []


@pytest.mark.parametrize("name", BODIES)
def test_sample_of_a_message_is_what_its_schemas_allow_and_a_broken_one_is_not(document: dict[str, Any], name: str) -> None:
    """The schemas are draft 7, which AsyncAPI reads, and they bind: headers without an event id, a body that is no object."""
    message = document["components"]["messages"][name]
    (example,) = message["examples"]
    for schema, sample, broken in (
        (message["payload"], example["payload"], []),
        (message["headers"], example["headers"], {**example["headers"], "event-id": ""}),
    ):
        Draft7Validator.check_schema(schema)
        validator = Draft7Validator({**schema, "components": document["components"]})
        assert [error.message for error in validator.iter_errors(sample)] == []
        assert not validator.is_valid(broken)


@pytest.mark.parametrize("name", ["telemetry-1", "readings-1", "scores-1", "scores-2", "alert-1", "alert-2", "quarantine-1"])
def test_bodies_are_closed_in_the_document_too(document: dict[str, Any], name: str) -> None:
    message = document["components"]["messages"][name]
    validator = Draft7Validator({**message["payload"], "components": document["components"]})
    assert not validator.is_valid({**message["examples"][0]["payload"], "surprise": 1})


@pytest.mark.parametrize("schema_id", sorted(DECODERS))
def test_sample_of_telemetry_is_understood_by_its_decoder(document: dict[str, Any], schema_id: str) -> None:
    message = document["components"]["messages"][schema_id.replace("/", "-")]
    report = DECODERS[schema_id](json.dumps(message["examples"][0]["payload"]).encode())
    assert isinstance(report, Report), report
    assert len(report.observations) == 1
    assert report.refused == ()


def test_headers_are_those_of_the_envelope(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]
    assert set(messages["readings-1"]["headers"]["properties"]) == set(ENVELOPE)
    of_telemetry = {"device", "received-at", PRODUCER_ID, FOLLOWS}
    assert set(messages["telemetry-1"]["headers"]["properties"]) == {*ENVELOPE, *of_telemetry} - {"seq"}


def test_channels_are_those_of_the_mesh_and_of_its_devices(document: dict[str, Any]) -> None:
    addresses = {channel["address"] for channel in document["channels"].values()} - {"{slot}.{reef}"}
    of_devices = {address for address in addresses if address.startswith("buoys/")}
    assert addresses - of_devices == {f"VirtualTopic.{name}" for name in channels.ALL}
    heard = {address.format(imei="1") for address in of_devices if device_of(address.format(imei="1")) == "1"}
    assert heard == {"buoys/1/d2c/telemetry", "buoys/1/d2c/response"}
    assert mqtt_topic("/topic/buoys.1.c2d.cmd") in {address.format(imei="1") for address in of_devices - heard}


@pytest.mark.parametrize("subscription", subscriptions_of(EVERY_SERVICE), ids=str)
def test_each_service_receives_what_it_subscribes_to(document: dict[str, Any], subscription: channels.Subscription) -> None:
    operation = document["operations"][f"{subscription.service}-receive-{subscription.channel.name.replace('.', '-')}"]
    assert operation["action"] == "receive"
    assert found(document, operation["channel"]["$ref"])["address"] == f"VirtualTopic.{subscription.channel}"
    assert operation["x-queue"] == f"Consumer.{subscription.service}.VirtualTopic.{subscription.channel}"


def test_each_channel_but_telemetry_is_sent_by_one_service(document: dict[str, Any]) -> None:
    sent = {
        name: messages_of(document, operation)
        for name, operation in document["operations"].items()
        if operation["action"] == "send" and "VirtualTopic" in found(document, operation["channel"]["$ref"])["address"]
    }
    assert sent == {
        "ingest-send-reef-readings": ["readings/1", "readings/2"],
        "ingest-send-reef-quarantine": ["quarantine/1"],
        "scoring-send-reef-scores": ["scores/1", "scores/2"],
        "alerts-send-reef-alerts": ["alert/1", "alert/2"],
    }


def test_channels_have_an_exchange_on_rabbitmq_with_slot_and_reef_as_routing_key(document: dict[str, Any]) -> None:
    on_rabbitmq = {name: each for name, each in document["channels"].items() if "amqp" in each.get("bindings", {})}
    assert {f"{name.replace('.', '-')}-amqp" for name in map(str, channels.ALL)} == set(on_rabbitmq)
    for each in on_rabbitmq.values():
        assert "{slot}.{reef}" == each["address"]
        (slot,), (reef,) = (each["parameters"][name]["examples"] for name in ("slot", "reef"))
        assert routing_key_of(reef) == f"{slot}.{reef}"
        assert "routingKey" == each["bindings"]["amqp"]["is"]
        assert {"amqp", "amqps"} == {found(document, server["$ref"])["protocol"] for server in each["servers"]}
    exchanges = {each["bindings"]["amqp"]["exchange"]["name"] for each in on_rabbitmq.values()}
    assert {channel_exchange(channel.name) for channel in channels.ALL} == exchanges


def test_each_operation_of_services_is_there_for_both_brokers(document: dict[str, Any]) -> None:
    def of(protocol: str) -> dict[str, tuple[str, list[str]]]:
        return {
            name.removesuffix("-amqp"): (operation["action"], messages_of(document, operation))
            for name, operation in document["operations"].items()
            if protocol in found(document, operation["channel"]["$ref"]).get("bindings", {})
        }

    assert len(subscriptions_of(EVERY_SERVICE)) < len(of("stomp"))
    assert of("stomp") == of("amqp")


@pytest.mark.parametrize("subscription", subscriptions_of(EVERY_SERVICE), ids=str)
def test_queues_on_rabbitmq_are_those_of_the_engine(document: dict[str, Any], subscription: channels.Subscription) -> None:
    operation = document["operations"][f"{subscription.service}-receive-{subscription.channel.name.replace('.', '-')}-amqp"]
    assert operation["x-queues"].startswith(shard_queue(subscription, 0))
    assert parking_queue(subscription) == operation["x-parking-queue"]
