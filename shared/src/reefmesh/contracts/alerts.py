"""Body of ``reef.alerts``: one change at a reef with its states, its time and its evidence."""

from typing import Final, Literal

from pydantic import Field, TypeAdapter

from reefmesh.contracts.contract import BuoyId, Contract, Instant, ReefId
from reefmesh.contracts.schema import ALERT_1

Kind = Literal["heat", "dive", "chemistry", "buoy_silent", "buoy_drift", "buoy_battery", "sensor_fault"]
Change = Literal["opened", "worsened", "eased", "changed", "closed"]


class Alert(Contract):
    """One change of one episode.

    ``subject`` names the part of the reef: a buoy, or a buoy and quantity (``imei/sea_water_temperature``); it is empty for
    the whole reef. ``severity`` orders the states of a kind (heat: the level's code). ``occurred_at`` is event time,
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
