"""Both broker configurations hold the same policies, and Amazon MQ accepts every word of its own.

What Amazon MQ accepts is data of the package ``cdklabs-cdk-amazonmq-activemq-config-v5-19-1``: a class for each element, its
attributes, and what may stand in it. The data is read without importing the package, which needs more than Python.
"""

import io
import json
import tarfile
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy" / "activemq"
LOCAL, AMAZON = DEPLOY / "broker.xml", DEPLOY / "amazon-mq.xml"
PACKAGE = "cdklabs-cdk-amazonmq-activemq-config-v5-19-1"
NAMESPACE = "{http://activemq.apache.org/schema/core}"
RENAMED = {"DLQ": "dlq", "map": "authorizationMap"}  # as they are written: as the data calls them

COLLECTS = "gcInactiveDestinations"
AUTHORIZATION = "plugins/authorizationPlugin/map/authorizationMap/authorizationEntries"

Element = ElementTree.Element


@cache
def accepted() -> dict[str, Any]:
    """Return the types of the package, by their short names."""
    try:
        archive = next(file for file in files(PACKAGE) or [] if file.name.endswith(".jsii.tgz"))
    except (PackageNotFoundError, StopIteration):
        pytest.skip(f"what Amazon MQ accepts is not known: install {PACKAGE}")
    with tarfile.open(fileobj=io.BytesIO(archive.read_binary())) as tar:
        manifest = tar.extractfile("package/.jsii")
        assert manifest is not None
        types = json.load(manifest)["types"]
    return {name.rpartition(".")[2]: declared for name, declared in types.items()}


def element_name(type_name: str) -> str:
    return type_name[0].lower() + type_name[1:]


def properties(type_name: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry["type"] for entry in accepted().get(type_name, {}).get("properties", [])}


def may_stand_in(declared: dict[str, Any]) -> dict[str, str]:
    """Return the elements that a property's type allows: name -> type."""
    declared = declared.get("collection", {}).get("elementtype", declared)
    name = declared["fqn"].rpartition(".")[2]
    kinds = accepted()
    if kinds[name]["kind"] == "class":
        return {element_name(name): name}
    return {element_name(other): other for other, kind in kinds.items() if declared["fqn"] in kind.get("interfaces", ())}


def refused(element: Element, type_name: str, path: str = "") -> list[str]:
    """Return what Amazon MQ would drop in silence, as paths."""
    here, found = f"{path}/{element_name(type_name)}", []
    attributes, wrappers = properties(f"{type_name}Attributes"), properties(f"{type_name}Elements")
    for name, value in element.attrib.items():
        declared = attributes.get(RENAMED.get(name, name))
        if declared is None or not is_valid(value, declared):
            found.append(f"{here}@{name}={value}")
    for wrapper in element:
        name = wrapper.tag.removeprefix(NAMESPACE)
        declared = wrappers.get(RENAMED.get(name, name))
        if declared is None:
            found.append(f"{here}/{name}")
            continue
        allowed = may_stand_in(declared)
        for child in wrapper:
            child_name = child.tag.removeprefix(NAMESPACE)
            if child_name in allowed:
                found += refused(child, allowed[child_name], f"{here}/{name}")
            else:
                found.append(f"{here}/{name}/{child_name}")
    return found


def is_valid(value: str, declared: dict[str, Any]) -> bool:
    match declared:
        case {"primitive": "boolean"}:
            return value in ("true", "false")
        case {"primitive": "number"}:
            return value.lstrip("-").isdigit()
        case {"fqn": str(fqn)}:
            return value in [member["name"] for member in accepted()[fqn.rpartition(".")[2]]["members"]]
    return True


def broker(file: Path) -> Element:
    root = ElementTree.parse(file).getroot()  # noqa: S314 - our own files
    found = root if root.tag == f"{NAMESPACE}broker" else root.find(f"{NAMESPACE}broker")
    assert found is not None
    return found


def canonical(element: Element) -> Any:
    return element.tag, sorted(element.attrib.items()), [canonical(child) for child in element]


def part(file: Path, path: str) -> Element:
    found = broker(file).find("/".join(f"{NAMESPACE}{step}" for step in path.split("/")))
    assert found is not None
    return found


def test_amazon_accepts_every_element_and_attribute_of_its_file() -> None:
    """Amazon MQ drops what it does not know without a word, and a policy with it."""
    assert [] == refused(broker(AMAZON), "Broker")


def test_local_file_holds_what_amazon_would_drop() -> None:
    """The check can fail: what a broker of one's own needs is not in Amazon's list."""
    dropped = refused(broker(LOCAL), "Broker")
    assert {"/broker/sslContext", "/broker@useJmx=false", "/broker/plugins/simpleAuthenticationPlugin"} <= set(dropped)


@pytest.mark.parametrize(
    "path", ["destinationPolicy", "destinationInterceptors", "destinations", "plugins/authorizationPlugin"]
)
def test_both_files_hold_the_same_policies(path: str) -> None:
    """What is tested here on a broker of our own is what runs there."""
    assert canonical(part(LOCAL, path)) == canonical(part(AMAZON, path))


@pytest.mark.parametrize(
    "name", ["advisorySupport", "schedulerSupport", "persistent", "rollbackOnlyOnAsyncException", "rejectDurableConsumers"]
)
def test_both_brokers_have_the_same_switches(name: str) -> None:
    assert broker(LOCAL).get(name) == broker(AMAZON).get(name) is not None


@pytest.mark.parametrize("file", [LOCAL, AMAZON])
def test_both_brokers_refuse_durable_subscriptions(file: Path) -> None:
    """One by wildcards, of somebody who may not read all that it matches, keeps the broker from making each such topic."""
    assert broker(file).get("rejectDurableConsumers") == "true"


@pytest.mark.parametrize("name", ["populateJMSXUserID", "useAuthenticatedPrincipalForJMSXUserID"])
@pytest.mark.parametrize("file", [LOCAL, AMAZON])
def test_both_brokers_stamp_every_message_with_its_sender(file: Path, name: str) -> None:
    """Law 12: without both attributes a message says of itself who sent it, or nothing does."""
    assert broker(file).get(name) == "true"


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("systemUsage/systemUsage", "sendFailIfNoSpace", "true"),
        ("systemUsage/systemUsage/memoryUsage/memoryUsage", "percentOfJvmHeap", "70"),
        ("persistenceAdapter/kahaDB", "journalDiskSyncStrategy", "ALWAYS"),
    ],
)
def test_both_files_hold_the_same_limits_and_durability(path: str, name: str, value: str) -> None:
    assert [value, value] == [part(file, path).get(name) for file in (LOCAL, AMAZON)]


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("messageGroupMapFactoryType", lambda value: value == "simple"),  # the default forgets owners
        ("maxPageSize", lambda value: int(value) >= 10_000),  # the default starves reefs behind a stuck one
        ("usePrefetchExtension", lambda value: value == "false"),  # else a second message is out before the first is committed
        ("gcInactiveDestinations", lambda value: value == "false"),  # else an idle subscription is forgotten
        ("producerFlowControl", lambda value: value == "false"),  # else a backlog blocks connections
    ],
)
def test_queues_have_the_policies_that_order_stands_on(name: str, check: Any) -> None:
    """The broker takes one entry for a queue, the closest: each that groups travel through has them all."""
    entries = {entry.get("queue"): entry for entry in part(LOCAL, "destinationPolicy/policyMap/policyEntries")}
    grouped = [entry for queue, entry in entries.items() if queue is not None and queue != "reef.telemetry.mqtt"]
    assert len(grouped) > 1
    assert all(check(entry.get(name)) for entry in grouped)


def test_no_queue_is_made_beside_those_of_the_start_whose_name_matches_what_a_service_may_read() -> None:
    """A subscription by wildcards needs no right to make a queue of that very name, into which a virtual topic copies."""
    names = [queue.get("physicalName", "") for queue in part(LOCAL, "destinations")]
    limits = {
        pattern: int(entry.get("maxDestinations", "-1"))
        for entry in part(LOCAL, "destinationPolicy/policyMap/policyEntries")
        if (pattern := entry.get("queue")) not in (None, ">")
    }
    read = {
        queue
        for entry in part(LOCAL, AUTHORIZATION)
        if (queue := entry.get("queue") or "").startswith(("Consumer.", "reef.")) and entry.get("read") != "operators"
    }
    assert read == limits.keys()
    assert {pattern: sum(name.startswith(pattern.removesuffix(">")) for name in names) for pattern in read} == limits


def test_nobody_but_operators_makes_queues() -> None:
    """Whoever may make one queue makes others too, by names with wildcards: the rights of all entries that match are added."""
    makers = {entry.get("queue"): entry.get("admin") for entry in part(LOCAL, AUTHORIZATION) if entry.get("queue")}
    assert {">": "operators"} == {queue: admin for queue, admin in makers.items() if admin is not None}


@pytest.mark.parametrize("file", [LOCAL, AMAZON])
def test_nothing_that_breaks_the_order_of_a_reef_is_in_use(file: Path) -> None:
    """Broker redelivery, priorities and networks of brokers put a later message before an earlier one."""
    names = {element.tag.removeprefix(NAMESPACE) for element in broker(file).iter()}
    assert set() == names & {"redeliveryPlugin", "networkConnectors", "priorityDispatchPolicy"}
    assert all(element.get("prioritizedMessages") is None for element in broker(file).iter())


@pytest.mark.parametrize(
    ("group", "rights"),
    [
        ("buoys", {("buoys.*.d2c.>", "write"), ("buoys.*.c2d.>", "read")}),
        ("publishers", {("VirtualTopic.reef.telemetry", "write")}),
    ],
)
def test_who_sends_telemetry_has_its_own_door_and_nothing_else(group: str, rights: set[tuple[str, str]]) -> None:
    """Devices come over MQTT and through the bridge; the channel itself is for direct publishers."""
    entries = part(LOCAL, AUTHORIZATION)
    assert rights == {
        (entry.get("queue") or entry.get("topic"), right)
        for entry in entries
        for right in ("read", "write")
        if group in (entry.get(right) or "").split(",")
    }


@pytest.mark.parametrize("group", ["buoys", "publishers"])
def test_who_sends_telemetry_may_make_advisories_and_neither_read_nor_forge_them(group: str) -> None:
    """Without ``admin`` MQTT refuses a device's login; with ``write`` a device announces consumers that do not exist."""
    entries = part(LOCAL, AUTHORIZATION)
    (advisories,) = [entry for entry in entries if entry.get("topic") == "ActiveMQ.Advisory.>"]
    assert ["admin"] == [right for right in ("read", "write", "admin") if group in (advisories.get(right) or "").split(",")]


def test_idle_topics_of_devices_are_collected_and_no_queue_is() -> None:
    """A device names as many topics as it likes; a subscription that was collected would lose what is published next."""
    entries = list(part(LOCAL, "destinationPolicy/policyMap/policyEntries"))
    collected = {entry.get("queue") or entry.get("topic"): entry for entry in entries if entry.get(COLLECTS) != "false"}
    assert {"buoys.>"} == collected.keys()
    assert 0 < int(collected["buoys.>"].get("inactiveTimeoutBeforeGC", "0")) <= 60_000
    periods = [int(broker(file).get("schedulePeriodForDestinationPurge", "0")) for file in (LOCAL, AMAZON)]
    assert [2_000, 2_000] == periods
