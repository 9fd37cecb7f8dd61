"""What happened in a run, as values: what was confirmed, what came out on each channel, what the databases hold in the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

StateKey = tuple[str, str, str]
"""(service, table, key of the row)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One telemetry message that a device sent. ``number``: its place in the reef's publishing order, from 1. ``instants``: of
    its good readings, (buoy, UTC microseconds). ``attempts``: how often it was published until it was confirmed, under the
    same id; ``confirmed_ns`` None: it never was."""

    event_id: str
    reef_id: str
    number: int
    readings: int
    instants: tuple[tuple[str, int], ...]
    attempts: int
    confirmed_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One message as the recorder of its channel took it. ``digest`` is of its body, without what tells of the run; of an alert
    ``alert_id`` is what its body says."""

    channel: str
    reef_id: str
    seq: int | None
    event_id: str
    digest: str
    heard_ns: int
    alert_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What ingest says became of a telemetry message."""

    event_id: str
    reef_id: str
    outcome: str
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One committed handling of one message; a reef's effects stand in the order of their transactions."""

    service: str
    reef_id: str
    event_id: str
    seq: int | None
    process: str
    lane: int
    started_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row of the ledger of deliveries: an alert on its way to one subscription over one channel."""

    idempotency_key: str
    alert_id: str
    subscription: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One request that a receiver of alerts got."""

    idempotency_key: str
    alert_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """One message that an operator took out of a service's queue. ``seq`` None: its channel is not numbered."""

    service: str
    reef_id: str
    event_id: str
    seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStall:
    """What was seen of a process whose log nobody read for a while, and which numbered its lines meanwhile: ``numbers`` in the
    order in which they were read at last, ``told_dropped`` the lines that it then said it had dropped, ``counted_dropped``
    those that its metric counted (None: its page did not answer), ``pages_answered`` while nobody read."""

    process: str
    numbers: Sequence[int]
    told_dropped: int
    counted_dropped: int | None
    pages_answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a mesh made of telemetry, as far as it depends on the messages and their order alone.

    ``channels``: channel -> reef -> (seq, event id, digest) in order. ``state``: row -> digest.
    """

    channels: Mapping[str, Mapping[str, Sequence[tuple[int, str, str]]]] = field(default_factory=dict)
    state: Mapping[StateKey, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that the checker judges by.

    ``heard`` is in the order in which each channel's recorder heard it. ``ledger``: the alert ids of its rows. ``parked``:
    what lies in a parking, in words. ``ended_badly``: processes that ended by a bug or a wrong setting, in words.
    ``unsettled``: what the run waited for in vain at its end. ``purged``: what an operator took out of queues;
    ``gaps_counted``: by service, the missing messages that its processes counted; ``counts_are_whole``: none of them was
    killed, which loses what it counted last. ``log_stalls``: logs that nobody read for a while. ``expected``: what an
    undisturbed mesh made of the same telemetry, without what was purged.
    """

    sent: Sequence[Sent]
    heard: Sequence[Heard] = ()
    receipts: Sequence[Receipt] = ()
    stored: frozenset[tuple[str, int]] = frozenset()
    effects: Sequence[Effect] = ()
    ledger: Sequence[str] = ()
    deliveries: Sequence[Delivery] = ()
    told: Sequence[Told] = ()
    parked: Sequence[str] = ()
    ended_badly: Sequence[str] = ()
    unsettled: Sequence[str] = ()
    purged: Sequence[Purged] = ()
    gaps_counted: Mapping[str, int] | None = None
    counts_are_whole: bool = False
    log_stalls: Sequence[LogStall] = ()
    state: Mapping[StateKey, str] = field(default_factory=dict)
    expected: Outcome | None = None
