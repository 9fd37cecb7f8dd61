"""What an operator sets for the ingest service."""

from typing import ClassVar

from pydantic import Field

from reefmesh.settings import ServiceSettings


class IngestSettings(ServiceSettings):
    """As every service; the section ``[ingest]`` of the file and ``REEFMESH_INGEST_...`` are for it alone."""

    SECTION: ClassVar[str] = "ingest"

    mqtt_bridge: bool = Field(
        default=True,
        description="true or false: whether this process may be the one that takes in what devices send over MQTT",
    )
