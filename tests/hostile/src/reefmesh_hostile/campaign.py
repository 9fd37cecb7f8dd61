"""A run of random mischief on one mesh: after each act what must hold at once, now and then everything."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Final

from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.amqp_play import AmqpPlay
from reefmesh_hostile.attacker import PUBLISHER, half_open_requests
from reefmesh_hostile.checker import Checker, Snapshot, Whereabouts
from reefmesh_hostile.mischief import DRAWERS, AmqpWire, Drawer, HalfOpen, Mischief, Wire, drawn
from reefmesh_hostile.mqtt_wire import MqttConnection, MqttMessage
from reefmesh_hostile.reefs import HONEST, SHARED
from reefmesh_hostile.stage import Stage
from reefmesh_hostile.stomp_wire import StompConnection
from reefmesh_hostile.wire_cut import WireCut

ACTS_AT_ONCE: Final = 100
"""Between two checks of everything."""
DEEP_EVERY: Final = 10
ANSWER_SECONDS: Final = 3.0
SUSPECTS: Final = 5
BEHIND_SECONDS: Final = 6.0
"""How long a look waits for messages of the attacker's own reef, and the last one:"""
LAST_WITHIN_SECONDS: Final = 90.0
LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``kinds``: only these. ``minutes`` and ``breaches`` (meshes that had to be made new) end a run early."""

    acts: int
    kinds: Sequence[str] = ()
    minutes: float = 13.5
    breaches: int = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """What was found after an act, and the acts that may have led to it, the last one first."""

    findings: Sequence[Finding]
    suspects: Sequence[str]


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a run has done so far. ``waits_seconds``: of honest reports of other reefs than the attacker's own, from sending to
    their last effect; ``own_waits_seconds``: of the reef that the attacker's device belongs to. ``seconds``: of each kind, how
    long its acts took. ``most_behind``: how many of the attacker's messages waited on at a look. ``peaks``: the most that each
    process held and each store kept, in bytes."""

    wanted: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    confirmed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    accounted: int = 0
    most_behind: int = 0
    breaches: list[Breach] = field(default_factory=list)
    waits_seconds: list[float] = field(default_factory=list)
    own_waits_seconds: list[float] = field(default_factory=list)
    peaks: dict[str, int] = field(default_factory=dict)
    lasted_seconds: float = 0.0

    @property
    def played(self) -> int:
        return self.acts.total()

    @property
    def is_complete(self) -> bool:
        return self.played == self.wanted

    def note_peaks(self, sizes_bytes: Mapping[str, int]) -> None:
        for name, size in sizes_bytes.items():
            self.peaks[name] = max(size, self.peaks.get(name, 0))


def wait_seconds(waits_seconds: Sequence[float], share: float) -> float:
    """Return the wait that this share of honest reports did not exceed."""
    if len(waits_seconds) < 2:
        return max(waits_seconds, default=0.0)
    return quantiles(waits_seconds, n=1000, method="inclusive")[min(998, round(share * 1000) - 1)]


class Campaign:
    """``run`` plays the acts of a seed. ``on_act`` is called after each."""

    def __init__(
        self,
        stage: Stage,
        *,
        seed: int,
        limits: Limits,
        drawers: Mapping[str, Drawer] = DRAWERS,
        on_act: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        self._stage = stage
        self._seed = seed
        self._limits = limits
        self._on_act = on_act
        self._checker = Checker(stage, judged=[reef for reef in HONEST if reef is not SHARED])  # a flood delays its own reef
        self._drawers = drawers
        self._attacker, self._device = stage.attacker(PUBLISHER), stage.device
        self._amqp = AmqpPlay(self._attacker)
        self._forbidden: list[Finding] = []
        self._tally = Tally(wanted=limits.acts)
        self._connections: dict[str, StompConnection] = {}
        self._recent: list[Mischief] = []
        self._marks: list[str] = []

    def run(self) -> Tally:
        began = time.monotonic()
        before = self._renewed()
        try:
            for mischief in drawn(self._seed, self._limits.acts, kinds=self._limits.kinds, drawers=self._drawers):
                acted = time.monotonic()
                self._play(mischief)
                self._tally.seconds[mischief.kind] += time.monotonic() - acted
                if found := self._found(before, mischief.number):
                    self._tally.breaches.append(
                        Breach(findings=found, suspects=[str(each)[:300] for each in self._recent[: -SUSPECTS - 1 : -1]])
                    )
                    if len(self._tally.breaches) >= self._limits.breaches:
                        break
                    before = self._renewed()
                elif mischief.number % ACTS_AT_ONCE == 0:
                    before = self._checker.snapshot()
                self._on_act(self._tally)
                if time.monotonic() - began > self._limits.minutes * 60:
                    break
        finally:
            self._note_waits()
            self._leave()
        self._tally.lasted_seconds = time.monotonic() - began
        return self._tally

    def _renewed(self) -> Snapshot:
        self._note_waits()
        self._leave()
        self._recent.clear()
        self._marks.clear()
        self._stage.renew()
        return self._checker.snapshot()

    def _note_waits(self) -> None:
        if self._stage.honest is not None:
            now = time.monotonic()
            for report in self._stage.honest.reports:
                waits = self._tally.own_waits_seconds if report.reef is SHARED else self._tally.waits_seconds
                waits.append(report.waited_seconds(now))

    def _leave(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._amqp.leave()

    def _play(self, mischief: Mischief) -> None:
        self._recent = [*self._recent[-20:], mischief]
        self._tally.acts[mischief.kind] += 1
        match mischief.does:
            case HalfOpen(service=service, count=count):
                with self._half_open(service, count):
                    pass
            case Wire() as wire:
                try:
                    confirmed, wanted = self._over(wire)
                except (WireCut, OSError):
                    confirmed, wanted = 0, max(1, len(wire.frames) + len(wire.mqtt))
                self._note(mischief.kind, confirmed, wanted, wire.accountable)
            case AmqpWire() as wire:
                try:
                    confirmed, wanted = self._amqp.play(wire)
                except (WireCut, OSError):
                    confirmed, wanted = 0, 1
                if wire.is_forbidden and confirmed:
                    self._forbidden.append(Finding(kind="not-held", text=f"the broker took what is forbidden: {wire}"))
                self._note(mischief.kind, confirmed, wanted, wire.accountable)

    def _note(self, kind: str, confirmed: int, wanted: int, accountable: Sequence[str]) -> None:
        self._tally.confirmed[kind] += confirmed
        self._tally.refused[kind] += wanted - confirmed
        if confirmed == wanted:
            self._marks += accountable

    def _over(self, wire: Wire) -> tuple[int, int]:
        if wire.mqtt:
            return self._mqtt(wire)
        if wire.sends and self._stage.attacked.engine == "rabbitmq":
            return self._amqp.send_all(wire.sends)
        return self._stomp(wire)

    @contextmanager
    def _half_open(self, service: str, count: int) -> Iterator[None]:
        with ExitStack() as stack:
            process = self._stage.process(service)
            if process.pid is not None:
                stack.enter_context(half_open_requests(process.port, count))
            yield

    def _mqtt(self, wire: Wire) -> tuple[int, int]:
        messages = [MqttMessage(topic=topic, body=body) for topic, body in wire.mqtt]
        connection: MqttConnection
        with self._device.mqtt(wire.client_id) as connection:
            return connection.publish_all(messages), len(messages)

    def _stomp(self, wire: Wire) -> tuple[int, int]:
        if wire.subscriptions:
            with self._attacker.stomp(wire.stomp_version) as connection:
                for destination in wire.subscriptions:
                    connection.subscribe(destination)
                return 1, 1
        version = wire.stomp_version
        connection = self._connections.pop(version) if version in self._connections else self._attacker.stomp(version)
        confirmed = answered = 0
        for frame in wire.frames:
            connection.write(frame)
        while answered < len(wire.frames):
            answer = connection.next_frame(ANSWER_SECONDS if wire.accountable else 0.3)
            if answer is None or answer.command == "ERROR":
                break  # whatever it was about, this connection is not to be trusted any more
            answered += 1
            confirmed += answer.command == "RECEIPT"
        if answered == len(wire.frames):
            self._connections[version] = connection
        else:
            connection.close()
        return confirmed, len(wire.frames)

    def _found(self, before: Snapshot, number: int) -> list[Finding]:
        if self._forbidden:
            found, self._forbidden = self._forbidden, []
            return found
        is_last = number == self._limits.acts
        if number % ACTS_AT_ONCE and not is_last:
            return self._checker.at_once(before, Deed(), deep=number % DEEP_EVERY == 0)
        act = Act(name=f"the last {ACTS_AT_ONCE} acts", row=0, what="random mischief", does=lambda _: Deed())
        scene = Scene(stage=self._stage, attacker=self._attacker)
        found = (
            self._checker.findings(before, act, scene, Deed())
            or self._unaccounted(before, is_last=is_last)
            or self._checker.at_once(before, Deed())
        )
        self._tally.note_peaks(self._checker.sizes_bytes())
        return found

    def _unaccounted(self, before: Snapshot, *, is_last: bool) -> list[Finding]:
        """Look for all messages since the last look, and for those that waited then. The attacker's reef may be behind: its own
        messages may wait on until the next look, but for the last one, and none may be nowhere."""
        marks, self._marks = self._marks, []
        missing = Whereabouts(nowhere=marks, waiting=())
        deadline = time.monotonic() + (LAST_WITHIN_SECONDS if is_last else BEHIND_SECONDS)
        try:
            while (missing := self._checker.whereabouts(before, marks)).both and time.monotonic() < deadline:
                time.sleep(LOOK_SECONDS)
        except WireCut as cut:
            return [Finding(kind="process-ended", text=f"the broker answers an operator no more: {cut}")]
        self._tally.accounted += len(marks) - len(missing.both)
        if missing.nowhere or (is_last and missing.waiting):
            return [missing.finding(len(marks))]
        self._marks = list(missing.waiting)
        self._tally.most_behind = max(self._tally.most_behind, len(missing.waiting))
        return []
