"""Body of ``reef.quarantine``: telemetry, or one channel of it, that could not be understood, and why."""

from typing import Final, Literal

from pydantic import Base64Bytes, Field, TypeAdapter

from reefmesh.contracts.contract import Contract, Instant
from reefmesh.contracts.schema import QUARANTINE_1

PAYLOAD_BYTES_LIMIT: Final = 64 * 1024


class QuarantineEntry(Contract):
    """``scope`` is the whole message, one reading of it, or one channel; ``reason`` is a slug from a closed list of
    ingest's, ``detail`` says it to a person. ``payload`` is exactly what was received (of a channel: its JSON value), or
    None above ``PAYLOAD_BYTES_LIMIT``: ingest's own table keeps it whole."""

    quarantine_id: str
    event_id: str
    scope: Literal["message", "reading", "channel"]
    reason: str = Field(max_length=64)
    detail: str = Field(max_length=1000)
    device: str | None = Field(default=None, max_length=128)
    channel: str | None = Field(default=None, max_length=128)
    schema_id: str
    received_at: Instant
    payload_bytes: int = Field(ge=0)
    payload: Base64Bytes | None


READERS: Final = {QUARANTINE_1: TypeAdapter(QuarantineEntry)}
