"""The settings of the scoring service."""

from typing import ClassVar

from reefmesh.settings import ServiceSettings


class ScoringSettings(ServiceSettings):
    """The section ``[scoring]`` of the file and ``REEFMESH_SCORING_...`` are for this service alone."""

    SECTION: ClassVar[str] = "scoring"
