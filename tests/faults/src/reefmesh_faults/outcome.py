"""What the databases hold in the end, and what an undisturbed mesh makes of the same telemetry: the two are compared."""

import asyncio
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from reefmesh.broker.port import Publication
from reefmesh.contracts import services
from reefmesh.contracts.channels import TELEMETRY
from reefmesh.store.port import Store
from reefmesh_faults.fleet import Fleet, Telemetry
from reefmesh_faults.handled import Handled
from reefmesh_faults.history import Outcome, StateKey
from reefmesh_faults.recorder import RECORDED, Recorder, digest_of, plain_alert
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import Mesh, Stores

AT_ONCE: Final = 200
_MANY: Final = frozenset({"readings", "receipts", "samples", "days"})
WATCH_TELLS_OF_THE_RUN: Final = ("heard_us", "looked_for_us")
"""Of alerts' state: when the last score was made, by the clock of whoever made it."""


async def read_state(stores: Stores) -> dict[StateKey, str]:
    """Return every row that depends on the messages and their order alone: a digest of it where there are many."""
    state: dict[StateKey, str] = {}
    for service, table, sql, text in _TABLES:
        store: Store = stores[services.service_named(service)]
        for key, *values in await store.fetch(sql):
            row = text(values)
            state[service, table, key] = digest_of(row.encode()) if table in _MANY else row
    return state


async def read_stored(stores: Stores) -> frozenset[tuple[str, int]]:
    """Return the readings on record: (buoy, UTC microseconds)."""
    rows = await stores[services.INGEST].fetch("SELECT buoy_id, observed_us FROM readings WHERE withdrawn = 0")
    return frozenset((buoy_id, int(observed_us)) for buoy_id, observed_us in rows)


async def undisturbed(fleet: Fleet, telemetry: Sequence[Telemetry], lost: Set[tuple[str, str]] = frozenset()) -> Outcome:
    """Run the same handlers in one process on an embedded broker and SQLite, where nothing is disturbed. ``lost``: (service,
    event id) of messages that the services are not to handle, because they were purged."""
    with tempfile.TemporaryDirectory(prefix="reefmesh-undisturbed-") as folder:
        handled = Handled(lost)
        async with handled.open_mesh(Home(path=Path(folder))) as mesh:
            await Register(mesh.stores[services.INGEST]).upsert(reefs=fleet.reef_entries(), buoys=fleet.buoy_entries())
            await mesh.broker.declare(RECORDED)
            await _work_off(mesh, telemetry)
            recorder = Recorder(mesh.broker)
            await recorder.start()
            await recorder.until_heard_all()
            await recorder.stop()
            channels: dict[str, dict[str, list[tuple[int, str, str]]]] = defaultdict(lambda: defaultdict(list))
            for each in recorder.heard:
                channels[each.channel][each.reef_id].append((each.seq or 0, each.event_id, each.digest))
            state = await read_state(mesh.stores)
        return Outcome(channels=channels, state={key: row for key, row in state.items() if handled.is_state(key)})


async def _work_off(mesh: Mesh, telemetry: Sequence[Telemetry]) -> None:
    stop, ended = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(mesh.run(stop))
    running.add_done_callback(lambda _: ended.set())
    now = datetime.now(UTC)
    for start in range(0, len(telemetry), AT_ONCE):
        some = telemetry[start : start + AT_ONCE]
        await mesh.broker.publish([Publication(channel=TELEMETRY.name, message=each.envelope(now)) for each in some])
    await mesh.until_idle(stop=stop, ended=ended)
    stop.set()
    await running


def _row(values: Iterable[Any]) -> str:
    return json.dumps([value.decode() if isinstance(value, bytes) else value for value in values], default=str)


def _alert(values: Sequence[Any]) -> str:
    return plain_alert(json.loads(values[0])).decode()


def _state(values: Sequence[Any]) -> str:
    """A state's JSON; the order of names in it says nothing."""
    return json.dumps(json.loads(values[0]), sort_keys=True)


def _watch(values: Sequence[Any]) -> str:
    watch: Mapping[str, Any] = json.loads(values[0])
    return json.dumps({name: watch[name] for name in watch if name not in WATCH_TELLS_OF_THE_RUN}, sort_keys=True)


_TABLES: Final[Sequence[tuple[str, str, str, Callable[[Sequence[Any]], str]]]] = (
    (
        "ingest",
        "readings",
        "SELECT buoy_id || '@' || observed_us, reef_id, received_us, revision, withdrawn, origin, body_json FROM readings",
        _row,
    ),
    (
        "ingest",
        "receipts",
        "SELECT event_id, origin, counted, reef_id, device, buoy_id, received_us, payload_bytes, outcome, reason,"
        " readings_received, readings_new, readings_merged, readings_duplicate, readings_quarantined, channels_quarantined"
        " FROM receipts",
        _row,
    ),
    ("ingest", "quarantine", "SELECT quarantine_id, origin, scope, reason, readings, reef_id, status FROM quarantine", _row),
    (
        "scoring",
        "samples",
        "SELECT reef_id || ' ' || buoy_id || '@' || observed_us, revision, items_json FROM samples",
        _row,
    ),
    (
        "scoring",
        "days",
        "SELECT reef_id || ' ' || day, source, readings, sst_e4, hotspot_e4, dhw_e4_days, level, level_7day_max,"
        " coverage_days, status FROM days",
        _row,
    ),
    ("scoring", "scores", "SELECT reef_id, as_of_us, readings, revisions, ignored, body FROM scores", _row),
    ("scoring", "reef", "SELECT reef_id, state FROM mesh_reef", _state),
    ("alerts", "alerts", "SELECT alert_id, body_json FROM alerts", _alert),
    (
        "alerts",
        "episodes",
        "SELECT reef_id || ' ' || kind || ' ' || subject, state, severity, standing, since_us, changed_us, alert_id"
        " FROM episodes",
        _row,
    ),
    ("alerts", "reef", "SELECT reef_id, state FROM mesh_reef", _watch),
)
