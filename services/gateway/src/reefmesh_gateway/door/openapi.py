"""The description of the door for programs (OpenAPI 3.1), from the limits that hold. ``python -m`` prints it."""

import json
import sys
from typing import Any, Final

import reefmesh
from reefmesh_gateway.domain.report import REPORT_BYTES_LIMIT, REPORTS_LIMIT
from reefmesh_gateway.door.body import SENT_BYTES_LIMIT, UNPACKED_BYTES_LIMIT
from reefmesh_gateway.door.media import BATCH, ONE
from reefmesh_gateway.door.problem import MEDIA_TYPE

_REFUSALS: Final = {
    400: "What was sent cannot be read: no JSON, no gzip, cut off, empty, or an idempotency key that is none.",
    401: "No valid token.",
    403: "Every report names a device that is not the sender's. They are kept in quarantine as spoofed, and not used.",
    409: "The idempotency key was used for another body within a day.",
    413: f"More than {SENT_BYTES_LIMIT} bytes as sent, {UNPACKED_BYTES_LIMIT} unpacked, {REPORT_BYTES_LIMIT} in one report, or"
    f" {REPORTS_LIMIT} reports.",
    415: "Another content type or content encoding.",
    422: "JSON, and of none of the formats.",
    429: "Too many requests or bytes; Retry-After says after how many seconds it fits.",
    503: "The broker has not confirmed, or the database is away: send it again, with the same idempotency key.",
}


def document() -> dict[str, Any]:
    """Return the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "reefmesh gateway",
            "version": reefmesh.__version__,
            "description": "Devices send their reports here.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {"/v1/telemetry": {"post": _post()}},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "The token of one device."}},
            "schemas": {"Acceptance": _taken(), "Outcome": _outcome(), "Problem": _problem()},
        },
    }


def _post() -> dict[str, Any]:
    return {
        "operationId": "sendTelemetry",
        "summary": "Send one report, or a batch.",
        "description": "Answers once the broker has confirmed every accepted report. Ingest judges what is in them later.",
        "security": [{"token": []}],
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Names this request for a day: a repeat with the same body gets the first answer again.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
            },
            {
                "name": "Content-Encoding",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "enum": ["gzip", "identity"]},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                ONE: {
                    "schema": {
                        "type": "object",
                        "description": "telemetry/1, or a report of a Nemo-Pi of either generation, told apart by its fields.",
                        "anyOf": [
                            {"required": ["schema"], "properties": {"schema": {"const": "telemetry/1"}}},
                            {"required": ["msg_type"], "properties": {"msg_type": {"type": "string"}}},
                            {"required": ["serial_number", "measurements"]},
                        ],
                    }
                },
                BATCH: {"schema": {"type": "string", "description": f"A report on each line, {REPORTS_LIMIT} at most."}},
            },
        },
        "responses": {
            "202": {
                "description": "At least one report was accepted; the rest has its reason beside it.",
                "content": {ONE: {"schema": {"$ref": "#/components/schemas/Acceptance"}}},
            },
            **{
                str(status): {
                    "description": text,
                    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                | ({"headers": {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}} if status in (429, 503) else {})
                for status, text in _REFUSALS.items()
            },
        },
    }


def _taken() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["device", "reports"],
        "properties": {
            "device": {"type": "string", "description": "The device whose token was shown."},
            "reports": {"type": "array", "items": {"$ref": "#/components/schemas/Outcome"}},
        },
    }


def _outcome() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["index", "outcome"],
        "properties": {
            "index": {"type": "integer", "minimum": 0, "description": "The report's place in the request."},
            "outcome": {"enum": ["accepted", "spoofed", "refused"]},
            "format": {"enum": ["telemetry/1", "nemopi-mqtt/1", "nemopi-2021/1"]},
            "event_id": {"type": "string", "description": "The report's id in the mesh."},
            "reason": {"enum": ["not-json", "unknown-format", "too-large", "spoofed"]},
            "detail": {"type": "string"},
        },
    }


def _problem() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "title", "status", "reason", "detail"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "reason": {"type": "string", "description": "A name that stays the same, for programs."},
            "detail": {"type": "string", "description": "A sentence for people."},
            "device": {"type": "string"},
            "reports": {"type": "array", "items": {"$ref": "#/components/schemas/Outcome"}},
        },
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
