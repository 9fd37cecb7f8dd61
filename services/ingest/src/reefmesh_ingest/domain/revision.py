"""Readings in their next revision, with the verdicts of quality control."""

from collections.abc import Mapping

from reefmesh_ingest.domain.quality import MISSING, Verdict
from reefmesh_ingest.domain.reading import StoredReading

InstantVerdicts = dict[int, dict[str, Verdict]]
"""Instant -> quantity -> verdict, of everything whose verdict is new or changed."""


def revised(
    changed: Mapping[int, StoredReading], verdicts: InstantVerdicts, neighbours: Mapping[int, StoredReading]
) -> list[StoredReading]:
    """Return every reading that is new or changed or has another verdict, in its next revision, oldest first.

    ``changed`` are the joined readings by instant; ``neighbours`` hold the other readings of which ``verdicts`` speak.
    """
    found = []
    for instant in sorted(changed.keys() | verdicts.keys()):
        reading = changed.get(instant)
        if reading is None:
            reading = neighbours[instant]
        now = verdicts.get(instant)
        judged = {**reading.verdicts, **now} if now else dict(reading.verdicts)
        for quantity, content in reading.contents.items():
            if content.raw is None:
                judged[quantity] = MISSING
        found.append(reading._replace(verdicts=judged, revision=reading.revision + 1))
    return found
