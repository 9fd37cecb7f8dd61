"""One stage of the pipeline that reefmesh is measured beside: stomp.py as its manual shows it, nothing else.

JSON in, JSON out, a persistent SEND that nobody confirms, an acknowledgement per message. No state, no order of a reef, no
reconnection, no deduplication: a stage that dies between SEND and ACK repeats its output, and a SEND that the broker refuses
is lost.

usage: python tests/bench/plain_stage.py HOST PORT USER SOURCE TARGET STAGE  (the password comes in PLAIN_PASSWORD)
"""

import json
import os
import signal
import sys
import threading
from typing import Any, Final

import stomp

TRACE: Final = "traceparent"
PREFETCH: Final = "500"  # 1000 would count as "nothing said", and the broker would take its own 1


def decode(message: dict[str, Any]) -> dict[str, Any]:
    return {"buoy": message["buoy_id"], "readings": message["readings"]}


def score(message: dict[str, Any]) -> dict[str, Any]:
    newest = message["readings"][-1]["channels"]
    return {"buoy": message["buoy"], "verdict": "good" if newest["underwater_visibility"] >= 10 else "fair", "of": newest}


def alert(message: dict[str, Any]) -> dict[str, Any]:
    return {"buoy": message["buoy"], "summary": f"dive conditions are {message['verdict']}", "evidence": message["of"]}


STAGES: Final = {"decode": decode, "score": score, "alert": alert}


class Stage(stomp.ConnectionListener):  # type: ignore[misc]  # stomp.py has no types
    def __init__(self, connection: Any, target: str, stage: str) -> None:
        self._connection, self._target, self._work = connection, target, STAGES[stage]

    def on_message(self, frame: Any) -> None:
        body = json.dumps(self._work(json.loads(frame.body)))
        headers = {"persistent": "true", TRACE: frame.headers[TRACE]}
        self._connection.send(self._target, body, content_type="application/json", headers=headers)
        self._connection.ack(frame.headers["ack"])


def main() -> None:
    host, port, user, source, target, stage = sys.argv[1:]
    connection = stomp.Connection12([(host, int(port))])
    connection.set_listener("stage", Stage(connection, target, stage))
    connection.connect(user, os.environ["PLAIN_PASSWORD"], wait=True)
    connection.subscribe(source, id=1, ack="client-individual", headers={"activemq.prefetchSize": PREFETCH, "receipt": "up"})
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print("up", flush=True)
    ended.wait()
    connection.disconnect()


if __name__ == "__main__":
    main()
