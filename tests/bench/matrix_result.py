"""What a scenario gave, in the shape that the viewer of the JMS Benchmark reads, and more beside it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from latencies import Latencies
from matrix_scenario import Scenario

PRODUCED, CONSUMED, SLOWEST, ERRORS = "producer tp", "consumer tp", "max latency", "errors"
VIEWED: Final = ("timestamp", PRODUCED, CONSUMED, SLOWEST, ERRORS)


@dataclass(slots=True)
class Meter:
    """Counts between two samples. Latencies are from the call of publish to the receipt, of messages that were received while
    it collects; ``others``: of those that the slow consumer did not receive."""

    produced: int = 0
    consumed: int = 0
    errors: int = 0
    slowest: int = 0
    collecting: bool = False
    latencies: Latencies = field(default_factory=Latencies)
    others: Latencies = field(default_factory=Latencies)

    def hear(self, nanoseconds: int, *, slow: bool) -> None:
        self.consumed += 1
        self.slowest = max(self.slowest, nanoseconds)
        if self.collecting:
            self.latencies.add(nanoseconds)
            if not slow:
                self.others.add(nanoseconds)

    def restart(self) -> None:
        self.produced = self.consumed = self.errors = self.slowest = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rates are messages a second, ``max_latency`` nanoseconds, ``at`` milliseconds since 1970."""

    at: int
    produced: int
    consumed: int
    max_latency: int
    errors: int

    @classmethod
    def of(cls, meter: Meter, seconds: float) -> "Sample":
        return cls(
            at=time.time_ns() // 1_000_000,
            produced=round(meter.produced / seconds),
            consumed=round(meter.consumed / seconds),
            max_latency=meter.slowest,
            errors=meter.errors,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """Microseconds for each message that was consumed while samples were taken; ``broker`` None: it is in the client."""

    client: float
    broker: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    scenario: Scenario
    samples: Sequence[Sample]
    meter: Meter
    cpu: Cpu | None
    repeats: int

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "parameters": self.scenario.parameters,
            "timestamp": [sample.at for sample in self.samples],
            PRODUCED: [sample.produced for sample in self.samples],
            CONSUMED: [sample.consumed for sample in self.samples],
            SLOWEST: [sample.max_latency for sample in self.samples],
            ERRORS: [sample.errors for sample in self.samples],
            "latency_nanoseconds": self.meter.latencies.percentiles(),
            "repeats": self.repeats,
        }
        if self.scenario.group == "slow_consumer":
            document["latency_of_the_others_nanoseconds"] = self.meter.others.percentiles()
        if self.cpu is not None:
            document["client_cpu_microseconds"] = round(self.cpu.client, 1)
            document["broker_cpu_microseconds"] = None if self.cpu.broker is None else round(self.cpu.broker, 1)
        return document
