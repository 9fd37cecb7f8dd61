"""A gateway that keeps each report it takes, and kills the agent at the worst instant: for ``kill_story.py``."""

import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

ANSWER = b'{"reports": [{"outcome": "accepted"}]}'

Mood = Literal["kind", "takes in silence", "away", "kills before the answer", "kills after the answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A report as it came; ``received_us``: when, in microseconds since 1970."""

    event_id: str
    body: bytes
    received_us: int


class DeadlyGateway:
    """``mood`` decides what becomes of the reports; ``spared`` ones of this life of the agent are taken kindly first."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.taken: list[Taken] = []
        self.kills: Counter[Mood] = Counter()
        self._agent: subprocess.Popen[bytes] | None = None
        self._mood: Mood = "kind"
        self._spared = 0
        gateway = self

        class Page(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if len(body) == int(self.headers["content-length"]):  # else the agent was killed in the middle of it
                    gateway._meet(self, self.headers["idempotency-key"], body)

            def log_message(self, format: str, *args: object) -> None:
                """The story is told by its last line."""

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    self.close_connection = True  # the agent was killed in the middle of its request

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def watch(self, agent: subprocess.Popen[bytes], mood: Mood, *, spared: int = 0) -> None:
        """From now on reports come from this agent."""
        with self.changed:
            self._agent, self._mood, self._spared = agent, mood, spared

    def repeats(self) -> int:
        """How many reports came more than once."""
        return sum(times > 1 for times in Counter(each.event_id for each in self.taken).values())

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _meet(self, page: BaseHTTPRequestHandler, event_id: str, body: bytes) -> None:
        with self.changed:
            mood, agent = self._mood, self._agent
            if mood.startswith("kills") and self._spared:
                self._spared -= 1
                mood = "kind"
            if mood == "away":
                page.send_error(503)
                return
            self.taken.append(Taken(event_id=event_id, body=body, received_us=time.time_ns() // 1000))
            self.changed.notify_all()
            if mood == "kills before the answer":
                self._kill(mood, agent)
            elif mood != "takes in silence":
                page.send_response(202)
                page.send_header("Content-Length", str(len(ANSWER)))
                page.end_headers()
                page.wfile.write(ANSWER)
                if mood == "kills after the answer":
                    self._kill(mood, agent)

    def _kill(self, mood: Mood, agent: subprocess.Popen[bytes] | None) -> None:
        assert agent is not None
        if agent.poll() is None:
            agent.kill()
            self.kills[mood] += 1
