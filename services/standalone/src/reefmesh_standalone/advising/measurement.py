"""What was measured of a mesh: read from metrics or from a file, written by ``reefmesh advise --json``."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from reefmesh_standalone.advising.load import Load

MESSAGES_LEAST: Final = 30
"""Of fewer messages nothing is said: their mean is too uncertain."""

Count = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MeasuredSubscription(_Model):
    """One subscription of a service, over all its tasks and ``seconds`` of the measurement."""

    name: str
    arrived_messages: Count | None = None
    """None: the engine does not tell how many wait, so what came in is taken to be what was handled."""
    handled_messages: Count
    mean_seconds: Count
    """From a lane's receipt of a message to its acknowledgement."""
    variation: Count = 1.0
    """Squared coefficient of variation of the same."""
    publish_seconds: Count = 0.0
    """Of the mean, how long the broker took to confirm outputs and acknowledgement."""
    lanes: Annotated[int, Field(ge=1)]
    waiting_messages: Count | None = None
    waiting_p99_seconds: Count | None = None
    """Measured, from production to receipt by a lane: the upper bound of the histogram's bucket."""
    reefs: Annotated[int, Field(ge=1)]
    busiest_task_share: Share | None = None
    hottest_share: Share = 0.0
    """The part of all messages that the busiest reef sends. No metric tells it; 0: taken to be as that of any other."""
    burstiness: Annotated[float, Field(ge=1, le=10_000)] = 1.0
    """Variance of the number of arrivals over its mean; no metric tells it; 1: Poisson."""

    @property
    def enough(self) -> bool:
        return self.handled_messages >= MESSAGES_LEAST and self.mean_seconds > 0

    def input_per_second(self, seconds: float) -> float:
        arrived = self.handled_messages if self.arrived_messages is None else self.arrived_messages
        return arrived / seconds

    def load(self, seconds: float) -> Load:
        return Load(
            rate_per_second=self.input_per_second(seconds),
            mean_seconds=self.mean_seconds,
            variation=self.variation,
            burstiness=self.burstiness,
            reefs=self.reefs,
            hottest_share=self.hottest_share,
        )


class MeasuredService(_Model):
    """A service. ``cpu_seconds`` is None where its process runs other services too."""

    name: str
    tasks: Annotated[int, Field(ge=1)]
    cpu_seconds: Count | None = None
    commits: Count = 0.0
    commit_seconds: Count = 0.0
    reefs_isolated: Count = 0.0
    """How often a stuck or hot reef got a dedicated subscription."""
    subscriptions: tuple[MeasuredSubscription, ...]


class MeshMeasurement(_Model):
    """``shared_cpu_seconds``: CPU of the processes that run several services, None where there is none."""

    format: Literal["reefmesh-advise/1"] = "reefmesh-advise/1"
    source: str
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    shared_cpu_seconds: Count | None = None
    services: Annotated[tuple[MeasuredService, ...], Field(min_length=1)]
