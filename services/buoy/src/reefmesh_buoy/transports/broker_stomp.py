"""STOMP with a receipt, straight to the mesh's channel: for a buoy that has a broker user of its own as a direct publisher."""

import ssl
import threading
from typing import Any, Final

import stomp
from stomp.exception import StompException

from reefmesh_buoy.failures import NotSent
from reefmesh_buoy.measurement import instant_of
from reefmesh_buoy.report import SCHEMA, SealedReport

DESTINATION: Final = "/topic/VirtualTopic.reef.telemetry"


class _Receipt(stomp.ConnectionListener):  # type: ignore[misc]  # stomp.py brings no types
    """Waits for what the broker says of one frame."""

    def __init__(self, receipt_id: str) -> None:
        self._receipt_id = receipt_id
        self.is_answered = threading.Event()
        self.is_confirmed = False
        self.trouble = ""

    def on_receipt(self, frame: Any) -> None:
        if frame.headers.get("receipt-id") == self._receipt_id:
            self.is_confirmed = True
            self.is_answered.set()

    def on_error(self, frame: Any) -> None:
        self.trouble = f"the broker refused it: {frame.headers.get('message', '')[:200]}"
        self.is_answered.set()

    def on_disconnected(self) -> None:
        self.trouble = self.trouble or "the broker closed the connection"
        self.is_answered.set()


class StompTransport:
    """Connects for each report. A refusal may end (a full store, missing rights), so each is tried again."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        reef: str,
        user: str,
        password: str,
        is_tls: bool,
        ca_file: str | None,
        timeout_seconds: float,
    ) -> None:
        self._address = (host, port)
        self._reef, self._user, self._password = reef, user, password
        self._is_tls, self._ca_file = is_tls, ca_file
        self._timeout_seconds = timeout_seconds

    def send(self, report: SealedReport) -> None:
        connection = stomp.Connection12([self._address], reconnect_attempts_max=1, timeout=self._timeout_seconds)
        if self._is_tls:
            connection.set_ssl([self._address], ca_certs=self._ca_file, ssl_version=ssl.PROTOCOL_TLS_CLIENT)
        receipt = _Receipt(report.event_id)
        connection.set_listener("receipt", receipt)
        headers = {
            "persistent": "true",
            "JMSXGroupID": self._reef,
            "event-id": report.event_id,
            "reef-id": self._reef,
            "schema": SCHEMA,
            "produced-at": instant_of(report.sent_us),
            "producer-id": report.producer_id,
            "h-clock": report.clock,
        }
        if report.follows is not None:
            headers["follows"] = report.follows
        try:
            connection.connect(self._user, self._password, wait=True)
            connection.send(DESTINATION, report.body, content_type="application/json", headers=headers, receipt=report.event_id)
            receipt.is_answered.wait(self._timeout_seconds)
        except (OSError, StompException) as error:
            raise NotSent(f"{type(error).__name__}: {str(error) or receipt.trouble}") from error
        finally:
            if connection.is_connected():
                connection.transport.disconnect_socket()
            connection.transport.stop()
        if not receipt.is_confirmed:
            raise NotSent(receipt.trouble or f"no receipt within {self._timeout_seconds:g} s")

    def close(self) -> None:
        """There is nothing to give back: each report has a connection of its own."""
