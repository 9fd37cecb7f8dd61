"""A mesh in one process whose services pass some messages over, as if these had never come to them."""

from collections.abc import AsyncIterator, Callable, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from reefmesh.broker.connect import open_broker
from reefmesh.clock import SystemClock
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.services import SERVICES, subscriptions_of
from reefmesh.service.assembly import Blueprint, Parts, assemble
from reefmesh.service.handler import Change, Handler
from reefmesh.service.program import load_program
from reefmesh_faults.history import StateKey
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import ONE_VERSION, Mesh, addresses


class Handled:
    """``lost``: (service, event id) of what is passed over. Remembers which reefs each service had a message of."""

    def __init__(self, lost: Set[tuple[str, str]]) -> None:
        self.lost = lost
        self.reefs: set[tuple[str, str]] = set()

    def is_state(self, key: StateKey) -> bool:
        """Return whether a row would be there without the messages that were passed over: the row of a reef is not when its
        service handled nothing of it."""
        service, table, row = key
        return table != "reef" or (service, row) in self.reefs

    @asynccontextmanager
    async def open_mesh(self, home: Home) -> AsyncIterator[Mesh]:
        """As ``reefmesh_standalone.mesh.open_mesh`` does."""
        clock = SystemClock()
        broker = open_broker(home.broker_address(), clock=clock)
        home.create()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(broker.close)
            await broker.connect()
            await broker.declare(subscriptions_of(SERVICES))
            assembled = {}
            for entry in SERVICES:
                program = load_program(entry)
                overrides = {**addresses(home, entry), **ONE_VERSION.get(entry, {})}
                settings = program.settings.load(overrides=overrides, services=SERVICES)
                blueprint = self._passing_over(program.blueprint(settings))
                assembled[entry] = await stack.enter_async_context(
                    assemble(blueprint, settings, broker=broker, clock=clock, roles=[each.name for each in SERVICES])
                )
            yield Mesh(broker=broker, services=assembled)

    def _passing_over(self, blueprint: Blueprint) -> Blueprint:
        def with_it(make_handler: Callable[[Parts], Handler[Any]]) -> Callable[[Parts], Handler[Any]]:
            return lambda parts: _PassingOver(make_handler(parts), blueprint.name, self)

        handlers = {subscription: with_it(make) for subscription, make in blueprint.handlers.items()}
        return replace(blueprint, handlers=handlers)


class _PassingOver:
    """A service's handler, for which some messages change nothing."""

    def __init__(self, handler: Handler[Any], service: str, handled: Handled) -> None:
        self._handler = handler
        self._service = service
        self._handled = handled

    async def load(self, reef_id: str, state: bytes | None) -> Any:
        return await self._handler.load(reef_id, state)

    def dump(self, state: Any) -> bytes:
        return self._handler.dump(state)

    async def handle(self, message: Envelope, state: Any) -> Change[Any]:
        if (self._service, message.event_id) in self._handled.lost:
            return Change(state=state)
        self._handled.reefs.add((self._service, message.reef_id))
        return await self._handler.handle(message, state)
