"""The rules for what runs on AWS, each held to the templates, and seen to fail on a template that breaks it."""

import base64
import copy
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import stacks
from reefmesh.broker.activemq.destinations import parking_queue, subscription_queue
from reefmesh.contracts.services import SERVICES

AWS = Path(__file__).parents[2] / "deploy" / "aws"
Templates = dict[str, Any]
NAMES = ("network", "data", "cluster", "service")
FARGATE = {"256": (512, 2048), "512": (1024, 4096), "1024": (2048, 8192), "2048": (4096, 16_384), "4096": (8192, 30_720)}
"""CPU units -> least and greatest MiB (Amazon's page of task sizes)."""


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as the long ones."""


def _short(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {suffix: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", _short)


def load() -> Templates:
    # A deep copy per template would keep YAML's aliases: through JSON every part is its own.
    return {name: json.loads(json.dumps(yaml.load(stacks.template(name), Loader))) for name in NAMES}  # noqa: S506 - a SafeLoader


def resources(templates: Templates, kind: str) -> Iterator[tuple[str, Any]]:
    for template in templates.values():
        yield from ((name, each) for name, each in template["Resources"].items() if each["Type"] == kind)


def task(templates: Templates) -> Any:
    return templates["service"]["Resources"]["Task"]["Properties"]


def container(templates: Templates) -> Any:
    return task(templates)["ContainerDefinitions"][0]


def service(templates: Templates) -> Any:
    return templates["service"]["Resources"]["Tasks"]["Properties"]


def size_is_valid(t: Templates) -> bool:
    parameters = t["service"]["Parameters"]
    least, most = FARGATE.get(parameters["Cpu"]["Default"], (1, 0))
    return least <= int(parameters["Memory"]["Default"]) <= most


def no_needless_star(t: Templates) -> bool:
    stars = [
        statement["Action"]
        for _, role in resources(t, "AWS::IAM::Role")
        for policy in role["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Resource"] == "*"
    ]
    return stars == ["ecr:GetAuthorizationToken"]


def doors(t: Templates, group: str) -> set[tuple[int, str]]:
    rules = t["data"]["Resources"][group]["Properties"]["SecurityGroupIngress"]
    return {(rule["FromPort"], rule.get("SourceSecurityGroupId", {}).get("Ref", "anybody")) for rule in rules}


def data_is_kept(t: Templates) -> bool:
    kinds = ("AWS::AmazonMQ::Broker", "AWS::RDS::DBInstance", "AWS::SecretsManager::Secret")
    found = [each for kind in kinds for _, each in resources(t, kind)]
    return len(found) == 12 and all((e.get("DeletionPolicy"), e.get("UpdateReplacePolicy")) == ("Retain",) * 2 for e in found)


def scaling(t: Templates) -> Any:
    return t["service"]["Resources"]["Scaling"]["Properties"]["TargetTrackingScalingPolicyConfiguration"]


def db(t: Templates) -> Any:
    return t["data"]["Resources"]["Database"]["Properties"]


def broker(t: Templates) -> Any:
    return t["data"]["Resources"]["Broker"]["Properties"]


Rule = Callable[[Templates], bool]
RULES: dict[str, Rule] = {
    "tasks run on Fargate": lambda t: task(t)["RequiresCompatibilities"] == ["FARGATE"] and task(t)["NetworkMode"] == "awsvpc",
    "a port is a container port alone": lambda t: container(t)["PortMappings"] == [{"ContainerPort": 8080}],
    "containers have no links": lambda t: "Links" not in container(t),
    "CPU and memory are a pair that Fargate has": size_is_valid,
    "ARM64 is the default": lambda t: (
        t["service"]["Parameters"]["Architecture"]["Default"] == "ARM64"
        and task(t)["RuntimePlatform"]["CpuArchitecture"] == {"Ref": "Architecture"}
    ),
    "a task has longer to stop than to drain": lambda t: container(t)["StopTimeout"] == 120,
    "a container has an init process": lambda t: container(t)["LinuxParameters"]["InitProcessEnabled"] is True,
    "all capabilities are dropped": lambda t: container(t)["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]},
    "the root is read-only but for one volume": lambda t: (
        container(t)["ReadonlyRootFilesystem"] is True
        and [each["ContainerPath"] for each in container(t)["MountPoints"]] == ["/var/lib/reefmesh"]
    ),
    "the user is a number": lambda t: container(t)["User"].partition(":")[0].isdigit(),
    "an image is named by its digest": lambda t: t["service"]["Parameters"]["Image"]["AllowedPattern"].endswith(
        "@sha256:[0-9a-f]{64}"
    ),
    "logs do not block": lambda t: container(t)["LogConfiguration"]["Options"]["mode"] == "non-blocking",
    "the region of the logs is the stack's": lambda t: (
        container(t)["LogConfiguration"]["Options"]["awslogs-region"] == {"Ref": "AWS::Region"}
    ),
    "health is a command": lambda t: container(t)["HealthCheck"]["Command"][0] == "CMD",
    "passwords are secrets": lambda t: (
        [each["Name"] for each in container(t)["Secrets"]] == ["REEFMESH_BROKER_PASSWORD", "REEFMESH_STORE_PASSWORD"]
        and "PASSWORD" not in json.dumps(container(t)["Environment"])
    ),
    "no right on everything": no_needless_star,
    "a service may call nothing of AWS": lambda t: (
        "Policies" not in t["service"]["Resources"]["TaskRole"]["Properties"]
        and "ManagedPolicyArns" not in t["service"]["Resources"]["TaskRole"]["Properties"]
    ),
    "the broker is for tasks": lambda t: doors(t, "BrokerGroup") == {(61614, "TasksGroup")},
    "the database is for tasks and set-up": lambda t: doors(t, "DatabaseGroup") == {(5432, "TasksGroup"), (5432, "AdminGroup")},
    "nothing is public": lambda t: (
        (db(t)["PubliclyAccessible"], broker(t)["PubliclyAccessible"]) == (False, False)
        and service(t)["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"
    ),
    "the database asks for TLS": lambda t: (
        t["data"]["Resources"]["DatabaseParameters"]["Properties"]["Parameters"] == {"rds.force_ssl": "1"}
        and "sslmode=verify-full" in json.dumps(container(t)["Environment"])
    ),
    "both brokers are asked with TLS": lambda t: (
        t["data"]["Outputs"]["BrokerUrl"]["Value"]["Sub"].startswith("stomp+ssl://")
        and t["data"]["Outputs"]["BrokerUrl"]["Value"]["Sub"].count(":61614") == 2
    ),
    "broker and database stand in two zones": lambda t: (
        db(t)["MultiAZ"] is True and broker(t)["DeploymentMode"] == "ACTIVE_STANDBY_MULTI_AZ"
    ),
    "data stays when its stack goes": data_is_kept,
    "a deployment is rolling": lambda t: (
        [service(t)["DeploymentConfiguration"][each] for each in ("MinimumHealthyPercent", "MaximumPercent")] == [100, 200]
    ),
    "a bad deployment is taken back": lambda t: (
        service(t)["DeploymentConfiguration"]["DeploymentCircuitBreaker"]["Rollback"]
        and service(t)["DeploymentConfiguration"]["Alarms"]["Rollback"]
    ),
    "zones are rebalanced": lambda t: service(t)["AvailabilityZoneRebalancing"] == "ENABLED",
    "two tasks are never Spot": lambda t: (
        service(t)["CapacityProviderStrategy"][0] == {"CapacityProvider": "FARGATE", "Base": 2, "Weight": 1}
        and t["service"]["Parameters"]["SpotWeight"]["Default"] == 0
    ),
    "scaling goes by the live broker's queue": lambda t: (
        scaling(t)["CustomizedMetricSpecification"]["Metrics"][0]["Expression"]
        == "MAX([FILL(q1,0), FILL(q2,0)]) / FILL(running,1)"
    ),
    "scaling is quick out and slow in, from two": lambda t: (
        (scaling(t)["ScaleOutCooldown"], scaling(t)["ScaleInCooldown"]) == (60, 300)
        and t["service"]["Resources"]["Scalable"]["Properties"]["MinCapacity"] == 2
    ),
}

T, C = ("service", "Resources", "Task", "Properties"), ("service", "Resources", "Task", "Properties", "ContainerDefinitions", 0)
S, R = ("service", "Resources", "Tasks", "Properties"), "Resources"
CONFIG = ("service", R, "Scaling", "Properties", "TargetTrackingScalingPolicyConfiguration")
EXECUTION = ("service", R, "ExecutionRole", "Properties", "Policies", 0, "PolicyDocument", "Statement")
BREAKAGES: list[tuple[str, tuple[str | int, ...], Any]] = [
    ("tasks run on Fargate", (*T, "RequiresCompatibilities"), ["EC2"]),
    ("tasks run on Fargate", (*T, "NetworkMode"), "bridge"),
    ("a port is a container port alone", (*C, "PortMappings", 0, "HostPort"), 80),
    ("containers have no links", (*C, "Links"), ["broker"]),
    ("CPU and memory are a pair that Fargate has", ("service", "Parameters", "Memory", "Default"), "512"),
    ("ARM64 is the default", ("service", "Parameters", "Architecture", "Default"), "X86_64"),
    ("a task has longer to stop than to drain", (*C, "StopTimeout"), 30),
    ("a container has an init process", (*C, "LinuxParameters", "InitProcessEnabled"), False),
    ("all capabilities are dropped", (*C, "LinuxParameters", "Capabilities"), {"Add": ["SYS_PTRACE"]}),
    ("the root is read-only but for one volume", (*C, "ReadonlyRootFilesystem"), False),
    ("the user is a number", (*C, "User"), "root"),
    ("an image is named by its digest", ("service", "Parameters", "Image", "AllowedPattern"), ".*"),
    ("logs do not block", (*C, "LogConfiguration", "Options", "mode"), "blocking"),
    ("the region of the logs is the stack's", (*C, "LogConfiguration", "Options", "awslogs-region"), "us-east-1"),
    ("health is a command", (*C, "HealthCheck", "Command", 0), "CMD-SHELL"),
    ("passwords are secrets", (*C, "Environment", 0, "Name"), "REEFMESH_BROKER_PASSWORD"),
    ("no right on everything", (*EXECUTION, 3, "Resource"), "*"),
    ("a service may call nothing of AWS", ("service", R, "TaskRole", "Properties", "ManagedPolicyArns"), ["arn:admin"]),
    ("the broker is for tasks", ("data", R, "BrokerGroup", "Properties", "SecurityGroupIngress", 0, "FromPort"), 1),
    (
        "the database is for tasks and set-up",
        ("data", R, "DatabaseGroup", "Properties", "SecurityGroupIngress", 0),
        {"FromPort": 5432},
    ),
    ("nothing is public", ("data", R, "Database", "Properties", "PubliclyAccessible"), True),
    ("nothing is public", ("data", R, "Broker", "Properties", "PubliclyAccessible"), True),
    ("nothing is public", (*S, "NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp"), "ENABLED"),
    ("the database asks for TLS", ("data", R, "DatabaseParameters", "Properties", "Parameters"), {}),
    ("both brokers are asked with TLS", ("data", "Outputs", "BrokerUrl", "Value", "Sub"), "stomp://${Broker}-1:61613"),
    ("broker and database stand in two zones", ("data", R, "Broker", "Properties", "DeploymentMode"), "SINGLE_INSTANCE"),
    ("data stays when its stack goes", ("data", R, "Database", "DeletionPolicy"), "Delete"),
    ("data stays when its stack goes", ("data", R, "Broker", "UpdateReplacePolicy"), "Delete"),
    ("a deployment is rolling", (*S, "DeploymentConfiguration", "MinimumHealthyPercent"), 0),
    ("a bad deployment is taken back", (*S, "DeploymentConfiguration", "Alarms", "Rollback"), False),
    ("zones are rebalanced", (*S, "AvailabilityZoneRebalancing"), "DISABLED"),
    ("two tasks are never Spot", (*S, "CapacityProviderStrategy", 0, "CapacityProvider"), "FARGATE_SPOT"),
    ("scaling goes by the live broker's queue", (*CONFIG, "CustomizedMetricSpecification", "Metrics", 0, "Expression"), "q1"),
    ("scaling is quick out and slow in, from two", (*CONFIG, "ScaleInCooldown"), 0),
]


@pytest.fixture(scope="module")
def templates() -> Templates:
    return load()


@pytest.mark.parametrize("rule", RULES)
def test_template_keeps_the_rule(rule: str, templates: Templates) -> None:
    assert RULES[rule](templates), f"broken: {rule}"


@pytest.mark.parametrize(("rule", "path", "value"), BREAKAGES)
def test_template_that_breaks_the_rule_is_found(
    rule: str, path: tuple[str | int, ...], value: Any, templates: Templates
) -> None:
    broken = copy.deepcopy(templates)
    place: Any = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not RULES[rule](broken)


def test_every_rule_is_seen_to_fail() -> None:
    assert RULES.keys() == {rule for rule, _, _ in BREAKAGES}


@pytest.mark.parametrize("name", NAMES)
def test_template_has_no_alias_which_cloudformation_does_not_read(name: str) -> None:
    assert not [token for token in yaml.scan(stacks.template(name)) if isinstance(token, yaml.AliasToken | yaml.AnchorToken)]


def test_change_sets_of_an_empty_account_stop_at_the_first_stack_that_has_to_stand(templates: Templates) -> None:
    def empty(command: Sequence[str]) -> str:
        return '{"Stacks": [{}]}' if command[1] == "describe-stacks" else ""

    with pytest.raises(stacks.Refused, match="reefmesh-network does not stand yet: execute its change set"):
        stacks.Mesh(given=stacks.read_parameters(AWS / "mesh.example.toml"), run=empty).up(change_sets=True)


def test_stacks_hold_every_service_of_the_mesh_with_its_queues() -> None:
    wanted = {
        (entry.name, *(queue.removeprefix("/queue/") for queue in (subscription_queue(each), parking_queue(each))))
        for entry in SERVICES
        for each in entry.subscriptions
    }
    assert wanted == {(each.name, each.queue, each.parking) for each in stacks.SERVICES}


def test_broker_takes_the_configuration_of_the_repository(templates: Templates) -> None:
    data = templates["data"]["Resources"]["BrokerConfiguration"]["Properties"]["Data"]
    assert stacks.BROKER_XML.read_bytes() == base64.b64decode(data)


class RecordedAws:
    """Records commands, answers ``describe-stacks`` with what each template's outputs are called."""

    def __init__(self, templates: Templates) -> None:
        self.commands: list[Sequence[str]] = []
        self._templates = templates

    def __call__(self, command: Sequence[str]) -> str:
        self.commands.append(command)
        if command[1] != "describe-stacks":
            return ""
        name = command[command.index("--stack-name") + 1].removeprefix("reefmesh-")
        outputs = [{"OutputKey": key, "OutputValue": f"{key}-of-{name}"} for key in self._templates[name]["Outputs"]]
        return json.dumps({"Stacks": [{"Outputs": outputs}]})

    def acts(self, verb: str) -> list[str]:
        return [each[each.index("--stack-name") + 1] for each in self.commands if each[1] == verb]


def test_up_gives_each_stack_parameters_that_its_template_has_and_all_that_have_no_default(templates: Templates) -> None:
    recorded = RecordedAws(templates)
    stacks.Mesh(given=stacks.read_parameters(AWS / "mesh.example.toml"), run=recorded).up()
    order = ["reefmesh-network", "reefmesh-data", "reefmesh-cluster", "reefmesh-ingest", "reefmesh-alerts", "reefmesh-scoring"]
    assert order == recorded.acts("deploy")
    for command in (each for each in recorded.commands if each[1] == "deploy"):
        name = command[command.index("--stack-name") + 1].removeprefix("reefmesh-")
        known = templates[name if name in templates else "service"]["Parameters"]
        overrides = command[command.index("--parameter-overrides") + 1 : command.index("--region")]
        given = {each.partition("=")[0] for each in overrides}
        assert {key for key, each in known.items() if "Default" not in each} <= given <= known.keys()


def test_up_of_data_alone_starts_no_service_that_would_miss_its_role(templates: Templates) -> None:
    recorded = RecordedAws(templates)
    stacks.Mesh(given=stacks.read_parameters(AWS / "mesh.example.toml"), run=recorded).up(data_only=True)
    assert ["reefmesh-network", "reefmesh-data"] == recorded.acts("deploy")


def test_down_deletes_services_before_their_cluster_and_neither_data_nor_network(templates: Templates) -> None:
    recorded = RecordedAws(templates)
    stacks.Mesh(given=stacks.read_parameters(AWS / "mesh.example.toml"), run=recorded).down()
    assert ["reefmesh-scoring", "reefmesh-alerts", "reefmesh-ingest", "reefmesh-cluster"] == recorded.acts("delete-stack")


def test_parameter_file_without_an_image_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file := tmp_path / "mesh.toml").write_text('mesh = "m"\nregion = "r"\n', encoding="utf-8")
    assert stacks.main(["up", str(file)]) == 78
    assert capsys.readouterr().err == f'reefmesh: {file} has no Image under [ingest]: write Image = "..."\n'


def test_ingest_on_spot_is_refused(templates: Templates) -> None:
    given = stacks.read_parameters(AWS / "mesh.example.toml")
    given["ingest"]["SpotWeight"] = 1
    with pytest.raises(stacks.Refused, match="ingest may not run on Spot"):
        stacks.Mesh(given=given, run=RecordedAws(templates)).up()
