"""A receiver of alerts: an HTTP server of this process that notes every request, and can be away."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from reefmesh_alerts.targets.signing import KEY_HEADER
from reefmesh_faults.history import Told

HOST: Final = "127.0.0.1"
SECRET_VARIABLE: Final = "FAULTS_WEBHOOK_SECRET"
SECRET: Final = "of-the-fault-machine"
SUBSCRIPTION: Final = "everything"


class Receiver:
    """Answers 204 and remembers; 503 while ``is_away``."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.is_away = False
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def subscriptions(self) -> str:
        """Return a subscriptions file (TOML) that sends every alert here, however old its data."""
        port = self._server.server_address[1]
        return (
            f'[[target]]\ntype = "webhook"\nname = "receiver"\nurl = "http://{HOST}:{port}/"\n'
            f'secret = "env:{SECRET_VARIABLE}"\nallow_private = true\n\n'
            f'[[subscription]]\nname = "{SUBSCRIPTION}"\ntargets = ["receiver"]\ndata_age_limit_hours = 0\n'
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.is_away:
                    self.send_response(503)
                else:
                    alert_ids = tuple(alert["alert_id"] for alert in body["alerts"])
                    receiver.told.append(Told(idempotency_key=self.headers[KEY_HEADER], alert_ids=alert_ids))
                    self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the history tells."""

        return Handler
