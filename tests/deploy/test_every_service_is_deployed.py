"""Each service of the list is in every file that deploys or describes it.

A new service is one entry in ``reefmesh.contracts.services``; these tests then name, file by file, what its deployment lacks.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from reefmesh.broker.activemq.destinations import channel_topic, parking_queue, probe_queue, subscription_queue
from reefmesh.broker.rabbitmq import topology as rabbitmq
from reefmesh.contracts import channels
from reefmesh.contracts.services import EVERY_SERVICE, ServiceEntry

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ACTIVEMQ = "{http://activemq.apache.org/schema/core}"
CLIENTS = ("VirtualTopic.reef.doctor", "Consumer.doctor.>", "ActiveMQ.Advisory.>")
"""What the broker user of every service needs beside its own queues and topics."""

UNDEPLOYED = ServiceEntry(
    name="tide",
    package="reefmesh_tide",
    description="A service that nobody deployed.",
    consumes=(channels.READINGS,),
    publishes=(channels.TELEMETRY,),
)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def load(path: str) -> Any:
    return yaml.safe_load(read(path))


def absent(wanted: dict[str, bool]) -> list[str]:
    """Return the wanted things that are not there."""
    return [name for name, there in wanted.items() if not there]


def lacks_in_its_package(entry: ServiceEntry) -> list[str]:
    folder = ROOT / "services" / entry.name
    if not folder.is_dir():
        return [f"the folder services/{entry.name}"]
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    script = f"{entry.package}.__main__:main"
    return absent(
        {
            f"the script reefmesh-{entry}": project["scripts"].get(f"reefmesh-{entry}") == script,
            f"the package {entry.package}": (folder / "src" / entry.package / "bootstrap.py").is_file(),
        }
    )


def lacks_in_the_workspace(entry: ServiceEntry) -> list[str]:
    workspace = tomllib.loads(read("pyproject.toml"))["tool"]
    command = tomllib.loads(read("services/standalone/pyproject.toml"))["project"]
    layers = workspace["importlinter"]["contracts"][0]["layers"]
    return absent(
        {
            "[tool.uv.sources]": f"reefmesh-{entry}" in workspace["uv"]["sources"],
            "[tool.mypy] mypy_path": f"services/{entry}/src" in workspace["mypy"]["mypy_path"],
            "[tool.importlinter] root_packages": entry.package in workspace["importlinter"]["root_packages"],
            "[tool.importlinter] layers": entry.package in re.findall(r"\w+", layers[1]),
            "dependencies of services/standalone": f"reefmesh-{entry}" in command["dependencies"],
        }
    )


def lacks_in_its_image(entry: ServiceEntry) -> list[str]:
    ignored = read(".dockerignore").splitlines()
    whole_mesh = read("deploy/docker/reefmesh.Dockerfile")
    dockerfile = DEPLOY / "docker" / f"{entry}.Dockerfile"
    own = dockerfile.read_text(encoding="utf-8") if dockerfile.is_file() else ""
    return absent(
        {
            f"{dockerfile.name}, and in it the port of its pages": f"EXPOSE {entry.pages_port}\n" in own
            and f"REEFMESH_HTTP_PORT={entry.pages_port} " in own,
            ".dockerignore": {f"!services/{entry}/pyproject.toml", f"!services/{entry}/src"} <= set(ignored),
            "deploy/docker/reefmesh.Dockerfile": f"COPY services/{entry}/src services/{entry}/src" in whole_mesh,
        }
    )


def lacks_in_compose(entry: ServiceEntry) -> list[str]:
    everything = load("docker-compose.yml")["services"]
    service, password = everything.get(entry.name), f"BROKER_PASSWORD_{entry.name.upper()}"
    if service is None:
        return [f"the service {entry}"]
    stored = f"STORE_PASSWORD_{entry.name.upper()}"
    environment, given = service["environment"], f"${{{password}:?no password; run deploy/docker/new-env}}"
    ports = [port.rpartition(":")[2] for port in service.get("ports", [])]
    return absent(
        {
            "its image": service["image"] == f"reefmesh/{entry}:local",
            "its Dockerfile": service["build"]["dockerfile"] == f"deploy/docker/{entry}.Dockerfile",
            "its broker user": environment["REEFMESH_BROKER_USERNAME"] == entry.name,
            "its broker password": environment["REEFMESH_BROKER_PASSWORD"] == given,
            "its password at the broker": everything["activemq"]["environment"].get(password) == given,
            "its password in .env.example": f"{password}=" in read(".env.example").splitlines(),
            "its database role and schema": not entry.has_database
            or environment["REEFMESH_STORE_URL"] == f"postgresql://{entry}@postgresql/reefmesh?schema={entry}",
            "its database password": not entry.has_database
            or {environment["REEFMESH_STORE_PASSWORD"], everything["database-roles"]["environment"].get(stored)}
            == {f"${{{stored}:?no password; run deploy/docker/new-env}}"},
            "its role in deploy/postgresql/roles.sql": not entry.has_database
            or f"\\set role {entry}\n\\unset password\n\\getenv password {stored}\n" in read("deploy/postgresql/roles.sql"),
            "REEFMESH_ACCEPT_UNSTAMPED_UNTIL from where Compose runs": environment.get("REEFMESH_ACCEPT_UNSTAMPED_UNTIL", "")
            is None,
            "its health check": service["healthcheck"]["test"] == ["CMD", f"reefmesh-{entry}", "--check-health=ready"],
            "the port of its pages": str(entry.pages_port) in ports,
        }
    )


def rights(file: str) -> dict[str, dict[str, set[str]]]:
    """Return destination -> right -> groups."""
    entries = ElementTree.fromstring(read(file)).iter(f"{ACTIVEMQ}authorizationEntry")  # noqa: S314 - our own file
    return {
        each.get("queue") or each.get("topic") or "": {
            right: set((each.get(right) or "").split(",")) for right in ("read", "write", "admin")
        }
        for each in entries
    }


def lacks_at_the_broker(file: str, entry: ServiceEntry) -> Iterator[str]:
    given = rights(file)

    def has(destination: str, *wanted: str) -> bool:
        return all(entry.name in given.get(destination, {}).get(right, ()) for right in wanted)

    queues = {each.get("physicalName") for each in ElementTree.fromstring(read(file)).iter(f"{ACTIVEMQ}queue")}  # noqa: S314 - our own file
    used = [probe_queue(entry.name)]
    for subscription in entry.subscriptions:
        used += [subscription_queue(subscription), parking_queue(subscription)]
    for queue in (each.removeprefix("/queue/") for each in used):
        if queue not in queues:
            yield f"its queue {queue}, made at the start"
        pattern = f"{'.'.join(queue.split('.')[:2])}.>"
        if not has(pattern, "read", "write"):
            yield f"its rights on {pattern}"
    for channel in entry.publishes:
        if not has(topic := channel_topic(channel.name).removeprefix("/topic/"), "write", "admin"):
            yield f"its rights on {topic}"
    for destination in CLIENTS:
        if not has(destination, *(("write",) if destination.startswith("Consumer.") else ("write", "admin"))):
            yield f"its rights on {destination}"


def lacks_at_a_broker_of_ones_own(entry: ServiceEntry) -> list[str]:
    users = ElementTree.fromstring(read("deploy/activemq/broker.xml")).iter(f"{ACTIVEMQ}authenticationUser")  # noqa: S314 - our own file
    known = {(user.get("username"), user.get("password"), user.get("groups")) for user in users}
    return [
        *absent(
            {
                "its user": (entry.name, f"${{reefmesh.password.{entry}}}", entry.name) in known,
                "reefmesh.properties.example": f"reefmesh.password.{entry} ="
                in read("deploy/activemq/reefmesh.properties.example").splitlines(),
            }
        ),
        *lacks_at_the_broker("deploy/activemq/broker.xml", entry),
    ]


def lacks_at_amazon_mq(entry: ServiceEntry) -> list[str]:
    return list(lacks_at_the_broker("deploy/activemq/amazon-mq.xml", entry))


def lacks_at_rabbitmq(entry: ServiceEntry) -> Iterator[str]:
    """A service makes, reads and writes what is called like its subscriptions, reads their channels and writes its own."""
    given = {each["user"]: each for each in json.loads(read("deploy/rabbitmq/definitions.json"))["permissions"]}.get(entry.name)
    if given is None:
        yield "its user and rights"
        return

    def may(right: str, name: str) -> bool:
        return re.search(given[right], name) is not None

    for subscription in entry.subscriptions:
        for name in (rabbitmq.subscription_exchange(subscription), rabbitmq.parking_queue(subscription)):
            yield from (f"{right} {name}" for right in ("configure", "read", "write") if not may(right, name))
        if not may("read", subscription.channel.name):
            yield f"read {subscription.channel}"
    probe = rabbitmq.probe_queue(entry.name, "0")
    yield from (f"{right} {probe}" for right in ("configure", "read", "write") if not may(right, probe))
    published = {channel.name for channel in channels.ALL if may("write", channel.name)}
    if published != {channel.name for channel in entry.publishes}:
        yield f"it may publish to {', '.join(sorted(published))}"


def lacks_in_prometheus(entry: ServiceEntry) -> list[str]:
    jobs = {each["job_name"]: each for each in load("deploy/prometheus/prometheus.yml")["scrape_configs"]}
    found = jobs.get(entry.name, {}).get("dns_sd_configs", [{}])[0]
    (ecs,) = [each for each in load("deploy/prometheus/prometheus.ecs.yml")["scrape_configs"] if "aws_sd_configs" in each]
    by_service = [rule["regex"] for rule in ecs["relabel_configs"] if rule["source_labels"] == ["__meta_ecs_service"]]
    rules = [rule for group in load("deploy/prometheus/rules/alerts.yml")["groups"] for rule in group["rules"]]
    of_any_job = {rule["alert"]: rule["expr"] for rule in rules if "job=~" in rule["expr"]}
    named = {alert: re.findall(r'job=~"([^"]*)"', expr) for alert, expr in of_any_job.items()}
    return absent(
        {
            "a job in prometheus.yml": (found.get("names"), found.get("port")) == ([entry.name], entry.pages_port),
            "prometheus.ecs.yml": all(re.fullmatch(each, f"prod-{entry}") for each in by_service),
            'absent(up{job="..."}) in alerts.yml': f'absent(up{{job="{entry}"}})' in of_any_job["ReefmeshServiceAbsent"],
            **{alert: all(re.fullmatch(each, entry.name) for each in jobs) for alert, jobs in named.items()},
        }
    )


def lacks_in_asyncapi(entry: ServiceEntry) -> list[str]:
    operations = load("docs/asyncapi.yaml")["operations"]
    wanted = [f"{entry}-receive-{channel}".replace(".", "-") for channel in entry.consumes]
    wanted += [f"{entry}-send-{channel}".replace(".", "-") for channel in entry.publishes if channel.numbered]
    return [operation for operation in wanted if operation not in operations]


PLACES: dict[str, Callable[[ServiceEntry], list[str]]] = {
    "its package": lacks_in_its_package,
    "the workspace": lacks_in_the_workspace,
    "its image": lacks_in_its_image,
    "compose": lacks_in_compose,
    "a broker of one's own": lacks_at_a_broker_of_ones_own,
    "Amazon MQ": lacks_at_amazon_mq,
    "RabbitMQ": lambda entry: list(lacks_at_rabbitmq(entry)),
    "Prometheus": lacks_in_prometheus,
    "AsyncAPI": lacks_in_asyncapi,
}


@pytest.mark.parametrize("entry", EVERY_SERVICE, ids=str)
@pytest.mark.parametrize("place", PLACES)
def test_service_of_the_list_is_in_every_place(place: str, entry: ServiceEntry) -> None:
    assert [] == PLACES[place](entry)


@pytest.mark.parametrize("place", PLACES)
def test_service_that_nobody_deployed_is_found_lacking_in_every_place(place: str) -> None:
    """The check above can fail."""
    assert PLACES[place](UNDEPLOYED)


def test_inner_channel_is_written_by_the_service_that_owns_it_and_by_operators_alone() -> None:
    """Nobody speaks for another: a numbered channel has one publisher, and the broker holds everybody else off it."""
    for channel in (each for each in channels.ALL if each.numbered):
        (owner,) = [entry for entry in EVERY_SERVICE if channel in entry.publishes]
        for file in ("deploy/activemq/broker.xml", "deploy/activemq/amazon-mq.xml"):
            assert {owner.name} == rights(file)[channel_topic(channel.name).removeprefix("/topic/")]["write"]


def test_no_two_services_share_a_name_or_a_package() -> None:
    assert len({each.name for each in EVERY_SERVICE}) == len({each.package for each in EVERY_SERVICE}) == len(EVERY_SERVICE)
