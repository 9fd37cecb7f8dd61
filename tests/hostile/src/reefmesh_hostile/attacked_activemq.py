"""ActiveMQ with the shipped broker.xml, as a stage attacks it."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from reefmesh_components.activemq_distribution import DistributionMissing, distribution
from reefmesh_components.activemq_process import BROKER_XML, ActivemqProcess, password_of
from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.requirement import ComponentMissing
from reefmesh_hostile.attacked_broker import Engine, Held, Waiting
from reefmesh_hostile.attacker import DEVICE, Attacker
from reefmesh_hostile.reefs import ATTACKER_DEVICE, VICTIM_DEVICE
from reefmesh_hostile.stomp_wire import StompFrame

HEAP: Final = "256m"
STORE_LIMIT: Final = "256 mb"
"""More than any act sends at once: what waits is in the store too, whatever becomes of it."""
BROKER_PARAMETERS: Final = "heartbeat_ms=3000&connect_timeout_ms=6000&confirm_timeout_ms=9000"
DEVICE_USERS: Final = (ATTACKER_DEVICE, VICTIM_DEVICE)
QUIET_SECONDS: Final = 0.4
STORE_BYTES_LEFT_LIMIT: Final = 70 * 1024 * 1024
"""Two journal files; above that a store is emptied faster by throwing it away."""
STORE_GROWTH_BYTES_LIMIT: Final = 72 * 1024 * 1024
"""One journal file of 32 MB may be begun, and the last ones not yet be given back."""
QUEUES: Final = {
    "ingest": "Consumer.ingest.VirtualTopic.reef.telemetry",
    "scoring": "Consumer.scoring.VirtualTopic.reef.readings",
    "alerts": "Consumer.alerts.VirtualTopic.reef.scores",
}
PARKINGS: Final = {service: f"Parking.{queue.removeprefix('Consumer.')}" for service, queue in QUEUES.items()}
DEVICE_QUEUE: Final = "reef.telemetry.mqtt"
DEAD: Final = tuple(f"DLQ.{queue}" for queue in (DEVICE_QUEUE, *QUEUES.values()))


class AttackedActivemq:
    """Started when it is made.

    Raises:
        ComponentMissing: there is no ActiveMQ here.
    """

    engine: Engine = "activemq"
    store_growth_bytes_limit = STORE_GROWTH_BYTES_LIMIT

    def __init__(self, folder: Path, *, heap: str = HEAP, store_limit: str = STORE_LIMIT) -> None:
        try:
            found = distribution()
        except DistributionMissing as missing:
            raise ComponentMissing("activemq", why=str(missing), command="install Java 17 and Maven") from missing
        place = folder / "broker"
        place.mkdir()
        certificate = make_server_certificate(place)
        self.process = ActivemqProcess(
            distribution=found, folder=place, certificate=certificate, heap=heap, store_limit=store_limit
        )
        _add_device_users(place / "conf" / BROKER_XML.name)
        self.process.start()

    def url(self, user: str) -> str:
        return self.process.url(user, parameters=BROKER_PARAMETERS)

    def attacker(self, user: str) -> Attacker:
        return Attacker(ports=self.process.ports, user=user)

    def device(self, imei: str) -> Attacker:
        return self.attacker(DEVICE)

    def command(self, imei: str, body: bytes) -> None:
        self._operator().send(f"/topic/buoys.{imei}.c2d.cmd", [("persistent", "false")], body)

    def purge(self) -> bool:
        with self._operator().stomp() as connection:
            # By name: a consumer of Consumer.> would leave a queue of that name, which no service may read.
            for queue in (DEVICE_QUEUE, *QUEUES.values(), *PARKINGS.values(), *DEAD):
                connection.subscribe(f"/queue/{queue}", (("ack", "auto"), ("activemq.prefetchSize", "100")))
            while connection.next_frame(QUIET_SECONDS) is not None:
                continue
        return not self.waiting().messages

    def forget(self) -> None:
        self.process.kill()
        shutil.rmtree(self.process.folder / "data", ignore_errors=True)
        self.process.start()

    def queued(self, queue: str) -> list[StompFrame]:
        """Return what waits in a queue or is in somebody's hands, as the broker shows it to an operator; nothing is taken."""
        frames = []
        with self._operator().stomp() as connection:
            headers = (("ack", "auto"), ("browser", "true"), ("activemq.prefetchSize", "1000"))
            connection.subscribe(f"/queue/{queue}", headers)
            while (frame := connection.next_frame()) is not None and frame.headers.get("browser") != "end":
                frames.append(frame)
        return frames

    def parked(self, service: str) -> Sequence[Held]:
        return [_held(frame) for frame in self.queued(PARKINGS[service])]

    def waiting(self) -> Waiting:
        return Waiting(messages=[_held(frame) for queue in (DEVICE_QUEUE, *QUEUES.values()) for frame in self.queued(queue)])

    def store_bytes(self) -> int:
        return sum(file.stat().st_size for file in (self.process.folder / "data").rglob("*.log"))

    def is_nearly_full(self) -> bool:
        return self.store_bytes() > STORE_BYTES_LEFT_LIMIT

    def close(self) -> None:
        self.process.kill()

    def _operator(self) -> Attacker:
        return self.attacker("operator")


def _held(frame: StompFrame) -> Held:
    return Held(event_id=frame.headers.get("event-id", ""), body=frame.body)


def _add_device_users(file: Path) -> None:
    """Give some devices users of their own, with the rights of ``buoy``, which all others share."""
    shared = '<authenticationUser username="buoy"'
    lines = "\n          ".join(
        f'<authenticationUser username="{user}" password="{password_of(user)}" groups="buoys"/>' for user in DEVICE_USERS
    )
    text = file.read_text(encoding="utf-8")
    if shared not in text:
        raise RuntimeError(f"{BROKER_XML.name} has no user buoy any more, beside whom devices of their own could stand")
    file.write_text(text.replace(shared, f"{lines}\n          {shared}", 1), encoding="utf-8")
