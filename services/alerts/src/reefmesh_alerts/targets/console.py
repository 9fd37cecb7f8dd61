"""Alerts on the console: one line each."""

from datetime import datetime
from typing import TextIO

import structlog

from reefmesh_alerts.domain.alert_text import age, zulu
from reefmesh_alerts.targets.port import Notice, SendResult, Sent

log = structlog.get_logger()


class ConsoleTarget:
    """Writes plain lines to ``stream``, or log events when there is none."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:  # noqa: ARG002 - the port's signature
        for alert in notice.alerts:
            data_age = age(alert.data_age_seconds)
            if self._stream is None:
                log.warning(
                    "alert",
                    summary=alert.summary,
                    reef_id=alert.reef_id,
                    kind=alert.kind,
                    severity=alert.severity,
                    occurred_at=zulu(alert.occurred_at),
                    data_age=data_age,
                    recipient=notice.recipient,
                    alert_id=alert.alert_id,
                )
            else:
                self._stream.write(f"ALERT {zulu(alert.occurred_at)} {alert.summary} [data {data_age} old]\n")
        if not notice.alerts:
            if self._stream is None:
                log.info("digest", summary=notice.subject, recipient=notice.recipient)
            else:
                self._stream.write(f"{notice.subject}\n")
        if self._stream is not None:
            self._stream.flush()
        return Sent()

    async def close(self) -> None:
        """Nothing to close: the stream is not ours."""
