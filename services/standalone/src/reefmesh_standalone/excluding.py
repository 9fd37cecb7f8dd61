"""Sends an operator's request to exclude or to include values of a buoy, and follows it until ingest has done it."""

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels, services
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.exclusion import ExclusionRequest
from reefmesh.contracts.schema import EXCLUSION_1
from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store
from reefmesh_ingest.exclusions.table import RequestState, request_state
from reefmesh_standalone.following import Follower
from reefmesh_standalone.session import MeshSession

LOOK_EVERY_SECONDS: Final = 0.1


async def send_request(session: MeshSession, request: ExclusionRequest, *, reef_id: str) -> str:
    """Publish a request in the order of its reef's telemetry; return its id. Raises TransientError: it may not be out."""
    message = Envelope(
        event_id=str(uuid4()),
        reef_id=reef_id,
        schema_id=EXCLUSION_1,
        produced_at=SystemClock().now(),
        body=request.model_dump_json(exclude_none=True).encode(),
    )
    await session.broker.publish([Publication(channel=channels.TELEMETRY.name, message=message)])
    return message.event_id


async def until_applied(
    session: MeshSession,
    request_id: str,
    *,
    report: Callable[[int], None],
    stop: asyncio.Event,
    patience_seconds: float,
) -> RequestState | None:
    """Wait until ingest has gone through the whole period; ``report`` is called with the readings looked at so far. None: the
    command was stopped, or the mesh in this process ended.

    Raises:
        ConfigurationError: ingest refused the request.
        TransientError: for ``patience_seconds`` ingest did nothing for it.
    """
    store: Store = session.stores[services.INGEST]
    loop = asyncio.get_running_loop()
    state: RequestState | None = None
    moved_at_seconds = loop.time()
    while not stop.is_set() and not session.ended.is_set():
        now = await request_state(store, request_id)
        if now is not None and now != state:
            state, moved_at_seconds = now, loop.time()
            report(state.readings_looked_at)
            if state.outcome == "refused":
                raise ConfigurationError(f"refused: {state.detail}")
            if state.outcome == "done":
                return state
        if loop.time() - moved_at_seconds > patience_seconds:
            raise TransientError(_why_not(state, patience_seconds))
        await is_set_within(stop, LOOK_EVERY_SECONDS)
    return None


async def until_scored(session: MeshSession, reef_id: str, *, stop: asyncio.Event, patience_seconds: float) -> bool:
    """Wait until scoring and alerts have taken the reef's revised readings; False: not within that time, or stopped."""
    follower = Follower(session.stores, (), reefs=[reef_id])
    loop = asyncio.get_running_loop()
    until_seconds = loop.time() + patience_seconds
    while not stop.is_set() and not session.ended.is_set():
        if await follower.look():
            return True
        if loop.time() > until_seconds:
            return False
        await is_set_within(stop, LOOK_EVERY_SECONDS)
    return False


def _why_not(state: RequestState | None, patience_seconds: float) -> str:
    if state is not None:
        done = f"ingest has looked at {state.readings_looked_at:,} readings and then did nothing for {patience_seconds:g} s"
        return f"{done}; the rest follows by itself as soon as ingest runs"
    return (
        f"ingest has not taken the request within {patience_seconds:g} s: it does not run, or works off what came before, or"
        " the broker's user is not the operator's (then it is parked as forged). The request is safe in the broker;"
        " 'reefmesh exclude --list' shows when it is in force"
    )
