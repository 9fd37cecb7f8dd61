"""An envelope as a row of the journal, and back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from reefmesh.broker.port import PublishRefused
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, HEADER_BYTES_LIMIT, Envelope

COLUMNS: Final = "id, channel, reef_id, event_id, schema_id, produced_us, seq, traceparent, headers, published_us, body"
"""The columns of ``message`` in the order of a record; the body last, so that scans need not read it."""

Record = tuple[int, str, str, str, str, int, int | None, str | None, str | None, int, bytes]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIXED_HEADER_BYTES: Final = 1024
"""More than the envelope's own fields can take as headers: their lengths are bounded by the contract."""


def microseconds(instant: datetime) -> int:
    """Return whole microseconds since 1970, exact."""
    return (instant - _EPOCH) // _MICROSECOND


def record_of(position: int, channel: str, message: Envelope, published_us: int) -> Record:
    headers = message.headers
    return (
        position,
        channel,
        message.reef_id,
        message.event_id,
        message.schema_id,
        (message.produced_at - _EPOCH) // _MICROSECOND,
        message.seq,
        message.traceparent,
        json.dumps(headers, ensure_ascii=False) if headers else None,
        published_us,
        message.body,
    )


def envelope_of(record: Any) -> Envelope:
    """Read an envelope back; it was validated when it was made."""
    _, _, reef_id, event_id, schema_id, produced_us, seq, traceparent, headers, _, body = record
    return Envelope.model_construct(
        event_id=event_id,
        reef_id=reef_id,
        schema_id=schema_id,
        produced_at=_EPOCH + timedelta(microseconds=produced_us),
        body=body,
        seq=seq,
        traceparent=traceparent,
        headers=json.loads(headers) if headers else {},
    )


def check_size(message: Envelope) -> None:
    """Check the limits that hold on every engine.

    Raises:
        PublishRefused: the body or the headers are above their limit.
    """
    if len(message.body) > BODY_BYTES_LIMIT:
        raise PublishRefused(
            f"message {message.event_id}: the body has {len(message.body)} bytes, the limit is {BODY_BYTES_LIMIT}"
        )
    if message.headers:  # without further headers the contract's own bounds are far below the limit
        try:
            size = sum(len(name.encode()) + len(value.encode()) + 2 for name, value in message.to_headers().items())
        except UnicodeEncodeError:
            raise PublishRefused(f"message {message.event_id}: a header is not valid Unicode text") from None
        if size > HEADER_BYTES_LIMIT:
            raise PublishRefused(
                f"message {message.event_id}: the headers have {size} bytes, the limit is {HEADER_BYTES_LIMIT}"
            )
