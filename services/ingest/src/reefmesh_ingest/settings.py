"""The settings of the ingest service."""

from typing import Annotated, ClassVar

from pydantic import Field

from reefmesh.settings import ServiceSettings


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
