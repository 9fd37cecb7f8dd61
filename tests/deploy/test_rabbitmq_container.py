"""What the containers of RabbitMQ run, on the RabbitMQ that is installed here: its start, its health check, a new device."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiormq
import pytest

from reefmesh_components import requirement
from reefmesh_components.activemq_process import password_of
from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.nemo_pi import data, nemo_pi
from reefmesh_components.ports import HOST
from reefmesh_components.rabbitmq_distribution import RabbitmqMissing, rabbitmq_distribution
from reefmesh_components.rabbitmq_process import RabbitmqPorts, RabbitmqProcess
from reefmesh_hostile.mqtt_wire import MqttConnection, MqttCut

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(240)]  # the first of them starts the broker

ROOT = Path(__file__).parents[2]
USERS = ("operator", "ingest", "scoring", "alerts", "publisher")
IMEI, LATER = "867740030000003", "867740030000099"


def password(user: str) -> str:
    return f"{user}-pass_word.1~"


class Contained(RabbitmqProcess):
    """The broker as the container runs it: by ``start.sh``, with the container's folders in this test's."""

    def _command(self) -> Path:
        return self.folder / "reefmesh" / "start.sh"

    def _environment(self) -> dict[str, str]:
        inherited = super()._environment()
        for name in ("RABBITMQ_ADVANCED_CONFIG_FILE", "RABBITMQ_LOGS", "RUNNING_UNDER_SYSTEMD"):
            del inherited[name]
        run, ports = self.folder / "run", self.ports
        return {
            **inherited,
            **{f"BROKER_PASSWORD_{user.upper()}": password(user) for user in USERS},
            "RABBITMQ_CONFIG_FILE": str(run / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(run / "conf.d"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(run / "enabled_plugins"),
            "REEFMESH_DATA": str(self.folder),
            "PATH": f"{self._distribution.server.parent}:{os.environ['PATH']}",
            "BROKER_BIND": HOST,
            "BROKER_AMQP_PORT": str(ports.amqp),
            "BROKER_AMQP_TLS_PORT": str(ports.amqps),
            "BROKER_MQTT_PORT": str(ports.mqtt),
            "BROKER_MQTT_TLS_PORT": str(ports.mqtts),
            "BROKER_PROMETHEUS_PORT": str(ports.prometheus),
        }


@pytest.fixture(scope="module")
def contained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contained]:
    try:
        found = rabbitmq_distribution()
    except RabbitmqMissing as missing:
        requirement.give_up(
            requirement.ComponentMissing("rabbitmq", why=str(missing), command="apt-get install rabbitmq-server")
        )
    folder = tmp_path_factory.mktemp("container")
    inside = folder / "reefmesh"
    shutil.copytree(ROOT / "deploy" / "docker" / "rabbitmq", inside)
    shutil.copytree(ROOT / "deploy" / "rabbitmq", inside / "rabbitmq")
    broker = Contained(
        distribution=found,
        folder=folder,
        certificate=make_server_certificate(folder),
        ports=RabbitmqPorts.free(),
        password_of=password,
    )
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


async def test_container_lets_each_user_in_and_nobody_else(contained: Contained) -> None:
    for user in USERS:
        await (await aiormq.connect(contained.url(user))).close()
    with pytest.raises(aiormq.exceptions.ProbableAuthenticationError):
        await aiormq.connect(f"amqp://guest:guest@{HOST}:{contained.ports.amqp}")


async def test_container_makes_a_certificate_that_clients_can_check(contained: Contained) -> None:
    ca = contained.folder / "tls" / "ca.pem"
    await (await aiormq.connect(f"amqps://ingest:{password('ingest')}@{HOST}:{contained.ports.amqps}?cafile={ca}")).close()


def test_container_tells_no_password(contained: Contained) -> None:
    files = [file for file in contained.folder.rglob("*") if file.is_file() and file.name != "definitions.json"]
    telling = [file for file in files if password("operator").encode() in file.read_bytes()]
    assert [] == telling
    assert 0o600 == (contained.folder / "run" / "definitions.json").stat().st_mode & 0o777


def test_health_check_is_of_the_port_for_amqp(contained: Contained) -> None:
    check = contained.folder / "reefmesh" / "check.sh"

    def code(port: int) -> int:
        environment = {**os.environ, "BROKER_AMQP_PORT": str(port)}
        return subprocess.run(["bash", check], env=environment, capture_output=True, check=False).returncode

    assert (0, True, True) == (code(contained.ports.amqp), code(contained.ports.prometheus) != 0, code(1) != 0)


def test_container_without_a_password_says_which_and_does_not_start(contained: Contained) -> None:
    environment = {**contained._environment(), "BROKER_PASSWORD_ALERTS": 'x"y'}
    start = contained.folder / "reefmesh" / "start.sh"
    ended = subprocess.run(["bash", start], env=environment, capture_output=True, text=True, check=False)
    assert (78, "reefmesh: BROKER_PASSWORD_ALERTS must be set, to letters, digits and _ . ~ - alone\n") == (
        ended.returncode,
        ended.stderr,
    )


async def test_device_is_added_while_the_broker_runs_with_the_rights_that_definitions_give(contained: Contained) -> None:
    add = ROOT / "deploy" / "rabbitmq" / "add-device"
    with pytest.raises(MqttCut):
        MqttConnection(contained.ports.mqtt, client_id=LATER, user=LATER, password=password_of(LATER))
    contained.control(LATER, given=f"{password_of(LATER)}\n", command=add)
    async with nemo_pi(contained, LATER, user=LATER) as device:
        await device.listen()
        await device.publish(data(27.0))
    with MqttConnection(contained.ports.mqtt, client_id=LATER, user=LATER, password=password_of(LATER)) as forger:
        assert not forger.publish(f"buoys/{IMEI}/d2c/telemetry", b"forged")
    for bad in (LATER, "operator", "a.b", "", "-x", "x" * 65):
        with pytest.raises(subprocess.CalledProcessError, match="exit status 78"):
            contained.control(bad, given="x\n", command=add)


def test_device_without_a_password_has_no_login_by_one(contained: Contained) -> None:
    contained.control("certified", given="", command=ROOT / "deploy" / "rabbitmq" / "add-device")
    for guess in ("", "x"):
        with pytest.raises(MqttCut):
            MqttConnection(contained.ports.mqtt, client_id="certified", user="certified", password=guess)


def test_rights_of_added_devices_are_those_of_the_definitions(contained: Contained) -> None:
    """Two programs write them: definitions.py without a broker, add-device beside one."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("definitions", ROOT / "deploy" / "rabbitmq" / "definitions.py")
    assert spec is not None
    assert spec.loader is not None
    definitions = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(definitions)
    contained.control("twin", given="x\n", command=ROOT / "deploy" / "rabbitmq" / "add-device")
    rights, topics = definitions.device_rights("twin"), definitions.device_topics("twin")
    assert ["/", rights["configure"], rights["write"], rights["read"]] == contained.control(
        "--silent", "list_user_permissions", "twin"
    ).splitlines()[-1].split("\t")
    assert ["/", topics["exchange"], topics["write"], topics["read"]] == contained.control(
        "--silent", "list_user_topic_permissions", "twin"
    ).splitlines()[-1].split("\t")
