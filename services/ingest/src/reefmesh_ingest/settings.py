"""The settings of the ingest service."""

from typing import Annotated, ClassVar

from pydantic import Field

from reefmesh.settings import ServiceSettings
from reefmesh_ingest.quarantine.quota import Quota


class IngestSettings(ServiceSettings):
    """The section ``[ingest]`` of the file and ``REEFMESH_INGEST_...`` are for this service alone."""

    SECTION: ClassVar[str] = "ingest"

    lanes: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=64, description="a whole number from 1 to 1024; each lane takes one of the broker's subscriptions"
    )
    mqtt_bridge: bool = Field(
        default=True,
        description="true or false: whether this process may run the bridge that takes in what devices send over MQTT",
    )
    quarantine_device_entries_limit: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=1_000, description="a whole number from 1 to 1000000: open quarantine entries that one claimed device may have"
    )
    quarantine_device_bytes_limit: Annotated[int, Field(ge=1024, le=1 << 40)] = Field(
        default=8 * 1024 * 1024, description="bytes, from 1024: what the open entries of one claimed device may take"
    )
    quarantine_entries_limit: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        default=100_000, description="a whole number from 1 to 100000000: quarantine entries of all devices"
    )
    quarantine_bytes_limit: Annotated[int, Field(ge=1024, le=1 << 40)] = Field(
        default=200 * 1024 * 1024, description="bytes, from 1024: what all quarantine entries may take"
    )
    quarantine_days_limit: Annotated[float, Field(gt=0, le=36_500)] = Field(
        default=90.0, description="days, above 0 and at most 36500: after which an entry is removed"
    )

    def quota(self) -> Quota:
        return Quota(
            device_entries_limit=self.quarantine_device_entries_limit,
            device_bytes_limit=self.quarantine_device_bytes_limit,
            entries_limit=self.quarantine_entries_limit,
            bytes_limit=self.quarantine_bytes_limit,
            age_days_limit=self.quarantine_days_limit,
        )
