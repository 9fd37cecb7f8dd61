"""What is kept of a refused message: all of it, or its first bytes with a hash and the length."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.senders import REPLAY_OF
from reefmesh_ingest.domain.arrival import Reception
from reefmesh_ingest.domain.decode.document import PAYLOAD_BYTES_LIMIT
from reefmesh_ingest.quarantine.quota import SAMPLE_BYTES_LIMIT, Keeping

HEADERS_CHARACTERS_LIMIT: Final = 16_384
SAMPLE_HEADER_CHARACTERS_LIMIT: Final = 128
SAMPLE_HEADERS_LIMIT: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """``payload_bytes`` and ``payload_sha256`` are of the whole payload where ``payload`` and ``headers_json`` are cut, else
    None: a message that was cut can be shown, and cannot be replayed."""

    payload: bytes
    headers_json: str
    payload_bytes: int | None
    payload_sha256: str | None

    @property
    def stored_bytes(self) -> int:
        return len(self.payload) + len(self.headers_json)


def kept_message(reception: Reception, keeping: Keeping) -> KeptMessage:
    """Cut a sample to its first KiB, and so whatever has a longer payload than any report or very long headers."""
    body = reception.message.body
    headers = {name: value for name, value in reception.message.headers.items() if name != REPLAY_OF}
    headers_json = json.dumps(headers)
    body_limit = SAMPLE_BYTES_LIMIT if keeping is Keeping.SAMPLE else PAYLOAD_BYTES_LIMIT
    if len(body) <= body_limit and len(headers_json) <= HEADERS_CHARACTERS_LIMIT:
        return KeptMessage(payload=body, headers_json=headers_json, payload_bytes=None, payload_sha256=None)
    limit = SAMPLE_HEADER_CHARACTERS_LIMIT
    some = {name[:limit]: value[:limit] for name, value in list(headers.items())[:SAMPLE_HEADERS_LIMIT]}
    return KeptMessage(
        payload=body[:SAMPLE_BYTES_LIMIT],
        headers_json=json.dumps(some),
        payload_bytes=len(body),
        payload_sha256=hashlib.sha256(body).hexdigest(),
    )
