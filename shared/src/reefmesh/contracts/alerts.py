"""Body of ``reef.alerts``: one change at a reef with its states, its time and its evidence."""

from typing import Any, Final, Literal, get_args

from pydantic import Field, TypeAdapter

from reefmesh.contracts.contract import BuoyId, Contract, Instant, ReefId
from reefmesh.contracts.schema import ALERT_1, ALERT_2

Kind1 = Literal["heat", "dive", "chemistry", "buoy_silent", "buoy_drift", "buoy_battery", "sensor_fault"]
Kind = Literal[Kind1, "quantity_silent"]
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


class Alert1(Alert):
    """The same without the kinds that came later."""

    kind: Kind1


READERS: Final[dict[str, TypeAdapter[Any]]] = {ALERT_1: TypeAdapter(Alert1), ALERT_2: TypeAdapter(Alert)}


def schema_of(kind: Kind) -> str:
    """Return the lowest major that can say an alert of this kind: whoever reads only that one misses nothing else."""
    return ALERT_1 if kind in get_args(Kind1) else ALERT_2
