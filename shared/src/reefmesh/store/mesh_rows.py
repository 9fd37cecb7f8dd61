"""Cursors and publications as rows of the mesh's own tables."""

import json
from collections.abc import Mapping
from typing import Final

from pydantic_core import to_json

from reefmesh.broker.port import Publication
from reefmesh.contracts.envelope import Envelope
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Unit

OutboxRow = tuple[str, str, str, int, int, str, str, bytes, int]
"""event_id, cause_event_id, reef_id, version, position, channel, headers_json, body, created_us."""

SELECT_REEF_OUTPUTS: Final = """
SELECT cause_event_id, channel, headers_json, body FROM mesh_outbox WHERE reef_id = ? ORDER BY version, position
"""


def cursor_to_json(cursor: Cursor) -> str:
    """Return the JSON of a cursor without its empty parts, since there is one in every row."""
    parts: dict[str, Mapping[str, object]] = {"applied": cursor.applied, "published": cursor.published}
    if cursor.missing:
        parts["missing"] = cursor.missing
    if cursor.parked:
        parts["parked"] = cursor.parked
    if cursor.producers:
        parts["producers"] = cursor.producers
    if cursor.hashes:
        parts["hashes"] = cursor.hashes
    return to_json({name: part for name, part in parts.items() if part}).decode()


def cursor_from_json(text: str) -> Cursor:
    """Read a cursor. Rows of earlier versions lack the newer parts; earlier versions ignore the parts that they do not know,
    and drop them with their next write."""
    parts = json.loads(text)
    missing = {inbox: tuple(sorted(numbers)) for inbox, numbers in parts.get("missing", {}).items()}
    return Cursor(
        applied=parts.get("applied", {}),
        missing=missing,
        published=parts.get("published", {}),
        parked=parts.get("parked", {}),
        producers=parts.get("producers", {}),
        hashes=parts.get("hashes", {}),
    )


def outbox_rows(unit: Unit, *, version: int, created_us: int) -> list[OutboxRow]:
    """Return the outbox rows of a unit; ``version`` is the reef's version after the unit."""
    rows: list[OutboxRow] = []
    for position, output in enumerate(unit.outputs):
        message = output.message
        headers = to_json(message.to_headers()).decode()
        rows.append(
            (
                message.event_id,
                unit.event_id,
                unit.reef_id,
                version,
                position,
                output.channel,
                headers,
                message.body,
                created_us,
            )
        )
    return rows


def publication_from_row(channel: str, headers_json: str, body: bytes) -> Publication:
    return Publication(channel=channel, message=Envelope.from_headers(json.loads(headers_json), body))
