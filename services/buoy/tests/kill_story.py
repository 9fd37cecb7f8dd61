"""Kill the agent at seeded instants, with a clock that jumps and a gateway that comes and goes; then count its readings.

``python services/buoy/tests/kill_story.py --kills 200 --seed 7`` exits 0 if every reading had its effect exactly once.
In most lives of the agent the gateway itself kills it: right after it stored a report and before it answers, or right after
its answer, before the agent can have noted the confirmation. The other lives end at random instants.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deadly_gateway import DeadlyGateway, Mood
from ingest_of_reports import CHANNEL, effects_of

AGENT = Path(__file__).with_name("jumping_agent.py")
DEVICE = "agent-1"
PATIENCE_SECONDS = 120.0
MOODS: dict[Mood, int] = {
    "kills before the answer": 8,
    "kills after the answer": 4,
    "kind": 3,
    "takes in silence": 3,
    "away": 2,
}
"""How often of 20 lives; in those of the last three the kill comes at a random instant."""


class Story:
    """The agent's lives in ``folder``, and what its sensor measured: each value once."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._luck = random.Random(seed)
        self._folder = folder
        self.gateway = DeadlyGateway()
        self._taken_before = 0
        self.measured: list[float] = []
        self._inbox = folder / "inbox"
        self._inbox.mkdir()
        (folder / "token").write_text("rmt_test\n")
        self._settings = folder / "agent.toml"
        self._settings.write_text(
            f'device = "{DEVICE}"\nspool = "{folder}/spool.db"\ninterval_seconds = 0.05\n'
            f'[send]\ntransport = "http"\nurl = "{self.gateway.url}"\ntoken_file = "{folder}/token"\ntimeout_seconds = 2\n'
            f'[[source]]\nkind = "folder"\npath = "{self._inbox}"\nagain_seconds = 0.05\n'
        )

    def live(self, boot: int) -> None:
        """One life of the agent, which ends by a kill."""
        (mood,) = self._luck.choices(list(MOODS), list(MOODS.values()))
        is_killed_by_gateway = mood.startswith("kills")
        spared = self._luck.choice([0, 1])
        self._measure(boot, parts=self._luck.randint(1, 3))
        unset_reads = self._luck.choice([0, 3] if is_killed_by_gateway else [0, 3, 10, 1000])
        process = self._start(boot, mood, spared=spared, unset_reads=unset_reads)
        if is_killed_by_gateway and spared:
            self._wait_for_a_report()
            self._measure(boot, parts=1, first=3)
        try:
            process.wait(PATIENCE_SECONDS if is_killed_by_gateway else self._luck.uniform(0.1, 0.6))
        except subprocess.TimeoutExpired:
            process.kill()
        assert process.wait() == -9, "the agent ended by itself"

    def drain(self, boot: int) -> None:
        """The last life: everything arrives, and the agent ends because it is asked to."""
        process = self._start(boot, "kind")
        with self.gateway.changed:
            self.gateway.changed.wait_for(lambda: self._arrived() >= set(self.measured), PATIENCE_SECONDS)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0

    def _start(self, boot: int, mood: Mood, *, spared: int = 0, unset_reads: int = 0) -> subprocess.Popen[bytes]:
        offset_seconds = self._luck.uniform(-5e7, 5e7)
        command = [sys.executable, str(AGENT), str(self._settings), f"boot-{boot}", str(offset_seconds), str(unset_reads)]
        with self.gateway.changed:
            self._taken_before = len(self.gateway.taken)
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            self.gateway.watch(process, mood, spared=spared)
        return process

    def _measure(self, boot: int, *, parts: int, first: int = 0) -> None:
        for part in range(first, first + parts):
            values = [float(len(self.measured) + n) for n in range(self._luck.randint(1, 30))]
            _put(self._inbox, f"{boot:06d}-{part}", values)
            self.measured += values

    def _wait_for_a_report(self) -> None:
        with self.gateway.changed:
            assert self.gateway.changed.wait_for(lambda: len(self.gateway.taken) > self._taken_before, PATIENCE_SECONDS)

    def _arrived(self) -> set[float]:
        return {each["channels"][CHANNEL] for report in self.gateway.taken for each in json.loads(report.body)["readings"]}


def _put(inbox: Path, name: str, values: Sequence[float]) -> None:
    hidden = inbox / f".{name}"
    hidden.write_text("".join(json.dumps({"channels": {CHANNEL: each}}) + "\n" for each in values))
    hidden.rename(inbox / f"{name}.jsonl")


def tell(folder: Path, *, kills: int, seed: int) -> str:
    """Return what happened, in a line. Raises AssertionError if a reading was lost, or had two effects."""
    began = time.monotonic()
    story = Story(folder, seed)
    try:
        for boot in range(kills):
            story.live(boot)
        story.drain(kills)
    finally:
        story.gateway.close()
    taken = story.gateway.taken
    effects = asyncio.run(effects_of(taken, device=DEVICE))
    lost, doubled = set(story.measured) - set(effects), [each for each, times in effects.items() if times > 1]
    assert not lost, f"lost: {len(lost)}, {sorted(lost)[:10]}"
    assert not doubled, f"more than once: {len(doubled)}, {sorted(doubled)[:10]}"
    assert effects == Counter(story.measured), "readings that nobody measured"
    reports = {(each.event_id, each.body) for each in taken}
    assert len(reports) == len({each.event_id for each in taken}), "a repeat had other bytes"
    before, after = (story.gateway.kills[each] for each in ("kills before the answer", "kills after the answer"))
    repeats = story.gateway.repeats()
    assert len(taken) - len(reports) >= before, "a report whose confirmation the agent never saw was not sent again"
    assert repeats > 0, "no report came twice: the kills did not meet the sending"
    return (
        f"{kills} kills, seed {seed}: {before} before the answer, {after} right after it, {kills - before - after} at random;"
        f" {len(story.measured)} readings in {len(reports)} reports, {repeats} of them more than once ({len(taken)} taken);"
        f" each reading once in effect; {time.monotonic() - began:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(tell(Path(folder), kills=options.kills, seed=options.seed) + "\n")


if __name__ == "__main__":
    main()
