"""The settings of the scoring service."""

from typing import ClassVar

from pydantic import Field

from reefmesh.contracts.schema import SCORES_1
from reefmesh.settings import ServiceSettings
from reefmesh_scoring.handler import ScoresSchema


class ScoringSettings(ServiceSettings):
    """The section ``[scoring]`` of the file and ``REEFMESH_SCORING_...`` are for this service alone."""

    SECTION: ClassVar[str] = "scoring"

    scores_schema: ScoresSchema = Field(
        default=SCORES_1,
        description="scores/1 or scores/2: what is published; scores/2 once every consumer of reef.scores reads it",
    )
