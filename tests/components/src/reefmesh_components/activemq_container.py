"""ActiveMQ Classic in a container, with the broker.xml that reefmesh ships."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from reefmesh_components.activemq_process import BROKER_XML, Ports, password_of, write_configuration
from reefmesh_components.certificates import make_server_certificate

IMAGE: Final = "apache/activemq-classic:5.18.3"
INSIDE: Final = Ports(stomp=61613, stomp_tls=61614, mqtt=1883, mqtt_tls=8883)
CONF: Final = "/reefmesh"


@contextmanager
def activemq_container() -> Iterator[tuple[str, str]]:
    """Yield the operator's address, plain and over TLS."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    with tempfile.TemporaryDirectory(prefix="reefmesh-activemq-") as folder:
        conf = Path(folder)
        certificate = make_server_certificate(conf)
        certificate.keystore.chmod(0o644)  # the container's user is another
        write_configuration(
            conf,
            ports=INSIDE,
            bind="0.0.0.0",  # noqa: S104 - inside the container
            data="/tmp/reefmesh",  # noqa: S108 - inside the container
            keystore=f"{CONF}/{certificate.keystore.name}",
            keystore_password=certificate.password,
        )
        (conf / "reefmesh.properties").chmod(0o644)
        container = (
            DockerContainer(IMAGE)
            .with_volume_mapping(str(conf), CONF, "ro")
            .with_env("ACTIVEMQ_OPTS", f"-Dactivemq.conf={CONF}")
            .with_command(f"bin/activemq console xbean:file:{CONF}/{BROKER_XML.name}")
            .with_exposed_ports(INSIDE.stomp, INSIDE.stomp_tls)
            .waiting_for(LogMessageWaitStrategy("Connector mqtt+ssl started"))
        )
        with container:
            host = container.get_container_host_ip()
            user = f"operator:{quote(password_of('operator'), safe='')}@{host}"
            plain, tls = container.get_exposed_port(INSIDE.stomp), container.get_exposed_port(INSIDE.stomp_tls)
            yield (
                f"stomp://{user}:{plain}",
                f"stomp+ssl://{user}:{tls}?ca={quote(str(certificate.ca_file))}&server_name=localhost",
            )
