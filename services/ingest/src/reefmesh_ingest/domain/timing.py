"""Time, the sixth step: each observation of a message becomes a reading at its instant, not joined and not judged yet."""

from dataclasses import dataclass

from reefmesh_ingest.domain.arrival import Reception
from reefmesh_ingest.domain.assignment import AssignedReport
from reefmesh_ingest.domain.decode import Observation
from reefmesh_ingest.domain.deployment import Deployment
from reefmesh_ingest.domain.instants import instants_of
from reefmesh_ingest.domain.quality import judge_position
from reefmesh_ingest.domain.reading import Content, Place, StoredReading, content_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedReport:
    """``readings`` are those of ``report``, in its order, as received in ``reception``. ``is_certain``: the device's clock
    dates all of them; otherwise the reception decides at least one instant."""

    report: AssignedReport
    deployment: Deployment
    reception: Reception
    readings: list[StoredReading]
    is_certain: bool

    def readings_at(self, received_us: int) -> list[StoredReading]:
        """Return the readings that the same message would have reported, had it been received at ``received_us``."""
        return _readings(self.report, self.deployment, self.reception, received_us)


def time_report(report: AssignedReport, deployment: Deployment, reception: Reception) -> TimedReport:
    """Date a report by the device's clock where that can be right, else by its reception."""
    readings = _readings(report, deployment, reception, reception.received_us)
    return TimedReport(
        report=report,
        deployment=deployment,
        reception=reception,
        readings=readings,
        is_certain=all(reading.time_source == "device" for reading in readings),
    )


def _readings(report: AssignedReport, deployment: Deployment, reception: Reception, received_us: int) -> list[StoredReading]:
    observations = report.observations
    instants = instants_of(
        [observation.observed_us for observation in observations],
        sent_us=report.sent_us,
        received_us=received_us,
        earliest_us=deployment.earliest_us,
        latest_us=reception.latest_us,
    )
    readings = []
    for observation, (observed_us, source) in zip(observations, instants, strict=True):
        place = observation.position
        readings.append(
            StoredReading(
                observed_us,
                received_us,
                source,
                0,
                False,
                reception.origin,
                _contents(observation),
                {},
                None if place is None else _place(*place, deployment),
                observation.status,
            )
        )
    return readings


def _contents(observation: Observation) -> dict[str, Content]:
    factors, faults = observation.factors, observation.faults
    if not factors and not faults:
        return {quantity: Content(raw, raw) for quantity, raw in observation.values.items()}
    return {
        quantity: content_of(raw, factors.get(quantity, 1.0), faults.get(quantity))
        for quantity, raw in observation.values.items()
    }


def _place(latitude_degrees: float, longitude_degrees: float, deployment: Deployment) -> Place:
    flag, drift = judge_position(
        latitude_degrees, longitude_degrees, mooring=deployment.mooring, suspect_metres=deployment.drift_limit_metres
    )
    return Place(latitude_degrees, longitude_degrees, flag, None if drift is None else round(drift, 2))
