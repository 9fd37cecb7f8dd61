"""Body of ``reef.quarantine``: telemetry, or one quantity of it, that ingest could not understand, and the reason."""

from typing import Final, Literal

from pydantic import Base64Bytes, Field, TypeAdapter

from reefmesh.contracts.contract import Contract, Instant
from reefmesh.contracts.schema import QUARANTINE_1

PAYLOAD_BYTES_LIMIT: Final = 64 * 1024


class QuarantineEntry(Contract):
    """One quarantined part of telemetry.

    ``scope`` is the whole message, one reading of it, or one quantity (``channel`` on the wire). ``reason`` is a slug from a
    closed list of ingest's, ``detail`` is a sentence for people. ``payload`` holds the received bytes (for a quantity: its
    JSON value), or None above ``PAYLOAD_BYTES_LIMIT``: ingest's own table has all of them.
    """

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
