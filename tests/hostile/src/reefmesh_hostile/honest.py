"""Honest reefs that report at a steady rate, and how long each report takes to its receipt, its score and its alert.

Every other report of a buoy says that its probe is broken, so each opens or closes an episode: what the alert service makes of
it is known beforehand, and an alert of any other kind is nobody's.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from reefmesh_hostile.amqp_wire import AmqpConnection
from reefmesh_hostile.attacker import Attacker
from reefmesh_hostile.databases import Databases
from reefmesh_hostile.messages import nemo_pi_data, telemetry
from reefmesh_hostile.mqtt_wire import MqttConnection
from reefmesh_hostile.reefs import HONEST, Reef
from reefmesh_hostile.stomp_wire import StompConnection
from reefmesh_hostile.wire_cut import WireCut

WATCH_SECONDS: Final = 0.15
RETRY_SECONDS: Final = 0.3
IN_ONE_QUERY: Final = 200
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PROBE_GONE: Final = "probe not found"


@dataclass(slots=True, kw_only=True)
class Report:
    """One report. ``event_id`` is empty of a Nemo-Pi's, which has none; ``sent_seconds`` and ``handled_seconds`` are monotonic:
    from the first attempt to send it until its last effect was seen."""

    reef: Reef
    number: int
    event_id: str
    observed_us: int
    sent_seconds: float
    handled_seconds: float | None = None

    def waited_seconds(self, now_seconds: float) -> float:
        return (now_seconds if self.handled_seconds is None else self.handled_seconds) - self.sent_seconds


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What the databases hold of honest reefs: how far each reef's scores and alerts are, and the Nemo-Pi's receipts."""

    receipts: set[str] = field(default_factory=set)
    scored_us: dict[str, int] = field(default_factory=dict)
    alerted_us: dict[str, int] = field(default_factory=dict)
    pi_receipts: dict[str, int] = field(default_factory=dict)


class HonestTraffic:
    """Two threads, from ``start`` to ``stop``: one sends, one watches. ``round_seconds``: between two reports of a reef.
    ``publishers`` and ``devices``: the same doors as the attacker's, with honest intentions."""

    def __init__(self, databases: Databases, *, publishers: Attacker, devices: Attacker, round_seconds: float = 0.5) -> None:
        self._publishers, self._devices = publishers, devices
        self._databases = databases
        self._round_seconds = round_seconds
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._reports: list[Report] = []
        self._pending: list[Report] = []
        self._threads: list[threading.Thread] = []
        self._failures: list[str] = []
        self._publishing: StompConnection | AmqpConnection | None = None
        self._mqtt: MqttConnection | None = None

    def start(self) -> None:
        for work in (self._send_rounds, self._watch):
            thread = threading.Thread(target=work, daemon=True, name=f"honest {work.__name__}")
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def reports(self) -> Sequence[Report]:
        with self._lock:
            return tuple(self._reports)

    def failures(self) -> list[str]:
        """Return what went wrong in a thread: then nothing here can be trusted."""
        with self._lock:
            return list(self._failures)

    def late(self, limit_seconds: float, *, since_seconds: float, sent_since_seconds: float = 0.0) -> list[Report]:
        """Return what was pending at ``since_seconds`` (monotonic) or sent later, and waited longer than the limit; nothing
        that was sent before ``sent_since_seconds``."""
        now = time.monotonic()
        with self._lock:
            return [
                report
                for report in self._reports
                if (report.handled_seconds is None or report.handled_seconds >= since_seconds)
                and report.waited_seconds(now) > limit_seconds
                and report.sent_seconds >= sent_since_seconds
            ]

    def until_a_round_is_handled(
        self, limit_seconds: float, *, is_enough: Callable[[], bool] = lambda: False, sent_since_seconds: float = 0.0
    ) -> None:
        """Wait until of every reef a report was handled that was sent from now on, until one that was sent since the given
        instant has waited for too long, or until it is enough."""
        began = time.monotonic()
        while (now := time.monotonic()) < began + 2 * limit_seconds:
            with self._lock:
                handled = {
                    report.reef.id
                    for report in self._reports[-(len(HONEST) * 100) :]
                    if report.handled_seconds is not None and report.sent_seconds >= began
                }
                overdue = any(
                    report.waited_seconds(now) > limit_seconds and report.sent_seconds >= sent_since_seconds
                    for report in self._pending
                )
            if overdue or len(handled) == len(HONEST) or self._failures or is_enough():
                return
            self._stop.wait(WATCH_SECONDS / 2)

    def _send_rounds(self) -> None:
        number = 0
        try:
            while not self._stop.is_set():
                number += 1
                began = time.monotonic()
                for reef in HONEST:
                    report = self._report(reef, number)
                    while not (self._is_sent(report) or self._stop.is_set()):  # it is sent again, as an agent does
                        self._leave(reef)
                        self._stop.wait(RETRY_SECONDS)
                self._stop.wait(max(0.0, began + self._round_seconds - time.monotonic()))
        except Exception as error:  # noqa: BLE001 - a thread's fault is told to whoever asks for its findings
            self._fail("sending", error)
        finally:
            for reef in HONEST:
                self._leave(reef)

    def _is_sent(self, report: Report) -> bool:
        """Send it once; whether the broker has confirmed it."""
        reef, is_broken = report.reef, report.number % 2 == 1
        try:
            if reef.imei:
                self._mqtt = self._mqtt or self._devices.mqtt(reef.honest)
                body = nemo_pi_data(20.0 + report.number % 10_000 / 1000)
                return self._mqtt.publish(f"buoys/{reef.honest}/d2c/telemetry", body)
            self._publishing = self._publishing or self._publishers.publishing()
            send = telemetry(
                report.event_id,
                reef_id=reef.id,
                buoy_id=reef.honest,
                observed_at=EPOCH + timedelta(microseconds=report.observed_us),
                celsius=None if is_broken else 26.0,
                fault=PROBE_GONE if is_broken else "",
            )
            return self._publishing.send(send.destination, send.headers, send.body).is_confirmed
        except (OSError, WireCut):
            return False

    def _leave(self, reef: Reef) -> None:
        """Close the connection over which this reef's reports go; the next one makes another."""
        if reef.imei and self._mqtt is not None:
            self._mqtt.close()
            self._mqtt = None
        elif not reef.imei and self._publishing is not None:
            self._publishing.close()
            self._publishing = None

    def _report(self, reef: Reef, number: int) -> Report:
        observed_us = (datetime.now(UTC) - EPOCH) // timedelta(microseconds=1)
        event_id = "" if reef.imei else f"honest/{reef.id}/{number}"
        report = Report(reef=reef, number=number, event_id=event_id, observed_us=observed_us, sent_seconds=time.monotonic())
        with self._lock:
            self._reports.append(report)
            self._pending.append(report)
        return report

    def _watch(self) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    pending = list(self._pending)
                if pending:
                    seen = self._look(pending)
                    now = time.monotonic()
                    with self._lock:
                        for report in pending:
                            if _is_handled(report, seen):
                                report.handled_seconds = now
                        self._pending = [report for report in self._pending if report.handled_seconds is None]
                self._stop.wait(WATCH_SECONDS)
        except Exception as error:  # noqa: BLE001 - likewise
            self._fail("watching", error)

    def _look(self, pending: Sequence[Report]) -> _Seen:
        rows = self._databases.rows
        seen = _Seen()
        names = [report.event_id for report in pending if report.event_id][:IN_ONE_QUERY]
        if names:
            query = f"SELECT event_id FROM receipts WHERE event_id IN ({', '.join('?' * len(names))})"  # noqa: S608 - places
            seen.receipts = {row[0] for row in rows("ingest", query, names)}
        for reef in HONEST:
            if reef.imei:
                counted = rows("ingest", "SELECT COUNT(*) FROM receipts WHERE buoy_id = ?", (reef.honest,))
                seen.pi_receipts[reef.id] = int(counted[0][0]) if counted else 0
        seen.scored_us = {row[0]: int(row[1]) for row in rows("scoring", "SELECT reef_id, as_of_us FROM scores")}
        alerted = "SELECT reef_id, MAX(occurred_us) FROM alerts WHERE kind = 'sensor_fault' GROUP BY reef_id"
        seen.alerted_us = {row[0]: int(row[1]) for row in rows("alerts", alerted)}
        return seen

    def _fail(self, doing: str, error: Exception) -> None:
        with self._lock:
            self._failures.append(f"{doing}: {type(error).__name__}: {error}")


def _is_handled(report: Report, seen: _Seen) -> bool:
    scored = seen.scored_us.get(report.reef.id, 0) >= report.observed_us
    if report.reef.imei:
        return seen.pi_receipts[report.reef.id] >= report.number and scored
    return report.event_id in seen.receipts and scored and seen.alerted_us.get(report.reef.id, 0) >= report.observed_us
