"""Recorded workers as processes, what they recorded, and which laws that broke."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from reefmesh.contracts.channels import Channel, Subscription
from reefmesh_components.recorded_worker import Order

LOOK_SECONDS: Final = 0.03
PATIENCE_SECONDS: Final = 90.0
ENDS_HOLDING: Final = frozenset({"settling", "released"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a recording."""

    process: str
    kind: str
    reef_id: str
    number: int
    at_ns: int
    redelivered: bool


class Hand:
    """One recorded worker."""

    def __init__(self, order: Order, log: Path) -> None:
        self.order = order
        self.log = log
        self.killed_at_ns: int | None = None
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "reefmesh_components.recorded_worker", json.dumps(asdict(order))],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def name(self) -> str:
        return self.order.process

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> int:
        """Kill -9; return when that was."""
        self.killed_at_ns = time.monotonic_ns()  # before: another may have its reefs before we know that it is gone
        self._process.kill()
        self._process.wait()
        return self.killed_at_ns

    def terminate(self) -> int:
        """SIGTERM; return the exit code after the drain."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_SECONDS)

    def wait(self, seconds: float) -> int | None:
        """Return the exit code if it ends within so long."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def steps(self) -> Iterator[Step]:
        path = Path(self.order.recording)
        if not path.exists():
            return
        for line in path.read_text().splitlines():
            kind, reef_id, number, at_ns, redelivered = line.split()
            yield Step(
                process=self.name,
                kind=kind,
                reef_id=reef_id,
                number=int(number),
                at_ns=int(at_ns),
                redelivered=redelivered == "1",
            )


class Crew:
    """Workers on one subscription of one broker, over one SQLite file; ``with`` ends them all by their process ids."""

    def __init__(self, folder: Path, *, broker_url: str, lanes: int = 8, outputs: str = "", crash_limit: int = 3) -> None:
        self.subscription = Subscription("faults", Channel(f"reef.faults.{uuid4().hex[:12]}", numbered=False))
        self.gate = folder / "gate"
        self.database = folder / "effects.db"
        self.hands: list[Hand] = []
        self._folder = folder
        self._broker_url = broker_url
        self._lanes = lanes
        self._outputs = outputs
        self._crash_limit = crash_limit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for hand in self.hands:
            if hand.is_running:
                hand.kill()

    def join(self, count: int = 1, *, broker_url: str | None = None) -> list[Hand]:
        """Start workers and wait until each has subscribed."""
        joined = []
        for _ in range(count):
            name = f"hand-{len(self.hands) + 1}"
            order = Order(
                process=name,
                broker_url=broker_url or self._broker_url,
                store_url=f"sqlite:///{self.database}",
                service=self.subscription.service,
                channel=self.subscription.channel.name,
                outputs=self._outputs,
                lanes=self._lanes,
                crash_limit=self._crash_limit,
                recording=str(self._folder / f"{name}.steps"),
                gate=str(self.gate),
            )
            hand = Hand(order, self._folder / f"{name}.log")
            self.hands.append(hand)
            joined.append(hand)
        for hand in joined:
            self.until(partial(_has_subscribed, hand), f"{hand.name} subscribed", of=hand)
        return joined

    def until(
        self, condition: Callable[[], bool], what: str, *, of: Hand | None = None, within_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait; looks again and again, and gives up at once when ``of`` ends (without it: when all have ended)."""
        deadline = time.monotonic() + within_seconds
        while not condition():
            running = [hand for hand in self.hands if hand.is_running]
            watched = of or (running[0] if running else None)
            ended = watched is None or (watched.wait(LOOK_SECONDS) is not None and (of is not None or len(running) == 1))
            if ended and not condition():
                words = "".join(f"\n{hand.name}: {hand.log.read_text()[-600:]}" for hand in self.hands)
                raise AssertionError(f"ended before: {what}{words}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within_seconds} s: {what}; {self.effects_count()} effects so far")

    def until_effects(self, count: int, *, within_seconds: float = PATIENCE_SECONDS) -> None:
        self.until(lambda: self.effects_count() >= count, f"{count} effects", within_seconds=within_seconds)

    def effects_count(self) -> int:
        return int(self._query("SELECT count(*) FROM effect")[0][0])

    def effects(self) -> dict[str, list[int]]:
        """Return the numbers of each reef in the order in which their effects were committed."""
        numbers: dict[str, list[int]] = defaultdict(list)
        for reef_id, number in self._query("SELECT reef_id, number FROM effect ORDER BY rowid"):
            numbers[reef_id].append(number)
        return dict(numbers)

    def reefs_by_process(self) -> Counter[str]:
        """Return how many reefs each process had the last effect of."""
        # of columns without an aggregate, SQLite gives those of the row with the greatest one
        rows = self._query("SELECT reef_id, process, max(rowid) FROM effect GROUP BY reef_id")
        return Counter(process for _, process, _ in rows)

    def _query(self, sql: str) -> list[Any]:
        if not self.database.exists():
            return [(0,)] if "count(*)" in sql else []
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            try:
                return connection.execute(sql).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                return [(0,)] if "count(*)" in sql else []

    def steps(self) -> list[Step]:
        """Return what all did, by time."""
        return sorted((step for hand in self.hands for step in hand.steps()), key=lambda step: step.at_ns)

    def torn(self) -> list[str]:
        """Return where a reef was received by one process while another held it: from receiving until it asked to settle, or
        was killed. Meaningful while no connection is lost."""
        killed = {hand.name: hand.killed_at_ns for hand in self.hands}
        holders: dict[str, Step] = {}
        breaches = []
        for step in self.steps():
            holder = holders.get(step.reef_id)
            if step.kind == "received":
                gone = holder is not None and (at := killed[holder.process]) is not None and at <= step.at_ns
                if holder is not None and not gone:
                    breaches.append(
                        f"{step.reef_id}/{step.number} at {step.process} while {holder.process} held {holder.number}"
                    )
                holders[step.reef_id] = step
            elif step.kind in ENDS_HOLDING and holder is not None and holder.process == step.process:
                del holders[step.reef_id]
        return breaches

    def disorders(self) -> list[str]:
        return [f"{step.reef_id}/{step.number} at {step.process}" for step in self.steps() if step.kind == "disorder"]

    def taken_again(self) -> list[Step]:
        """Return what a lane received although a lane had received it before."""
        seen: set[tuple[str, int]] = set()
        again = []
        for step in self.steps():
            if step.kind == "received":
                key = (step.reef_id, step.number)
                if key in seen:
                    again.append(step)
                seen.add(key)
        return again


def _has_subscribed(hand: Hand) -> bool:
    return any(step.kind == "subscribed" for step in hand.steps())
