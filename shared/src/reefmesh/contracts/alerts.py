"""Body of ``reef.alerts``: what changed at a reef, from what to what, when, on what evidence."""

from typing import Final, Literal

from pydantic import Field, TypeAdapter

from reefmesh.contracts.contract import BuoyId, Contract, Instant, ReefId
from reefmesh.contracts.schema import ALERT_1

Kind = Literal["heat", "dive", "chemistry", "buoy_silent", "buoy_drift", "buoy_battery", "sensor_fault"]
Change = Literal["opened", "worsened", "eased", "changed", "closed"]


class Alert(Contract):
    """One change of one episode.

    ``subject`` is what the episode is about besides the reef: a buoy, or a buoy and channel (``imei/sea_water_temperature``),
    else empty. ``severity`` orders states inside a kind (heat: the level's code). ``occurred_at`` is event time,
    ``data_age_seconds`` the age of the newest evidence when the alert was raised.
    """

    alert_id: str
    reef_id: ReefId
    reef_name: str
    kind: Kind
    subject: str = ""
    buoy_id: BuoyId | None = None
    change: Change
    from_state: str
    to_state: str
    severity: int = Field(ge=0)
    occurred_at: Instant
    raised_at: Instant
    data_age_seconds: float = Field(ge=0)
    summary: str
    evidence: dict[str, str | float | int | None]


READERS: Final = {ALERT_1: TypeAdapter(Alert)}
