"""Signatures on webhook requests; ``docs/webhooks.md`` shows receivers how to check them."""

import hmac
from collections.abc import Sequence
from typing import Final

TIMESTAMP_HEADER: Final = "X-Reefmesh-Timestamp"
SIGNATURE_HEADER: Final = "X-Reefmesh-Signature"
KEY_HEADER: Final = "Idempotency-Key"
VERSION: Final = "v1"


def sign(secrets: Sequence[str], timestamp: str, body: bytes) -> str:
    """Return the signature header: for each secret the HMAC-SHA256 (RFC 2104) of ``timestamp + "." + body`` in hexadecimal."""
    signed = timestamp.encode() + b"." + body
    return ",".join(f"{VERSION}={hmac.new(secret.encode(), signed, 'sha256').hexdigest()}" for secret in secrets)
