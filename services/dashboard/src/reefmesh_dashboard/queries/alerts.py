"""Alerts of one reef or of all, newest first."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from reefmesh.contracts.alerts import Alert
from reefmesh_dashboard.queries.reading import Reader

_WHERE: Final = "occurred_us >= ? AND occurred_us < ? AND (occurred_us, alert_id) < (?, ?)"
_KIND: Final = "kind = ?"
_REEF: Final = "reef_id = ?"
_ORDER: Final = "ORDER BY occurred_us DESC, alert_id DESC LIMIT ?"


class AlertPlace(NamedTuple):
    occurred_us: int
    alert_id: str


AFTER_ALL: Final = AlertPlace(1 << 62, "")


async def alerts_of(
    reader: Reader,
    reef_id: str | None,
    *,
    kind: str | None = None,
    first_us: int,
    end_us: int,
    before: AlertPlace = AFTER_ALL,
    limit: int,
) -> Sequence[Alert]:
    """``reef_id`` None: of all reefs; ``kind`` None: of every kind. ``before``: the place of the last one that is known."""
    asked = [(column, value) for column, value in ((_REEF, reef_id), (_KIND, kind)) if value is not None]
    where = " AND ".join([*(column for column, _ in asked), _WHERE])
    sql = f"SELECT body_json FROM alerts WHERE {where} {_ORDER}"  # noqa: S608  # four texts of constants
    rows = await reader.fetch(sql, (*(value for _, value in asked), first_us, end_us, *before, limit))
    return [Alert.model_validate_json(body) for (body,) in rows]
