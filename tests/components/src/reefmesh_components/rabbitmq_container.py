"""RabbitMQ in a container, with the configuration that reefmesh ships."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from reefmesh_components.activemq_process import password_of
from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.rabbitmq_process import STARTED, RabbitmqPorts, write_configuration

IMAGE: Final = "rabbitmq:3.13"
"""Of the line that Amazon MQ runs, beside 4.2."""
INSIDE: Final = RabbitmqPorts(amqp=5672, amqps=5671, mqtt=1883, mqtts=8883, prometheus=15692, epmd=4369, node=25672)
CONF: Final = Path("/reefmesh")


@contextmanager
def rabbitmq_container() -> Iterator[tuple[str, str]]:
    """Yield the operator's address, plain and over TLS."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    with tempfile.TemporaryDirectory(prefix="reefmesh-rabbitmq-") as folder:
        conf = Path(folder)
        conf.chmod(0o755)  # the container's user is another
        certificate = make_server_certificate(conf)
        write_configuration(
            conf,
            ports=INSIDE,
            bind="0.0.0.0",  # noqa: S104 - inside the container
            certificates=CONF,
            definitions=CONF / "definitions.json",
        )
        for file in (certificate.key_file, conf / "definitions.json"):
            file.chmod(0o644)
        container = (
            DockerContainer(IMAGE)
            .with_volume_mapping(str(conf), str(CONF), "ro")
            .with_env("RABBITMQ_CONFIG_FILE", str(CONF / "rabbitmq.conf"))
            .with_env("RABBITMQ_CONFIG_FILES", str(CONF / "conf.d"))
            .with_env("RABBITMQ_ENABLED_PLUGINS_FILE", str(CONF / "enabled_plugins"))
            .with_exposed_ports(INSIDE.amqp, INSIDE.amqps)
            .waiting_for(LogMessageWaitStrategy(STARTED))
        )
        with container:
            user = f"operator:{quote(password_of('operator'), safe='')}@{container.get_container_host_ip()}"
            plain, tls = container.get_exposed_port(INSIDE.amqp), container.get_exposed_port(INSIDE.amqps)
            yield (
                f"amqp://{user}:{plain}",
                f"amqps://{user}:{tls}?ca={quote(str(certificate.ca_file))}&server_name=localhost",
            )
