"""The mesh on ActiveMQ: two processes of each service, and the broker's model on a simulated network."""

from collections.abc import Mapping
from random import Random
from typing import ClassVar, Final

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.activemq.isolation_watch import IsolationLimits
from reefmesh.contracts.senders import PUBLISHERS
from reefmesh_faults.simulation.broker import ModelBroker
from reefmesh_faults.simulation.laws import next_queue_name, queue_name
from reefmesh_faults.simulation.loop import Process, VirtualLoop
from reefmesh_faults.simulation.network import SimulatedNetwork
from reefmesh_faults.simulation.service import LANES, SUBSCRIPTIONS, DriftingClock, MeshProcess, serve
from reefmesh_faults.simulation.switches import Composition
from reefmesh_faults.simulation.world import World

URL: Final = "stomp://{user}:secret@192.0.2.1?confirm_timeout_ms=20000&connect_timeout_ms=5000"
SENDER: Final = "sender"
BROKER_STOPS_SECONDS: Final = 0.3
ISOLATION_LIMITS: Final = IsolationLimits(patience_seconds=0.02, hot_messages=1)
"""Short, because a message seldom takes a second of this world's time: this way some change their slot in every schedule."""


class Apart(World):
    authenticates: ClassVar[bool] = True
    faults: ClassVar[Mapping[str, int]] = {
        "kill": 8,
        "SIGTERM": 4,
        "freeze": 5,
        "cut": 4,
        "broker restart": 1,
        "broker stop": 2,
        "store refuses": 2,
        "store loses an answer": 3,
        "clock jump": 2,
        "scale out": 1,
    }
    processes: ClassVar[Mapping[str, int]] = dict.fromkeys(SUBSCRIPTIONS, 2)

    def __init__(self, loop: VirtualLoop, seed: int, composition: Composition) -> None:
        super().__init__(loop, seed, composition)
        self._url = f"{URL}&subscriptions={1 + seed % LANES}"  # the broker sends up to two messages ahead, or none
        self._broker = ModelBroker(Random(f"broker {seed}"), self._history, composition.rules)
        self._network = SimulatedNetwork(loop, Random(f"network {seed}"), self._broker.accept)
        loop.network = self._network

    def bury(self) -> None:
        self._loop.network = None
        super().bury()

    async def _prepare(self) -> None:
        for service in SUBSCRIPTIONS:
            self._broker.queue(queue_name(service))
            self._broker.queue(next_queue_name(service))
        sender = Process(SENDER)
        self._all.append(sender)
        self._loop.spawn(sender, self._send())

    async def _send(self) -> None:
        broker = ActiveMQBroker(URL.format(user=PUBLISHERS), clock=DriftingClock(self._loop), random=self._around.random)
        await self._devices.send(broker)
        await broker.close()

    async def _work(self, born: MeshProcess) -> bool:
        url = self._url.format(user=born.kind)
        broker = self._around.broker(ActiveMQBroker(url, clock=born.clock, random=self._around.random, limits=ISOLATION_LIMITS))
        await broker.connect()
        try:
            return await serve(born.kind, born, broker, self._around)
        finally:
            await broker.close()

    def _released(self, born: MeshProcess) -> None:
        for connection in self._network.of(born.process):
            connection.died()

    def _frozen(self, born: MeshProcess) -> None:
        if self._random.random() < 0.75:
            for connection in self._network.of(born.process):
                connection.cut()

    def _befall_otherwise(self, kind: str, service: str, victim: MeshProcess | None) -> None:
        random = self._random
        match kind:
            case "broker restart":
                self._note(kind, "")
                self._broker.restart()
            case "broker stop":
                self._note(kind, "")
                for connection in self._broker.begin_to_stop():
                    self._later(random.uniform(0.0, BROKER_STOPS_SECONDS), connection.drop)
                self._later(BROKER_STOPS_SECONDS, self._broker.restart)
            case "scale out":
                self._note(kind, "nobody")
                self._wanted[service] += 1
                self._start(service)
            case "cut" if random.random() < 0.3:
                self._note(kind, SENDER)
                for connection in self._network.connections:
                    if connection.process.name == SENDER and connection.is_up:
                        connection.cut()
            case "cut" if victim is not None and (connections := self._network.of(victim.process)):
                self._note(kind, victim.process.name)
                random.choice(connections).cut()

    def _unsettled_messages(self, service: str) -> int:
        return self._broker.queue(queue_name(service)).unsettled_messages
