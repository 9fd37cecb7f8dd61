"""Signatures on webhook requests; ``docs/webhooks.md`` shows receivers how to check them."""

import hmac
from typing import Final

TIMESTAMP_HEADER: Final = "X-Reefmesh-Timestamp"
SIGNATURE_HEADER: Final = "X-Reefmesh-Signature"
KEY_HEADER: Final = "Idempotency-Key"
VERSION: Final = "v1"


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature header: HMAC-SHA256 (RFC 2104) of ``timestamp + "." + body`` in hexadecimal."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, "sha256").hexdigest()
    return f"{VERSION}={digest}"
