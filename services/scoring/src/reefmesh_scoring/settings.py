"""What an operator sets for the scoring service."""

from typing import ClassVar

from reefmesh.settings import ServiceSettings


class ScoringSettings(ServiceSettings):
    """As every service; the section ``[scoring]`` of the file and ``REEFMESH_SCORING_...`` are for it alone."""

    SECTION: ClassVar[str] = "scoring"
