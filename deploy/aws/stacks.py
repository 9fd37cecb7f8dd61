"""Brings the stacks of the mesh up and takes them down, with the AWS command line and one parameter file.

deploy/aws/up mesh.toml                  create or change what has to be
deploy/aws/up mesh.toml --data-only      network and data alone, before the database has its roles
deploy/aws/up mesh.toml --change-sets    only write the change sets, for somebody to read and execute
deploy/aws/down mesh.toml                take down the services and the cluster; data and network stay (README)
"""

import argparse
import base64
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent
BROKER_XML: Final = FOLDER.parent / "activemq" / "amazon-mq.xml"
XML_MARK: Final = "@amazon-mq.xml@"
TEMPLATE_BYTES_LIMIT: Final = 51_200
"""What CloudFormation takes as a template that is not in S3 (its page of quotas)."""

Run = Callable[[Sequence[str]], str]


class Refused(Exception):
    """One line that says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service; ``queue`` is its subscription's at the broker, ``spot`` whether tasks after the first two may be Spot."""

    name: str
    queue: str
    spot: bool = False
    subscriptions: bool = False

    @property
    def parking(self) -> str:
        return self.queue.replace("Consumer.", "Parking.", 1)


SERVICES: Final = (
    Service(name="ingest", queue="Consumer.ingest.VirtualTopic.reef.telemetry"),
    Service(name="alerts", queue="Consumer.alerts.VirtualTopic.reef.scores", subscriptions=True),
    Service(name="scoring", queue="Consumer.scoring.VirtualTopic.reef.readings", spot=True),
)
"""In the order of their start: scoring after alerts, which reads what it writes. A new service is one entry."""


def template(name: str) -> str:
    """Return a stack's template; Refused when CloudFormation would not take it."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    text = text.replace(XML_MARK, base64.b64encode(BROKER_XML.read_bytes()).decode())
    if len(text.encode()) > TEMPLATE_BYTES_LIMIT:
        raise Refused(f"{name}.yaml has more than {TEMPLATE_BYTES_LIMIT} bytes: make it smaller")
    return text


def read_parameters(path: Path) -> dict[str, Any]:
    """Return the parameter file's content. Raises Refused: one line that names what is missing."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(f"cannot read {path}: {error}") from None
    for key in ("mesh", "region"):
        if not isinstance(given.get(key), str):
            raise Refused(f'{path} has no {key}: write {key} = "..."')
    for service in SERVICES:
        for key in ("Image", "ImageRepositoryArn"):
            if key not in given.get(service.name, {}):
                raise Refused(f'{path} has no {key} under [{service.name}]: write {key} = "..."')
    return given


def aws(command: Sequence[str]) -> str:
    """Run the AWS command line. Raises Refused with the last line that it wrote."""
    try:
        done = subprocess.run(["aws", *command], check=False, capture_output=True, text=True)  # noqa: S603, S607 - the user's own
    except FileNotFoundError:
        raise Refused("the AWS command line is not installed: there is no program aws") from None
    if done.returncode:
        raise Refused((done.stderr.strip().splitlines() or ["aws failed without a word"])[-1])
    return done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """The stacks of one mesh, called ``<mesh>-<stack>``; ``run`` is the AWS command line."""

    given: dict[str, Any]
    run: Run = aws

    def stack(self, name: str) -> str:
        return f"{self.given['mesh']}-{name}"

    def _call(self, *command: str) -> str:
        return self.run(["cloudformation", *command, "--region", self.given["region"]])

    def outputs(self, name: str) -> dict[str, str]:
        answer = json.loads(self._call("describe-stacks", "--stack-name", self.stack(name), "--output", "json"))
        found = {each["OutputKey"]: each["OutputValue"] for each in answer["Stacks"][0].get("Outputs", [])}
        if not found:
            raise Refused(f"{self.stack(name)} does not stand yet: execute its change set, then run up again")
        return found

    def deploy(self, name: str, template_name: str, parameters: dict[str, Any], *, change_sets: bool) -> None:
        rendered = FOLDER / f".{name}.rendered.yaml"
        rendered.write_text(template(template_name), encoding="utf-8")
        try:
            self._call(
                "deploy",
                *("--stack-name", self.stack(name), "--template-file", str(rendered)),
                *("--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"),
                *(["--no-execute-changeset"] if change_sets else []),
                *(["--parameter-overrides", *(f"{key}={value}" for key, value in parameters.items())] if parameters else []),
            )
        finally:
            rendered.unlink(missing_ok=True)

    def up(self, *, change_sets: bool = False, data_only: bool = False) -> None:
        """Deploy every stack in the order of what it needs. May be run again; what is unchanged stays."""
        mesh = {"Mesh": self.given["mesh"]}
        self.deploy("network", "network", self.given.get("network", {}), change_sets=change_sets)
        network = self.outputs("network")
        self.deploy("data", "data", {**mesh, **network, **self.given.get("data", {})}, change_sets=change_sets)
        if data_only:
            return
        self.deploy("cluster", "cluster", mesh, change_sets=change_sets)
        data, cluster = self.outputs("data"), self.outputs("cluster")
        for service in SERVICES:
            places = {key: network[key] for key in ("SubnetA", "SubnetB", "TasksGroup")}
            own = {
                **mesh,
                **cluster,
                **places,
                "Service": service.name,
                "BrokerUrl": data["BrokerUrl"],
                "DatabaseHost": data["DatabaseHost"],
                "BrokerSecret": data[f"Broker{service.name.capitalize()}"],
                "StoreSecret": data[f"Store{service.name.capitalize()}"],
                "Queue": service.queue,
                "ParkingQueue": service.parking,
                "SpotWeight": 1 if service.spot else 0,
                **({"SubscriptionsFile": "/etc/reefmesh/subscriptions.toml"} if service.subscriptions else {}),
                **self.given[service.name],
            }
            if not service.spot and str(own["SpotWeight"]) != "0":
                raise Refused(f"{service.name} may not run on Spot: take SpotWeight out of [{service.name}]")
            self.deploy(service.name, "service", own, change_sets=change_sets)

    def down(self) -> None:
        """Delete the services, then the cluster. Broker, database, secrets and the network they stand in stay."""
        for name in (*(each.name for each in reversed(SERVICES)), "cluster"):
            self._call("delete-stack", "--stack-name", self.stack(name))
            self._call("wait", "stack-delete-complete", "--stack-name", self.stack(name))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("act", choices=["up", "down"])
    parser.add_argument("parameters", type=Path, help="the parameter file (mesh.example.toml)")
    parser.add_argument("--change-sets", action="store_true", help="up: write change sets and execute none")
    parser.add_argument("--data-only", action="store_true", help="up: network and data, no services")
    options = parser.parse_args(arguments)
    try:
        mesh = Mesh(given=read_parameters(options.parameters))
        if options.act == "up":
            mesh.up(change_sets=options.change_sets, data_only=options.data_only)
        else:
            mesh.down()
    except Refused as refused:
        print(f"reefmesh: {refused}", file=sys.stderr)  # noqa: T201 - a command: its one line is what it says
        return 78
    except KeyboardInterrupt:
        print("reefmesh: stopped; CloudFormation ends what it has begun, run the same command again", file=sys.stderr)  # noqa: T201
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
