"""Applies one message of readings: it scores days, writes tables and publishes a score."""

from collections.abc import Sequence
from functools import partial
from typing import Final, Literal

from reefmesh.clock import Clock
from reefmesh.contracts.channels import SCORES
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.readings import READERS, Readings, Readings2
from reefmesh.contracts.register import DiveLimits
from reefmesh.contracts.schema import SCORES_1, SCORES_2, read_body
from reefmesh.errors import PoisonMessage
from reefmesh.service.handler import Change, Output
from reefmesh.store.migrations import MigrationSet, read_migrations
from reefmesh.store.port import Store, Write
from reefmesh_scoring import scored_reef
from reefmesh_scoring.counting import at_hand, count, instants_us, keys_to_look_up
from reefmesh_scoring.dive_instants import Instants, instants_of, readings_at_instants
from reefmesh_scoring.domain.carbonate import CarbonateRules
from reefmesh_scoring.domain.solar_day import SECOND_US, microseconds_of
from reefmesh_scoring.kept_readings import fetch_readings, write_of
from reefmesh_scoring.newest_lookup import mend_newest
from reefmesh_scoring.reef_gauges import ReefGauges
from reefmesh_scoring.rescoring import let_others_run, rescore
from reefmesh_scoring.score_body import bodies_1, score_bodies, score_fields
from reefmesh_scoring.scored_reef import ScoredBuoy, ScoredReef
from reefmesh_scoring.sensor_health import Before, arrival_fields, note_sensors, run_fields
from reefmesh_scoring.timeliness import Timeliness

_UPSERT_SCORE: Final = (
    "INSERT INTO scores (reef_id, as_of_us, readings, revisions, ignored, body) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (reef_id) DO UPDATE SET as_of_us = excluded.as_of_us, readings = excluded.readings, "
    "revisions = excluded.revisions, ignored = excluded.ignored, body = excluded.body"
)


ScoresSchema = Literal["scores/1", "scores/2"]

EARLIEST_US: Final = 0
"""1970-01-01: records of stations begin before 2000, and ingest passes them where the register says so."""
AHEAD_US: Final = 3600 * SECOND_US
"""Ingest admits 10 minutes; the rest is for machines whose clocks differ."""


def migrations() -> MigrationSet:
    """Return the schema of scoring's own tables."""
    return read_migrations("scoring", "reefmesh_scoring")


class ScoringHandler:
    """Scores reefs from ``reef.readings``. Two sets of rules can be set, here and for single reefs in the register; the
    definitions by NOAA are fixed.

    ``scores_schema``: the major that is published; what is stored is the newest.
    """

    schemas = frozenset(READERS)

    def __init__(
        self,
        store: Store,
        *,
        gauges: ReefGauges,
        timeliness: Timeliness,
        clock: Clock,
        scores_schema: ScoresSchema = SCORES_2,
        dive_limits: DiveLimits | None = None,
        carbonate_rules: CarbonateRules | None = None,
    ) -> None:
        self._store = store
        self._gauges = gauges
        self._timeliness = timeliness
        self._clock = clock
        self._scores_schema = scores_schema
        self._dive_limits = dive_limits or DiveLimits()
        self._carbonate_rules = carbonate_rules or CarbonateRules()

    async def load(self, reef_id: str, state: bytes | None) -> ScoredReef:
        return await scored_reef.load(self._store, reef_id, state)

    def dump(self, state: ScoredReef) -> bytes:
        return scored_reef.dump(state)

    async def handle(self, message: Envelope, state: ScoredReef) -> Change[ScoredReef]:
        body = read_body(message, READERS)
        if body.reef.reef_id != message.reef_id:
            raise PoisonMessage(
                "wrong-reef", f"the body is about reef {body.reef.reef_id}, its envelope about {message.reef_id}"
            )
        observed_us = instants_us(body.readings)
        _refuse_impossible(observed_us, microseconds_of(self._clock.now()))
        limits_before = self._limits_of(state)
        _take_facts(body, message.seq, state)
        limits = self._limits_of(state)
        keys = keys_to_look_up(body.readings, observed_us, state)
        on_record = at_hand(keys, state)
        if lacking := [key for key in keys if key not in on_record]:
            on_record |= await fetch_readings(self._store, state.reef_id, lacking)
        was_us, before = state.as_of_us, Before.of(state, body.readings)
        counted = count(body.readings, observed_us, state, on_record)
        if counted.dropped or counted.reopened or counted.withdrawn:
            await mend_newest(self._store, state, counted)  # first: the band depends on the buoys that measure temperature
        ended = await note_sensors(self._store, state, counted, on_record, before)
        rescored = await rescore(self._store, state, counted)
        await let_others_run(len(rescored.changed))
        bodies: list[bytes] = []  # a reef without readings, or with withdrawn ones only, has no score
        if state.as_of_us is not None:
            told, anew = (
                counted.kept,
                was_us is None or state.as_of_us < was_us or (limits is not limits_before and limits != limits_before),
            )
            if anew:
                told = await readings_at_instants(self._store, state) | told
            instants = Instants(anew, instants_of(told, on_record, state, limits=limits, anew=anew))
            fields = score_fields(state, instants=instants, limits=limits, rules=self._rules_of(state))
            if ended:
                fields["failed_runs"] = run_fields(ended)
            if arrivals := arrival_fields(body.readings, observed_us, before):
                fields["arrivals"] = arrivals
            bodies = score_bodies(fields, rescored.changed, latest=state.latest)
            self._gauges.show(state.reef_id, as_of_seconds=state.as_of_us / SECOND_US, heat=fields["heat"], dive=fields["dive"])
        else:
            self._gauges.clear(state.reef_id)
        writes = [write_of(state.reef_id, key, each, on_record.get(key)) for key, each in counted.kept.items()]
        writes += rescored.writes
        writes.append(_score_write(state, bodies))
        return Change(
            state=state, writes=writes, outputs=self._outputs(bodies), committed=partial(self._timeliness.note, body.readings)
        )

    def _limits_of(self, state: ScoredReef) -> DiveLimits:
        conditions = state.conditions
        return self._dive_limits if conditions is None else conditions.dive_limits or self._dive_limits

    def _rules_of(self, state: ScoredReef) -> CarbonateRules:
        bands = None if state.conditions is None else state.conditions.chemistry_bands
        return self._carbonate_rules if bands is None else self._carbonate_rules.with_bands(bands)

    def _outputs(self, bodies: Sequence[bytes]) -> list[Output]:
        if self._scores_schema == SCORES_1:
            bodies = bodies_1(bodies)
        return [
            Output(channel=SCORES, step="score" if part == 0 else f"score/{part}", schema_id=self._scores_schema, body=body)
            for part, body in enumerate(bodies)
        ]


def _take_facts(body: Readings, seq: int | None, state: ScoredReef) -> None:
    """Take the register's facts, unless newer ones are known: a message that was parked brings old facts."""
    conditions, sensors = (body.conditions, body.sensors) if isinstance(body, Readings2) else (None, {})
    at = seq if seq is not None else state.facts_seq + 1
    if state.facts is None or at > state.facts_seq:
        state.facts, state.conditions, state.facts_seq = body.reef, conditions, at
        if state.record is None:
            state.offset_us = state.wanted_offset_us()
    for facts in body.buoys:
        buoy = state.buoys.get(facts.buoy_id)
        if buoy is None:
            state.buoys[facts.buoy_id] = ScoredBuoy(facts=facts, facts_seq=at, stated_sensors=sensors.get(facts.buoy_id, {}))
        elif at > buoy.facts_seq:
            buoy.facts, buoy.facts_seq, buoy.stated_sensors = facts, at, sensors.get(facts.buoy_id, {})


def _refuse_impossible(observed_us: Sequence[int], now_us: int) -> None:
    """Refuse readings of a time that cannot be: one of 2099 would be the reef's newest until then, and every day up to it would
    be scored. Ingest dates what a broken clock reports, so whatever comes here undated is ingest's fault or not ingest's. To
    clamp it would make up an instant that depends on when the message is handled (law 9); parked, it can be replayed."""
    first_us, last_us = min(observed_us), max(observed_us)
    if first_us < EARLIEST_US or last_us > now_us + AHEAD_US:
        raise PoisonMessage(
            "impossible-time", "a reading is from before 1970, or more than an hour ahead of this machine's clock"
        )


def _score_write(state: ScoredReef, bodies: Sequence[bytes]) -> Write:
    if not bodies:
        return Write("DELETE FROM scores WHERE reef_id = ?", (state.reef_id,))
    return Write(_UPSERT_SCORE, (state.reef_id, state.as_of_us, state.readings, state.revisions, state.ignored, bodies[-1]))
