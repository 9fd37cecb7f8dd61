"""What happens to messages from the MQTT broker before they are acknowledged: judged, written down, published or held back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from reefmesh.clock import Clock
from reefmesh.contracts.channels import UNREGISTERED
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, Envelope, event_id_of
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh_gateway.domain.mqtt_message import MqttMessage, schema_of
from reefmesh_gateway.domain.report import SentReport, read_report
from reefmesh_gateway.identities.device import EnrolledDevice
from reefmesh_gateway.identities.known import KnownIdentities, Stranger
from reefmesh_gateway.identities.last_use import LastUse, use_over_mqtt
from reefmesh_gateway.limits import DoorLimits
from reefmesh_gateway.mqtt.held import HeldReport, HeldReports, RefusedReport
from reefmesh_gateway.mqtt.receipts import PacketReceipt, Receipts
from reefmesh_gateway.publishing import DEVICE, RECEIVED_AT, SENT_BY, ReportPublisher

BODY_LENGTH: Final = "body-bytes"
"""Header with the length of a body that was cut; ingest takes far less, and says so."""
NO_VALID_CERTIFICATE: Final = "(no valid certificate)"
"""In place of the sender, for a device whose certificates were revoked or have expired: ingest quarantines that as spoofed."""
RELEASE_REPORTS: Final = 50
"""Held reports of one device that are published at once."""

Outcome = Literal["accepted", "spoofed", "unknown", "revoked", "held", "refused"]


@dataclass(slots=True)
class JudgedBatch:
    """What becomes of some messages. ``finish`` may be called until it returns."""

    envelopes: list[Envelope] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    held: list[HeldReport] = field(default_factory=list)
    refused: list[RefusedReport] = field(default_factory=list)


class MqttIntake:
    """Of one session. Called by one task alone, so that the order of each device is the order in which its messages came."""

    def __init__(
        self,
        *,
        identities: KnownIdentities,
        last_use: LastUse,
        limits: DoorLimits,
        receipts: Receipts,
        held: HeldReports,
        publisher: ReportPublisher,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._identities = identities
        self._last_use = last_use
        self._limits = limits
        self._receipts = receipts
        self._held = held
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics

    @property
    def held_reports(self) -> int:
        return self._held.total

    async def load(self) -> None:
        """Read what an earlier process left. Raises StoreUnavailable."""
        await self._receipts.load()
        await self._held.load()

    async def judge(self, messages: Sequence[MqttMessage]) -> JudgedBatch:
        """Decide what becomes of each message, and write down by which id it goes.

        Raises:
            StoreUnavailable: nothing was decided.
        """
        now = self._clock.now()
        names = {name for message in messages if (name := message.sender) is not None}
        known = {name: await self._identities.device_over_mqtt(name, at=now) for name in sorted(names)}
        receipts = await self._receipts.write_down(messages)
        batch = JudgedBatch()
        for message, receipt in zip(messages, receipts, strict=True):
            name = message.sender
            if name is None:
                self._refuse(batch, "", "no device in its topic", receipt.received_at, message)
            else:
                self._sort(batch, name, known[name], message, receipt)
        return batch

    async def finish(self, batch: JudgedBatch) -> None:
        """Make it so; on return each message of the batch may be acknowledged.

        Raises:
            StoreUnavailable, BrokerUnavailable, PublishRefused: call it again; event ids stay as they are.
        """
        if batch.held or batch.refused:
            await self._held.keep(batch.held, batch.refused)
            batch.held, batch.refused = [], []
        if batch.envelopes:
            await self._publisher.confirm(batch.envelopes)
            batch.envelopes = []
        for outcome in batch.outcomes:
            self._metrics.count(table.GATEWAY_REPORTS, outcome)
        batch.outcomes = []

    async def release(self) -> None:
        """Publish what was held back, as far as the limits allow now. Raises as ``finish``; what is published twice for that
        has the same event id."""
        for name in self._held.names:
            oldest = await self._held.oldest(name, RELEASE_REPORTS)
            if not oldest:
                self._held.forget(name)
            sender = await self._identities.device_over_mqtt(name, at=self._clock.now())
            due = []
            for report in oldest:
                if self._limits.request(_limited(name, sender)):
                    break
                due.append(report)
            if due:
                await self._publisher.confirm(
                    [
                        _envelope(name, sender, topic=each.topic, body=each.body, cause=each.cause, at=each.received_at)
                        for each in due
                    ]
                )
                await self._held.remove(due)
                for report in due:
                    self._metrics.count(table.GATEWAY_REPORTS, _outcome(sender, report.body))

    def _sort(
        self, batch: JudgedBatch, name: str, sender: EnrolledDevice | Stranger, message: MqttMessage, receipt: PacketReceipt
    ) -> None:
        """Put one message where it belongs."""
        at, limited = receipt.received_at, _limited(name, sender)
        if self._limits.content(limited, len(message.payload)):
            self._metrics.count(table.GATEWAY_LIMITED, "device_bytes")
            self._refuse(batch, name, "too many bytes in a day", at, message)
        elif self._held.holds(name) or self._limits.request(limited):
            self._metrics.count(table.GATEWAY_LIMITED, "device_requests")
            if isinstance(sender, EnrolledDevice) and self._held.reserve(name, len(message.payload)):
                batch.outcomes.append("held")
                held = HeldReport(name=name, cause=receipt.cause, topic=message.topic, received_at=at, body=message.payload)
                batch.held.append(held)
            else:
                self._refuse(batch, name, "too often", at, message)
        else:
            if isinstance(sender, EnrolledDevice):
                self._last_use.note(use_over_mqtt(name), at)
            batch.outcomes.append(_outcome(sender, message.payload))
            batch.envelopes.append(
                _envelope(name, sender, topic=message.topic, body=message.payload, cause=receipt.cause, at=at)
            )

    @staticmethod
    def _refuse(batch: JudgedBatch, name: str, reason: str, at: datetime, message: MqttMessage) -> None:
        batch.outcomes.append("refused")
        batch.refused.append(RefusedReport(name=name, reason=reason, refused_at=at, body=message.payload))


def _envelope(name: str, sender: EnrolledDevice | Stranger, *, topic: str, body: bytes, cause: str, at: datetime) -> Envelope:
    """Return the telemetry for a report; whatever is in it can be published, because ingest judges it."""
    headers = {DEVICE: name, SENT_BY: NO_VALID_CERTIFICATE if sender is Stranger.REVOKED else name, RECEIVED_AT: at.isoformat()}
    if len(body) > BODY_BYTES_LIMIT:
        headers[BODY_LENGTH] = str(len(body))
    return Envelope(
        event_id=event_id_of(cause, "gateway/mqtt"),
        reef_id=sender.reef_id if isinstance(sender, EnrolledDevice) else UNREGISTERED,
        schema_id=schema_of(topic),
        produced_at=at,
        body=body[:BODY_BYTES_LIMIT],
        headers=headers,
    )


def _limited(name: str, sender: EnrolledDevice | Stranger) -> EnrolledDevice:
    """Return by whose limits a message is counted: a stranger has those of a device with the usual interval."""
    if isinstance(sender, EnrolledDevice):
        return sender
    return EnrolledDevice(device=f"{sender.value} {name}", reef_id=UNREGISTERED, names=frozenset({name}))


def _outcome(sender: EnrolledDevice | Stranger, body: bytes) -> Outcome:
    match sender:
        case Stranger.UNKNOWN:
            return "unknown"
        case Stranger.REVOKED:
            return "revoked"
        case EnrolledDevice():
            report = read_report(body)
            named = report.names if isinstance(report, SentReport) else None
            return "accepted" if sender.may_send_as(named) else "spoofed"
