"""Reports become telemetry of the mesh: stamped with the device that sent them and the time of reception, and confirmed."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import uuid4

from reefmesh.broker.port import Broker, BrokerUnavailable, Publication
from reefmesh.broker.producer import Producer
from reefmesh.contracts.channels import TELEMETRY
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh_gateway.domain.report import SentReport
from reefmesh_gateway.identities.device import EnrolledDevice

DEVICE: Final = "device"
RECEIVED_AT: Final = "received-at"
SENT_BY: Final = "sent-by"
"""Header by which ingest learns whose credentials a report came with: what the report says must agree, else it is spoofed."""


class ReportPublisher:
    """Publishes to ``reef.telemetry`` under the gateway's own user."""

    def __init__(self, broker: Broker, *, timeout_seconds: float) -> None:
        self._broker = broker
        self._timeout_seconds = timeout_seconds
        self._producer = Producer()

    async def publish(
        self, device: EnrolledDevice, reports: Sequence[SentReport], *, received_at: datetime, cause: str | None
    ) -> Sequence[str]:
        """Publish a device's reports in their order; return their event ids once the broker has confirmed all.

        ``cause``: what names this very request, so that a repeat has the same event ids, which ingest recognises. None: the
        sender gave nothing that tells a repeat from a further report with the same content.

        Raises:
            BrokerUnavailable: no confirmation came in time; any of them may be out.
            PublishRefused: the broker refused one.
        """
        cause = cause or uuid4().hex
        envelopes = [
            Envelope(
                event_id=event_id_of(cause, f"gateway/{place}"),
                reef_id=device.reef_id,
                schema_id=report.schema_id,
                produced_at=received_at,
                body=report.body,
                headers={DEVICE: device.device, SENT_BY: device.device, RECEIVED_AT: received_at.isoformat()},
            )
            for place, report in enumerate(reports)
        ]
        await self.confirm(envelopes)
        return [each.event_id for each in envelopes]

    async def confirm(self, envelopes: Sequence[Envelope]) -> None:
        """Publish messages of any devices in this order; on return the broker has confirmed all. Raises as ``publish``."""
        linked = self._producer.link(envelopes)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._broker.publish([Publication(channel=TELEMETRY.name, message=each) for each in linked])
        except TimeoutError:
            raise BrokerUnavailable(f"no confirmation within {self._timeout_seconds:g} s") from None
        self._producer.confirmed(linked)
