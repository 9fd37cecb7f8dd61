"""What must hold after every act, seen from outside: processes, pages, logs, databases, and the broker's queues."""

import json
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import psutil

from reefmesh_components.service_process import ServiceProcess
from reefmesh_hostile.act import Act, Deed, Finding, Kind, Scene
from reefmesh_hostile.attacked_broker import SERVICES, Held
from reefmesh_hostile.honest import EPOCH
from reefmesh_hostile.reefs import HONEST, REGISTERED, Reef
from reefmesh_hostile.stage import Stage
from reefmesh_hostile.wire_cut import WireCut

HONEST_WITHIN_SECONDS: Final = 10.0
ACCOUNTED_WITHIN_SECONDS: Final = 30.0
"""A flood of one reef is worked off one message after the other."""
LOOK_SECONDS: Final = 0.2
PAGE_SECONDS: Final = 5.0
CLOCK_AHEAD: Final = timedelta(minutes=11)
HONEST_NUMBERS_LIMIT: Final = 100_000
"""No honest run has so many messages of one reef."""

SERVICE_BYTES_LIMIT: Final = 300 * 1024 * 1024
SERVICE_GROWTH_BYTES_LIMIT: Final = 128 * 1024 * 1024
"""Three bodies of 16 MB, the longest that the broker takes, may be in memory twice: as they came and as they are hashed."""
DATABASE_GROWTH_BYTES_LIMIT: Final = 24 * 1024 * 1024
STORE_GIVEN_BACK_WITHIN_SECONDS: Final = 30.0
"""The broker looks every 2 s for files that it can give back, and moves what keeps them after two looks in vain."""
LOG_LINES_LIMIT: Final = 2_000
SHOWN: Final = 3
OWN_ALERTS: Final = ("sensor_fault", "quantity_silent", "buoy_silent", "buoy_drift", "buoy_battery")
"""What the attacker's own device may bring about, of itself."""

_LOST: Final = '"event": "broker lost"'
_FORGED_NUMBERS: Final = "a cursor of {service} stands at {number:,} of {inbox} for reef {reef}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The mesh before an act. ``parked`` counts what lies in each service's parking; ``forged`` is what an
    earlier act has left behind."""

    taken_seconds: float
    pids: Mapping[str, int | None]
    metrics: Mapping[str, Mapping[str, float]]
    log_bytes: Mapping[str, int]
    memory_bytes: Mapping[str, int]
    database_bytes: Mapping[str, int]
    store_bytes: int
    parked: Mapping[str, int]
    forged: Sequence[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Marks of messages that are not accounted for: ``nowhere`` to be found, or still ``waiting`` in a queue."""

    nowhere: Sequence[str]
    waiting: Sequence[str]

    @property
    def both(self) -> list[str]:
        return [*self.nowhere, *self.waiting]

    def finding(self, count: int) -> Finding:
        names = ", ".join(self.both[:SHOWN])
        text = f"of {count} messages {len(self.nowhere)} are nowhere, {len(self.waiting)} still wait in a queue: {names}"
        return _finding("unaccounted", text)


class Checker:
    """Of one stage whose mesh is up. ``snapshot`` before an act, ``findings`` after it. ``is_hasty``: the first thing that is
    found is enough; else it also waits for what follows from it. ``judged``: the reefs whose honest reports must be in time."""

    def __init__(self, stage: Stage, *, is_hasty: bool = True, judged: Sequence[Reef] = HONEST) -> None:
        self._stage = stage
        self._is_hasty = is_hasty
        self._judged = judged

    def snapshot(self) -> Snapshot:
        stage = self._stage
        return Snapshot(
            taken_seconds=time.monotonic(),
            pids={process.name: process.pid for process in stage.processes},
            metrics={process.name: metrics_of(process) for process in stage.processes},
            log_bytes={process.name: process.log.stat().st_size for process in stage.processes},
            memory_bytes=self._memory(),
            database_bytes={service: stage.databases.size_bytes(service) for service in SERVICES},
            store_bytes=self._store_bytes(),
            parked={service: len(stage.parked(service)) for service in SERVICES},
            forged=tuple(self._forged()),
        )

    def findings(self, before: Snapshot, act: Act, scene: Scene, deed: Deed) -> list[Finding]:
        """Return what does not hold, most grave first; returns as soon as something is found that time does not mend.

        Otherwise it waits until a round of honest reports that were sent after the act was handled, and all that the act has
        sent is accounted for, or either has taken too long.
        """
        found = [*deed.findings, *act.holds(scene, deed)]
        if found:
            return [*self.at_once(before, deed), *found]
        deadline = time.monotonic() + ACCOUNTED_WITHIN_SECONDS
        self._until_a_round(before, deed)
        missing = Whereabouts(nowhere=deed.marks, waiting=())
        while not (grave := self.at_once(before, deed)):
            try:
                missing = self.whereabouts(before, deed.marks)
            except WireCut as cut:
                return [_finding("process-ended", f"the broker answers an operator no more: {cut}")]
            if not missing.both or time.monotonic() > deadline:
                break
            self._until_a_round(before, deed)
        found = list(grave)
        if missing.both and not grave:
            found.append(missing.finding(len(deed.marks)))
        return [
            *found,
            *act.holds(scene, deed),
            *([] if grave else self._counted(before, deed.restarted)),
            *self._bounds(before),
        ]

    def at_once(self, before: Snapshot, deed: Deed, *, deep: bool = True) -> list[Finding]:
        """Return what is wrong whatever comes later: ended processes, lost links, honest reports too late, and, when it looks
        ``deep`` into pages and databases, counters and forged effects."""
        forged = [finding for finding in self._forged() if finding not in before.forged] if deep else []
        return [
            *self._ended(before, deed.restarted),
            *self._lost(before, deed.restarted, deep=deep),
            *forged,
            *self._late(before, deed),
        ]

    def sizes_bytes(self) -> dict[str, int]:
        """Return what each process holds in memory, and how large each store is now."""
        return {
            **{f"memory of {name}": held for name, held in self._memory().items()},
            **{f"database of {service}": self._stage.databases.size_bytes(service) for service in SERVICES},
            "memory of the broker": 0 if self._stage.broker.pid is None else _rss(self._stage.broker.pid),
            "store of the broker": self._store_bytes(),
        }

    def _until_a_round(self, before: Snapshot, deed: Deed) -> None:
        def is_enough() -> bool:
            return self._is_hasty and bool(self.at_once(before, deed))

        self._stage.traffic().until_a_round_is_handled(
            HONEST_WITHIN_SECONDS, is_enough=is_enough, sent_since_seconds=_judged_since(deed)
        )

    # processes, links, pages

    def _ended(self, before: Snapshot, restarted: Sequence[str]) -> Iterator[Finding]:
        for process in self._stage.processes:
            if process.pid is None:
                code = process.wait_until_ended(0.1)
                yield _finding("process-ended", f"{process.name} ended with {code}: {process.last_words()[-300:]}")
            elif before.pids.get(process.name) not in (None, process.pid) and process.name not in restarted:
                yield _finding("process-ended", f"{process.name} was started again")
        if self._stage.broker.pid is None:
            yield _finding("process-ended", "the broker ended")

    def _lost(self, before: Snapshot, restarted: Sequence[str], *, deep: bool) -> Iterator[Finding]:
        for process in self._stage.processes:
            if process.name in restarted:
                continue
            lines = [line for line in self._new_lines(process, before) if _LOST in line]
            if lines:
                reason = json.loads(lines[0]).get("reason", "")
                yield _finding("link-lost", f"{process.name} lost its broker {len(lines)} times: {reason[:200]}")
                continue
            if not deep:
                continue
            counted = "reefmesh_broker_events_total"
            now = sum_of(metrics_of(process), counted, event="lost")
            if (times := now - sum_of(before.metrics.get(process.name, {}), counted, event="lost")) > 0:
                yield _finding("link-lost", f"{process.name} counts {times:g} lost connections")

    def _late(self, before: Snapshot, deed: Deed) -> Iterator[Finding]:
        honest = self._stage.traffic()
        for failure in honest.failures():
            raise RuntimeError(f"honest traffic stopped, by a fault of this test's own: {failure}")
        late = honest.late(HONEST_WITHIN_SECONDS, since_seconds=before.taken_seconds, sent_since_seconds=_judged_since(deed))
        now = time.monotonic()
        for reef in self._judged:
            own = [report for report in late if report.reef is reef]
            if own:
                longest = max(report.waited_seconds(now) for report in own)
                yield _finding("honest-late", f"{len(own)} honest reports of reef {reef.id} waited up to {longest:.1f} s")

    # what is forged

    def _forged(self) -> Iterator[Finding]:
        yield from self._forged_receipts()
        yield from self._forged_scores()
        yield from self._forged_alerts()
        yield from self._forged_cursors()

    def _forged_receipts(self) -> Iterator[Finding]:
        rows = self._stage.databases.rows
        superseded = rows("ingest", "SELECT COUNT(*) FROM receipts WHERE event_id LIKE 'honest/%' AND counted = 0")
        if superseded and superseded[0][0]:
            yield _finding("forged", f"{superseded[0][0]} honest receipts do not count any more")
        for reef in HONEST:
            if reef.imei:
                sent = sum(report.reef is reef for report in self._stage.traffic().reports)
                accepted = rows(
                    "ingest", "SELECT COUNT(*) FROM receipts WHERE buoy_id = ? AND outcome = 'accepted'", (reef.honest,)
                )
                if accepted and accepted[0][0] > sent:
                    yield _finding("forged", f"{accepted[0][0]} reports of {reef.honest} were used, {sent} were sent by it")
                continue
            strange = rows(
                "ingest",
                "SELECT event_id FROM receipts WHERE buoy_id = ? AND outcome = 'accepted' AND event_id NOT LIKE 'honest/%'",
                (reef.honest,),
            )
            if strange:
                yield _finding(
                    "forged", f"{len(strange)} reports of {reef.honest} were used that it did not send: {strange[0][0]}"
                )

    def _forged_scores(self) -> Iterator[Finding]:
        latest_us = (datetime.now(UTC) + CLOCK_AHEAD - EPOCH) // timedelta(microseconds=1)
        heard = {reef.id for reef in HONEST}
        for reef_id, as_of_us in self._stage.databases.rows("scoring", "SELECT reef_id, as_of_us FROM scores"):
            if reef_id not in heard:
                yield _finding("forged", f"reef {reef_id} has a score, and nobody has reported of it")
            elif as_of_us > latest_us:
                yield _finding("forged", f"the score of reef {reef_id} is as of {EPOCH + timedelta(microseconds=as_of_us)}")

    def _forged_alerts(self) -> Iterator[Finding]:
        expected = {(reef.id, "sensor_fault", reef.honest) for reef in HONEST}
        expected |= {(reef.id, kind, reef.attacker) for reef in HONEST if reef.attacker for kind in OWN_ALERTS}
        query = "SELECT reef_id, kind, subject, severity FROM alerts"
        strange = [
            row
            for row in self._stage.databases.rows("alerts", query)
            if (row[0], row[1], row[2].partition("/")[0]) not in expected
        ]
        if strange:
            reef_id, kind, _, severity = strange[0]
            yield _finding(
                "forged", f"{len(strange)} alerts without a cause, the first: {kind} of severity {severity} at {reef_id}"
            )

    def _forged_cursors(self) -> Iterator[Finding]:
        for service in ("scoring", "alerts"):
            for reef_id, text in self._stage.databases.rows(service, "SELECT reef_id, cursor_json FROM mesh_reef"):
                if reef_id not in REGISTERED:
                    yield _finding("forged", f"{service} keeps a row of {reef_id!r}, which is no reef")
                    return
                for inbox, number in json.loads(text).get("applied", {}).items():
                    if number > HONEST_NUMBERS_LIMIT:
                        words = _FORGED_NUMBERS.format(service=service, number=number, inbox=inbox, reef=reef_id)
                        yield _finding("forged", words)

    # where everything is

    def whereabouts(self, before: Snapshot, marks: Sequence[str]) -> Whereabouts:
        """Return the marks of messages that still wait, and of those that do not and are no receipt, in no quarantine and in no
        parking either. As many may be nowhere as the parkings have only counted since. Raises WireCut."""
        if not marks:
            return Whereabouts(nowhere=(), waiting=())
        waits = self._stage.waiting()
        queued = "\n".join(_searched(held) for held in waits.messages)
        places = [f"{row[0]} {row[1]}" for row in self._receipts()]
        for service in SERVICES:
            places += [_searched(held) for held in self._stage.parked(service)]
        text = "\n".join(places)
        waiting = [mark for mark in marks if mark in queued]
        nowhere = [mark for mark in marks if mark not in text and mark not in queued]
        counted = sum(self._risen(before, service, "reefmesh_parked_folded_total") for service in SERVICES)
        nowhere = nowhere[max(0, int(counted)) :]
        seen = max(0, len(nowhere) - waits.unseen)  # the last ones may be those that the broker counts and does not show
        return Whereabouts(nowhere=nowhere[:seen], waiting=[*waiting, *nowhere[seen:]])

    def _receipts(self) -> Iterable[Sequence[object]]:
        query = (
            "SELECT receipts.event_id, COALESCE(SUBSTR(quarantine_message.payload, 1, 400), '') FROM receipts LEFT JOIN"
            " quarantine_message ON quarantine_message.origin = receipts.origin WHERE receipts.event_id NOT LIKE 'honest/%'"
        )
        return self._stage.databases.rows("ingest", query)

    def _counted(self, before: Snapshot, restarted: Sequence[str]) -> Iterator[Finding]:
        """What lies in a parking more than before must have been counted as parked, by any process of the service. A process
        that was started again counts from 0, and nobody knows what the one before it had counted."""
        for service in SERVICES:
            if self._stage.process(service).name in restarted:
                continue
            lies = len(self._stage.parked(service)) - before.parked[service]
            name = "reefmesh_parked_total"
            counted = self._risen(before, service, name)
            if lies > counted:
                yield _finding("uncounted", f"{lies} messages more lie in the parking of {service}, {name} rose by {counted:g}")

    def _risen(self, before: Snapshot, service: str, name: str) -> float:
        return sum(
            sum_of(metrics_of(process), name) - sum_of(before.metrics.get(process.name, {}), name)
            for process in self._stage.processes_of(service)
        )

    # bounds

    def _bounds(self, before: Snapshot) -> Iterator[Finding]:
        for name, held in self._memory().items():
            grown = held - before.memory_bytes.get(name, held)
            if held > SERVICE_BYTES_LIMIT or grown > SERVICE_GROWTH_BYTES_LIMIT:
                yield _finding("above-bound", f"{name} holds {_mb(held)} of memory, {_mb(grown)} more than before")
        for service, size in before.database_bytes.items():
            grown = self._stage.databases.size_bytes(service) - size
            if grown > DATABASE_GROWTH_BYTES_LIMIT:
                yield _finding("above-bound", f"the database of {service} grew by {_mb(grown)}")
        deadline = time.monotonic() + STORE_GIVEN_BACK_WITHIN_SECONDS
        while (grown := self._store_bytes() - before.store_bytes) > self._stage.attacked.store_growth_bytes_limit:
            if time.monotonic() > deadline:
                yield _finding("above-bound", f"the broker's store grew by {_mb(grown)}")
                break
            time.sleep(LOOK_SECONDS)
        for process in self._stage.processes:
            lines = sum("honest/" not in line for line in self._new_lines(process, before))
            if lines > LOG_LINES_LIMIT:
                yield _finding("above-bound", f"{process.name} wrote {lines:,} lines into its log")

    def _memory(self) -> dict[str, int]:
        return {each.name: _rss(each.pid) for each in self._stage.processes if each.pid is not None}

    def _store_bytes(self) -> int:
        return self._stage.attacked.store_bytes()

    def _new_lines(self, process: ServiceProcess, before: Snapshot) -> list[str]:
        with process.log.open("rb") as log:
            log.seek(before.log_bytes.get(process.name, 0))
            return log.read().decode(errors="replace").splitlines()


def _judged_since(deed: Deed) -> float:
    """Of an act that starts processes again, only what was sent after it must be in time."""
    return deed.ended_seconds if deed.restarted else 0.0


def metrics_of(process: ServiceProcess) -> dict[str, float]:
    """Return the series of a service's page; none while it does not answer."""
    try:
        with urllib.request.urlopen(f"{process.url}/metrics", timeout=PAGE_SECONDS) as answer:  # noqa: S310 - an address of ours
            text = answer.read().decode()
    except OSError:
        return {}
    series = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            series[name] = float(value)
    return series


def sum_of(series: Mapping[str, float], name: str, **labels: str) -> float:
    """Return the sum of the series of this name that have these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        value for each, value in series.items() if each.partition("{")[0] == name and all(label in each for label in wanted)
    )


def _searched(held: Held) -> str:
    return f"{held.event_id} {held.body[:400].decode(errors='replace')}"


def _finding(kind: Kind, text: str) -> Finding:
    return Finding(kind=kind, text=text)


def _rss(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1024 / 1024:.0f} MB"
