"""Kill the agent at seeded random instants, with a clock that jumps and a gateway that comes and goes; then count its readings.

``python services/buoy/tests/kill_story.py --kills 200 --seed 7`` exits 0 if every reading had its effect exactly once.
The gateway here takes a report without an answer, or answers without taking it, as often as it does what it should.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from reefmesh_ingest.domain.decode import Report, decode

AGENT = Path(__file__).with_name("jumping_agent.py")
DRAIN_SECONDS = 120.0


class FickleGateway:
    """Keeps what it took; ``is_kind``: it takes all, and answers."""

    def __init__(self, seed: int) -> None:
        self._luck = random.Random(seed)
        self.is_kind = False
        self.taken: list[tuple[str, bytes]] = []
        self.changed = threading.Condition()
        gateway = self

        class Page(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                mood = "kind" if gateway.is_kind else gateway._luck.choice(["kind", "kind", "takes in silence", "away"])
                if mood != "away" and len(body) == int(self.headers["content-length"]):
                    with gateway.changed:
                        gateway.taken.append((self.headers["idempotency-key"], body))
                        gateway.changed.notify_all()
                if mood != "takes in silence":
                    self.send_response(202 if mood == "kind" else 503)
                    self.end_headers()
                    self.wfile.write(b'{"reports": [{"outcome": "accepted"}]}')

            def log_message(self, format: str, *args: object) -> None:
                """The story is told by ``main``."""

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    self.close_connection = True  # the agent was killed in the middle of its request

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def readings(self) -> dict[int, float]:
        """Instant -> value, by ingest's own decoder. Ingest takes a report of one event id once, and one instant once."""
        effects: dict[int, float] = {}
        for body in dict(self.taken).values():
            report = decode("telemetry/1", body)
            assert isinstance(report, Report), report
            assert not report.refused, report.refused
            for each in report.observations:
                assert each.observed_us is not None
                value = each.values["sea_water_temperature"]
                assert value is not None
                assert effects.setdefault(each.observed_us, value) == value, "two readings of one instant"
        return effects


def put_readings(inbox: Path, name: str, values: Sequence[float]) -> None:
    hidden = inbox / f".{name}"
    hidden.write_text("".join(json.dumps({"channels": {"sea_water_temperature": each}}) + "\n" for each in values))
    hidden.rename(inbox / f"{name}.jsonl")


def tell(folder: Path, *, kills: int, seed: int) -> str:
    """Return what happened, in a line. Raises AssertionError if a reading was lost, or had two effects."""
    luck = random.Random(seed)
    gateway = FickleGateway(seed)
    inbox = folder / "inbox"
    inbox.mkdir()
    (folder / "token").write_text("rmt_test\n")
    settings = folder / "agent.toml"
    settings.write_text(
        f'device = "agent-1"\nspool = "{folder}/spool.db"\ninterval_seconds = 0.05\n'
        f'[send]\ntransport = "http"\nurl = "http://127.0.0.1:{gateway.server.server_port}"\ntoken_file = "{folder}/token"\n'
        f'timeout_seconds = 2\n[[source]]\nkind = "folder"\npath = "{inbox}"\nagain_seconds = 0.05\n'
    )
    written: list[float] = []

    def start(boot: int, *, unset_reads: int) -> subprocess.Popen[bytes]:
        offset = luck.uniform(-5e7, 5e7)
        command = [sys.executable, str(AGENT), str(settings), f"boot-{boot}", str(offset), str(unset_reads)]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    for boot in range(kills):
        process = start(boot, unset_reads=luck.choice([0, 3, 10, 1000]))
        for part in range(luck.randint(1, 4)):
            values = [float(len(written) + n) for n in range(luck.randint(1, 30))]
            put_readings(inbox, f"{boot:06d}-{part}", values)
            written += values
        try:
            process.wait(luck.uniform(0.3, 1.1))
        except subprocess.TimeoutExpired:
            process.kill()
        assert process.wait() == -9, "the agent ended by itself"
    gateway.is_kind = True
    process = start(kills, unset_reads=0)
    with gateway.changed:
        done = gateway.changed.wait_for(lambda: set(gateway.readings().values()) >= set(written), DRAIN_SECONDS)
    process.terminate()
    assert process.wait(60) == 0
    gateway.server.shutdown()
    effects = Counter(gateway.readings().values())
    assert done, f"lost: {sorted(set(written) - set(effects))[:10]}"
    assert effects == Counter(written), f"more than once: {[each for each, n in effects.items() if n > 1][:10]}"
    bodies: dict[str, set[bytes]] = {}
    for event_id, body in gateway.taken:
        bodies.setdefault(event_id, set()).add(body)
    assert all(len(each) == 1 for each in bodies.values()), "a repeat had other bytes"
    return f"{kills} kills, seed {seed}: {len(written)} readings in {len(bodies)} reports, {len(gateway.taken)} times taken"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(tell(Path(folder), kills=options.kills, seed=options.seed) + "\n")


if __name__ == "__main__":
    main()
