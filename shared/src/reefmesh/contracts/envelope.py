"""The envelope: the facts that every message carries beside its body, as broker headers."""

from datetime import datetime
from hashlib import sha1
from typing import Final
from uuid import UUID

from pydantic import Field, ValidationError

from reefmesh.contracts.contract import Contract, Instant, ReefId
from reefmesh.errors import PoisonMessage
from reefmesh.mistake_sentence import sentence_of

NAMESPACE: Final = UUID("6f5c1f6e-2b0a-5c41-9d3a-0d7c6f0a7c55")
"""UUIDv5 namespace of every event id of the mesh."""
_NAMESPACE_BYTES: Final = NAMESPACE.bytes

HEADER_BYTES_LIMIT: Final = 8 * 1024
BODY_BYTES_LIMIT: Final = 16 * 1024 * 1024
"""The largest body that is published. Telemetry has a smaller limit; ingest quarantines a message above that as a whole."""

PRODUCER_ID: Final = "producer-id"
"""Header of telemetry: one run of one sender."""

FOLLOWS: Final = "follows"
"""Header of telemetry: the event id of the message that this producer published before this one for the reef."""


class Envelope(Contract):
    """One message of the mesh.

    ``seq`` counts from 1 per reef and channel; the producer assigns it in its transaction. Raw telemetry has many senders and
    therefore no ``seq``: one that a sender sets there is ignored. ``headers`` are further facts as text, with lower-case
    names (of telemetry: ``device``, ``received-at`` and, from some senders, ``PRODUCER_ID`` and ``FOLLOWS``).
    """

    event_id: str = Field(pattern=r"^[!-~]{1,128}$")  # printable ASCII: every broker and database carries it
    reef_id: ReefId
    schema_id: str = Field(min_length=1, max_length=64)
    produced_at: Instant
    body: bytes
    seq: int | None = Field(default=None, ge=1)
    traceparent: str | None = Field(default=None, max_length=64)
    headers: dict[str, str] = Field(default_factory=dict)

    def to_headers(self) -> dict[str, str]:
        """Return the envelope without its body, as the text headers that every engine carries."""
        headers = {
            **self.headers,
            "event-id": self.event_id,
            "reef-id": self.reef_id,
            "schema": self.schema_id,
            "produced-at": self.produced_at.isoformat(),
        }
        if self.seq is not None:
            headers["seq"] = str(self.seq)
        if self.traceparent is not None:
            headers["traceparent"] = self.traceparent
        return headers

    @classmethod
    def from_headers(cls, headers: dict[str, str], body: bytes) -> "Envelope":
        """Read an envelope back; further headers are kept in ``headers``.

        Raises:
            PoisonMessage: a header is missing or malformed (reason ``bad-envelope``).
        """
        rest = dict(headers)
        try:
            return cls(
                event_id=rest.pop("event-id", ""),
                reef_id=rest.pop("reef-id", ""),
                schema_id=rest.pop("schema", ""),
                produced_at=datetime.fromisoformat(rest.pop("produced-at", "")),
                seq=int(seq) if (seq := rest.pop("seq", None)) is not None else None,
                traceparent=rest.pop("traceparent", None),
                headers=rest,
                body=body,
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise PoisonMessage("bad-envelope", f"{place}: {sentence_of(first)}") from error
        except ValueError as error:
            raise PoisonMessage("bad-envelope", str(error).splitlines()[0]) from error


def event_id_of(cause: str, step: str) -> str:
    """Return the deterministic id of what ``step`` makes of the input ``cause`` (UUIDv5): a repeat has the same id.

    Every output has one, and Python's own ``uuid5`` takes three times as long.
    """
    digest = bytearray(sha1(_NAMESPACE_BYTES + f"{cause}\n{step}".encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
