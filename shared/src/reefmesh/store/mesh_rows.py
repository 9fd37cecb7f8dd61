"""Cursors and publications as rows of the mesh's own tables."""

import json
from collections.abc import Mapping
from typing import Final

from pydantic_core import to_json

from reefmesh.broker.port import Publication
from reefmesh.contracts.envelope import Envelope
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Unit

INBOX_LENGTH: Final = 128
"""Inputs remembered per reef and inbox. The cursor skips older repeats of numbered messages; raw telemetry has no numbers, and
brokers repeat it within far fewer messages of one reef than this."""

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
    return to_json({name: part for name, part in parts.items() if part}).decode()


def cursor_from_json(text: str) -> Cursor:
    parts = json.loads(text)
    missing = {subscription: tuple(numbers) for subscription, numbers in parts.get("missing", {}).items()}
    return Cursor(
        applied=parts.get("applied", {}),
        missing=missing,
        published=parts.get("published", {}),
        parked=parts.get("parked", {}),
        producers=parts.get("producers", {}),
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
