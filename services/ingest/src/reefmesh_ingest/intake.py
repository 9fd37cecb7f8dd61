"""One message of a known buoy on its way from observations to revised readings: the pure steps, counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reefmesh_ingest.domain.assignment import assign
from reefmesh_ingest.domain.decode import Observation, Report
from reefmesh_ingest.domain.decode.refusals import RefusedParts
from reefmesh_ingest.domain.quality import MISSING, judge_position
from reefmesh_ingest.domain.reading import Content, Place, StoredReading, content_of, joined, without
from reefmesh_ingest.domain.time_sanity import TimeSource
from reefmesh_ingest.judging import Values, Verdicts
from reefmesh_ingest.register.table import KnownBuoy

Instant = tuple[int, TimeSource]


@dataclass(slots=True)
class Counts:
    """What became of the readings of one message."""

    new: int = 0
    merged: int = 0
    duplicate: int = 0
    quarantined: int = 0

    @property
    def received(self) -> int:
        return self.new + self.merged + self.duplicate + self.quarantined


@dataclass(slots=True)
class Intake:
    """The readings that a message touches: ``work`` by instant, in their state after it, and the ``values`` to judge.

    ``withdrawn_origins`` has one entry, the event id of the message that had reported it, for each reading withdrawn.
    """

    buoy: KnownBuoy
    origin: str
    received_us: int
    counts: Counts = field(default_factory=Counts)
    work: dict[int, StoredReading] = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    withdrawn_origins: list[str] = field(default_factory=list)

    def readings_of(self, observations: Sequence[Observation], instants: Sequence[Instant]) -> list[StoredReading]:
        """Return what each observation reports, at its instant, not judged yet."""
        return [
            self._reading(observation, observed_us, source)
            for observation, (observed_us, source) in zip(observations, instants, strict=True)
        ]

    def _reading(self, observation: Observation, observed_us: int, source: TimeSource) -> StoredReading:
        factors, faults, place = observation.factors, observation.faults, observation.position
        if factors or faults:
            contents = {
                name: content_of(raw, factors.get(name, 1.0), faults.get(name)) for name, raw in observation.values.items()
            }
        else:
            contents = {name: Content(raw, raw) for name, raw in observation.values.items()}
        return StoredReading(
            observed_us,
            self.received_us,
            source,
            0,
            False,
            self.origin,
            contents,
            {},
            None if place is None else self._place(*place),
            observation.status,
        )

    def _place(self, latitude_degrees: float, longitude_degrees: float) -> Place:
        entry = self.buoy.entry
        flag, drift = judge_position(
            latitude_degrees, longitude_degrees, mooring=self.buoy.mooring, suspect_metres=entry.drift_limit_metres
        )
        return Place(latitude_degrees, longitude_degrees, flag, None if drift is None else round(drift, 2))

    def take(self, reported: Iterable[StoredReading], known: dict[int, StoredReading]) -> None:
        """Join what was reported into what is known (by instant; those not in it are new), and count what became of it."""
        work, counts, values = self.work, self.counts, self.values
        for reading in sorted(reported, key=_instant_of):
            instant = reading.observed_us
            at_hand = work.get(instant)
            before = known.get(instant) if at_hand is None else at_hand
            if before is None or before.withdrawn:
                counts.new += 1
                work[instant] = reading if before is None else joined(before, reading)
                for name, content in reading.contents.items():
                    if content.value is not None:
                        of_channel = values.get(name)
                        if of_channel is None:
                            of_channel = values[name] = {}
                        of_channel[instant] = content.value
                continue
            after = joined(before, reading)
            if at_hand is None and before.origin == self.origin:
                counts.new += 1  # a replay meets the row that this very message made
            elif after is before:
                counts.duplicate += 1
            else:
                counts.merged += 1
            if after is not before:
                self._change(before, after)

    def withdraw(self, reported: Iterable[StoredReading], known: dict[int, StoredReading]) -> None:
        """Take what was reported out of the known readings: it was a later copy of this message."""
        for reading in reported:
            before = self.work.get(reading.observed_us) or known.get(reading.observed_us)
            if before is None or before.withdrawn:
                continue
            after = without(before, reading)
            if after.withdrawn:
                self.withdrawn_origins.append(before.origin)
            self._change(before, after)

    def _change(self, before: StoredReading, after: StoredReading) -> None:
        self.work[after.observed_us] = after
        for name in before.contents.keys() - after.contents.keys():
            self.values.setdefault(name, {})[after.observed_us] = None
        for name, content in after.contents.items():
            was = before.contents.get(name)
            if (None if was is None else was.value) != content.value:
                self.values.setdefault(name, {})[after.observed_us] = content.value

    def conclude(self, verdicts: Verdicts, neighbours: dict[int, StoredReading]) -> list[StoredReading]:
        """Return every reading that is new or changed, judged, in its next revision, oldest first."""
        work = self.work
        for instant in verdicts.keys() - work.keys():
            work[instant] = neighbours[instant]
        revised = []
        for instant in sorted(work):
            reading = work[instant]
            now = verdicts.get(instant)
            judged = {**reading.verdicts, **now} if now else dict(reading.verdicts)
            for name, content in reading.contents.items():
                if content.raw is None:
                    judged[name] = MISSING
            reading = reading._replace(verdicts=judged, revision=reading.revision + 1)
            work[instant] = reading
            revised.append(reading)
        return revised


def _instant_of(reading: StoredReading) -> int:
    return reading.observed_us


def assigned(report: Report, buoy: KnownBuoy, refused: RefusedParts) -> list[Observation]:
    """Return the report's observations with their sensors on the channels that they feed."""
    assignment = buoy.assignment
    return [assign(observation, assignment, refused) for observation in report.observations]
