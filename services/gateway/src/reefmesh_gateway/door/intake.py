"""What happens to a request for ``/v1/telemetry``, step by step. ``take`` names every step in order."""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from reefmesh.broker.port import BrokerUnavailable, PublishRefused
from reefmesh.clock import Clock
from reefmesh.contracts.envelope import event_id_of
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.store.port import StoreUnavailable
from reefmesh_gateway.answers import Answers, KeyOfAnotherBody, body_hash
from reefmesh_gateway.domain.report import REPORTS_LIMIT, SentReport, Unusable, read_report, split_batch
from reefmesh_gateway.domain.token import TEXT_CHARACTERS, Token
from reefmesh_gateway.door.body import read_body, unpack
from reefmesh_gateway.door.media import kind_of
from reefmesh_gateway.door.problem import DoorRefusal, later
from reefmesh_gateway.identities.device import EnrolledDevice
from reefmesh_gateway.identities.known import KnownIdentities, KnownSender
from reefmesh_gateway.identities.last_use import LastUse
from reefmesh_gateway.limits import DoorLimits
from reefmesh_gateway.publishing import ReportPublisher

IN_HAND_LIMIT: Final = 64
"""Requests between their body and their answer; further ones are told to come again."""
AGAIN_SECONDS: Final = 5
_KEY: Final = re.compile(r"[!-~]{1,128}")
_STATUS_OF: Final = {"not-json": 400, "unknown-format": 422, "too-large": 413}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """An answer of 202: what became of each report, as JSON. ``is_repeat``: it is the answer to an earlier request."""

    document_json: str
    is_repeat: bool = False


class Intake:
    """Takes one request at a time, as many side by side as there are."""

    def __init__(
        self,
        *,
        identities: KnownIdentities,
        last_use: LastUse,
        limits: DoorLimits,
        answers: Answers,
        publisher: ReportPublisher,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._identities = identities
        self._last_use = last_use
        self._limits = limits
        self._answers = answers
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._in_hand = 0

    async def take(self, request: Request) -> Acceptance:
        """Return what became of the reports; on return the broker has confirmed all that were accepted.

        Raises:
            DoorRefusal: the request is refused, and nothing of it was accepted; with 503 some of it may have been.
        """
        identity = await self._identify(request)
        self._admit(identity.device)
        kind = kind_of(request.headers.get("content-type", ""))
        key = _key_of(request)
        sent = await read_body(request.stream(), stated_length=request.headers.get("content-length"))
        if self._in_hand >= IN_HAND_LIMIT:
            self._metrics.count(table.GATEWAY_LIMITED, "in_hand")
            raise later(503, "busy", "too many requests are in hand", after_seconds=1)
        self._in_hand += 1
        try:
            body = unpack(sent, request.headers.get("content-encoding", ""))
            self._weigh(identity.device, body)
            return await self._accept(
                identity.device, split_batch(body) if kind == "batch" else [body] if body else [], body, key
            )
        except StoreUnavailable as error:
            raise _away(f"the gateway's database is away: {error}") from error
        finally:
            self._in_hand -= 1

    async def _identify(self, request: Request) -> KnownSender:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        token = Token.parse(text.strip()) if scheme.lower() == "bearer" and len(text) <= 2 * TEXT_CHARACTERS else None
        now = self._clock.now()
        try:
            identity = None if token is None else await self._identities.identify(token, at=now)
        except StoreUnavailable as error:
            raise _away(str(error)) from error
        if identity is None:
            raise DoorRefusal(
                status=401,
                reason="unauthenticated",
                detail="send the device's token: Authorization: Bearer rmt_...; this request had none that is valid",
                headers={"www-authenticate": 'Bearer realm="reefmesh"'},
            )
        self._last_use.note(identity.credential_id, now)
        return identity

    def _admit(self, device: EnrolledDevice) -> None:
        if wait := self._limits.request(device):
            self._metrics.count(table.GATEWAY_LIMITED, "device_requests")
            raise later(429, "too-many-requests", f"{device.device} sends too often", after_seconds=wait)

    def _weigh(self, device: EnrolledDevice, body: bytes) -> None:
        if wait := self._limits.content(device, len(body)):
            self._metrics.count(table.GATEWAY_LIMITED, "device_bytes")
            raise later(429, "too-many-bytes", f"{device.device} has sent too much in a day", after_seconds=wait)

    async def _accept(self, device: EnrolledDevice, reports: Sequence[bytes], body: bytes, key: str | None) -> Acceptance:
        if not reports:
            raise DoorRefusal(status=400, reason="empty", detail="there is no report in the body")
        if len(reports) > REPORTS_LIMIT:
            raise DoorRefusal(status=413, reason="too-many-reports", detail=f"a batch has {REPORTS_LIMIT} reports at most")
        sha256 = body_hash(body)
        if key is not None and (known := await self._known_answer(device, key, sha256)) is not None:
            return Acceptance(document_json=known, is_repeat=True)
        read = [read_report(each) for each in reports]
        usable = [each for each in read if isinstance(each, SentReport)]
        cause = None if key is None else event_id_of(f"{device.device}\n{key}\n{sha256}", "gateway")
        event_ids = await self._publish(device, usable, cause) if usable else []
        outcomes = self._outcomes(device, read, event_ids)
        document = {"device": device.device, "reports": outcomes}
        if refusal := _refusal_of_all(read, device, document):
            raise refusal
        document_json = json.dumps(document, ensure_ascii=False)
        if key is not None:
            await self._answers.keep(device.device, key, sha256, document_json)
        return Acceptance(document_json=document_json)

    async def _known_answer(self, device: EnrolledDevice, key: str, sha256: str) -> str | None:
        try:
            return await self._answers.find(device.device, key, sha256)
        except KeyOfAnotherBody:
            detail = "this idempotency key was used for another body; give each request a key of its own"
            raise DoorRefusal(status=409, reason="key-of-another-body", detail=detail) from None

    async def _publish(self, device: EnrolledDevice, reports: Sequence[SentReport], cause: str | None) -> Sequence[str]:
        begun = asyncio.get_running_loop().time()
        try:
            event_ids = await self._publisher.publish(device, reports, received_at=self._clock.now(), cause=cause)
        except (BrokerUnavailable, PublishRefused) as error:
            raise _away(f"the broker has not confirmed: {error}") from error
        self._metrics.observe(table.GATEWAY_CONFIRM_SECONDS, asyncio.get_running_loop().time() - begun)
        return event_ids

    def _outcomes(
        self, device: EnrolledDevice, read: Sequence[SentReport | Unusable], event_ids: Sequence[str]
    ) -> list[dict[str, Any]]:
        outcomes: list[dict[str, Any]] = []
        ids = iter(event_ids)
        for place, each in enumerate(read):
            match each:
                case Unusable():
                    outcomes.append({"index": place, "outcome": "refused", "reason": each.reason, "detail": each.detail})
                case SentReport() if not device.may_send_as(each.names):
                    outcome = {"index": place, "outcome": "spoofed", "reason": "spoofed", "event_id": next(ids)}
                    outcomes.append(outcome | {"detail": f"{device.device} may not send for the device that it names"})
                case SentReport():
                    outcomes.append({"index": place, "outcome": "accepted", "event_id": next(ids), "format": each.schema_id})
            self._metrics.count(table.GATEWAY_REPORTS, outcomes[-1]["outcome"])
        return outcomes


def _refusal_of_all(
    read: Sequence[SentReport | Unusable], device: EnrolledDevice, document: dict[str, Any]
) -> DoorRefusal | None:
    """Return the refusal of a request of which no report was accepted; None: some was."""
    if any(isinstance(each, SentReport) and device.may_send_as(each.names) for each in read):
        return None
    if any(isinstance(each, SentReport) for each in read):
        detail = f"{device.device} may not send for another device; what it sent is kept in quarantine as spoofed, and not used"
        return DoorRefusal(status=403, reason="spoofed", detail=detail, more=document)
    unusable = [each for each in read if isinstance(each, Unusable)]
    first = unusable[0]
    status = _STATUS_OF[first.reason] if len({each.reason for each in unusable}) == 1 else 422
    place = "" if len(unusable) == 1 else "report 0: "
    return DoorRefusal(status=status, reason=first.reason, detail=f"{place}{first.detail}", more=document)


def _key_of(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        detail = "Idempotency-Key has 1 to 128 printable ASCII characters, without blanks"
        raise DoorRefusal(status=400, reason="idempotency-key", detail=detail)
    return key


def _away(detail: str) -> DoorRefusal:
    return later(503, "unavailable", f"{detail}; send it again, with the same Idempotency-Key", after_seconds=AGAIN_SECONDS)
