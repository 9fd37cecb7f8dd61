"""The scenarios of the matrix, with the names and parameters of the JMS Benchmark where that has them.

A *queue* is a channel with one subscription, whose messages the consumers share; a *topic* is a channel on which every consumer
has a durable subscription of its own. ``tx_size`` 0: each message is published alone and confirmed before the next one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

THROUGHPUT, LATENCY, SLOW, STAGING, TOGETHER = "throughput", "latency", "slow_consumer", "queue_staging", "confirmed_together"
"""Groups; the last one is not of the JMS Benchmark: so many messages in one call, confirmed together, atomic or not."""
SMALL_BYTES: Final = 10
SLOW_SECONDS: Final = 0.5
"""How long the slow consumer takes for each message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """``producer_rate``: messages a second that are offered; 0: as many as the broker takes."""

    group: str
    mode: str = "queue"
    persistent: bool = True
    message_bytes: int = SMALL_BYTES
    tx_size: int = 0
    together: int = 0
    producers: int = 1
    consumers: int = 1
    destinations: int = 1
    producer_rate: int = 0

    @property
    def parameters(self) -> dict[str, str | int | bool]:
        """As the viewer of the JMS Benchmark reads them; what that has no word for has one of ours."""
        named: dict[str, str | int | bool] = {"group": self.group}
        match self.group:
            case "throughput":
                return named | {
                    "mode": self.mode,
                    "persistent": self.persistent,
                    "message_size": self.message_bytes,
                    "tx_size": self.tx_size,
                    "selector_complexity": 0,
                    "destination_count": self.destinations,
                    "consumers": self.consumers,
                    "producers": self.producers,
                }
            case "latency":
                return named | {"producer_rate": self.producer_rate, "persistent": self.persistent}
            case "slow_consumer":
                return named | {"mode": self.mode, "persistent": self.persistent}
            case "confirmed_together":
                return named | {"messages": self.together, "persistent": self.persistent}
            case _:
                return named | {"persistent": self.persistent}

    @property
    def name(self) -> str:
        return ", ".join(f"{name} {_word(value)}" for name, value in self.parameters.items() if name != "selector_complexity")

    @property
    def messages_a_call(self) -> int:
        return max(1, self.tx_size, self.together)

    @property
    def copies(self) -> int:
        """How many subscriptions get each message."""
        return self.consumers // self.destinations if self.mode == "topic" else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Which scenarios, and how long each: ``samples`` of ``sample_seconds`` each, after ``warm_ups`` that do not count."""

    sizes_bytes: Sequence[int]
    tx_sizes: Sequence[int]
    clients: int
    rates: Sequence[int]
    samples: int
    warm_ups: int
    sample_seconds: float

    def scenarios(self) -> Iterator[Scenario]:
        """Each scales in one dimension: size or transaction at one client each and at many, or the clients alone."""
        many = self.clients
        alike = ((1, 1, 1), (many, many, many))
        others = ((many, many, 1), (many, 1, 1), (1, many, 1))
        for persistent, mode in product((True, False), ("queue", "topic")):
            shapes = [(*shape, SMALL_BYTES, 0) for shape in (*alike, *others)]
            shapes += [(*shape, size, 0) for shape in alike for size in self.sizes_bytes]
            shapes += [(*shape, SMALL_BYTES, tx) for shape in alike for tx in self.tx_sizes]
            for producers, consumers, destinations, size, tx in shapes:
                yield Scenario(
                    group=THROUGHPUT,
                    mode=mode,
                    persistent=persistent,
                    message_bytes=size,
                    tx_size=tx,
                    producers=producers,
                    consumers=consumers,
                    destinations=destinations,
                )
        for size in self.tx_sizes:
            yield Scenario(group=TOGETHER, together=size)
        for mode, persistent in product(("queue", "topic"), (True, False)):
            yield Scenario(group=SLOW, mode=mode, persistent=persistent, consumers=many)
        for rate in self.rates:
            yield Scenario(group=LATENCY, producer_rate=rate)
        for persistent in (True, False):
            yield Scenario(group=STAGING, persistent=persistent, producers=many, consumers=many)


MATRICES: Final = {
    "1": Matrix(
        sizes_bytes=(100, 1000, 100_000, 10_000_000),
        tx_sizes=(10, 100),
        clients=10,
        rates=(100, 250, 500, 1000, 2000, 5000, 10_000),
        samples=15,
        warm_ups=3,
        sample_seconds=1.0,
    ),
    "quick": Matrix(
        sizes_bytes=(1000,),
        tx_sizes=(100,),
        clients=4,
        rates=(100, 500, 2000),
        samples=4,
        warm_ups=1,
        sample_seconds=0.5,
    ),
    "tiny": Matrix(sizes_bytes=(), tx_sizes=(10,), clients=2, rates=(50,), samples=2, warm_ups=0, sample_seconds=0.1),
}
"""``tiny`` shows that everything works, and measures nothing."""


def _word(value: str | int | bool) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
