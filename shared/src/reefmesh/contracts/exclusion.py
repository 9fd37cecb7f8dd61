"""Body of ``exclusion/1`` on ``reef.telemetry``: in which period a buoy's values do not count, or count again.

It is no telemetry: operators send it by that channel because it changes the readings of a reef in the reef's own order. It is
believed of them, and of ingest itself, which sends it on to go through a long period in parts.
"""

from typing import Final, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from reefmesh.contracts.contract import BuoyId, Contract, Instant
from reefmesh.contracts.envelope import event_id_of
from reefmesh.contracts.schema import EXCLUSION_1

REASON_CHARACTERS_LIMIT: Final = 200

EXCLUDED: Final = "excluded: "
"""How the ``fault`` of an excluded value begins in ``readings/1``. Ingest lets no device's own words begin so."""


class ExclusionRequest(Contract):
    """``from_at`` is in the period, ``until_at`` is not; ``quantity`` None: all quantities of the buoy.

    ``request_id`` and ``resume_at`` are set where ingest sends a request on: the event id of the operator's message, and the
    instant from which on readings are still to be looked at.
    """

    action: Literal["exclude", "include"]
    buoy_id: BuoyId
    from_at: Instant
    until_at: Instant
    quantity: str | None = Field(default=None, min_length=1, max_length=100)
    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS_LIMIT)
    request_id: str | None = Field(default=None, pattern=r"^[!-~]{1,128}$")
    resume_at: Instant | None = None

    @model_validator(mode="after")
    def _require_period(self) -> Self:
        if self.from_at >= self.until_at:
            raise ValueError("until_at must be later than from_at")
        return self

    @property
    def exclusion_id(self) -> str:
        """The same buoy, period and quantity are the same exclusion."""
        period = f"{self.from_at.isoformat()}\n{self.until_at.isoformat()}"
        return event_id_of(f"{self.buoy_id}\n{period}\n{self.quantity or ''}", "exclusion")


def excluded_fault(reason: str) -> str:
    """Return the ``fault`` under which an excluded value is published."""
    return f"{EXCLUDED}{reason}"


def is_excluded(fault: str | None) -> bool:
    """Tell whether this ``fault`` of a value says that it does not count."""
    return fault is not None and fault.startswith(EXCLUDED)


READERS: Final = {EXCLUSION_1: TypeAdapter(ExclusionRequest)}
