"""Heat stress: NOAA's rules exactly, and the rules for records with holes."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reefmesh.contracts.scores import HeatStatus, Level
from reefmesh_scoring.domain.fixed_point import to_e4
from reefmesh_scoring.domain.heat_revision import (
    Days,
    Yardstick,
    days_needed,
    record_after,
    revise,
    spans_to_revise,
)
from reefmesh_scoring.domain.heat_span import NO_VALUE, NewValue, Stretch, score_span
from reefmesh_scoring.domain.heat_stress import (
    DHW_DAYS,
    E4_DAYS_PER_DHW,
    SUSPECT_SHARE_LIMIT_E4,
    DayHeat,
    DayRecord,
    RealSource,
    highest,
    level_of,
    score_days,
)
from reefmesh_scoring.domain.heat_variants import lachs_dhw_e4_days

MMM_E4 = to_e4(29.0)


def record(*sst_celsius: float | None, first: int = 0) -> list[DayRecord]:
    return [
        DayRecord(day=first + index, sst_e4=None if value is None else to_e4(value), readings=0 if value is None else 1)
        for index, value in enumerate(sst_celsius)
    ]


def weeks(row: DayHeat) -> float:
    assert row.dhw_e4_days is not None
    return row.dhw_e4_days / E4_DAYS_PER_DHW


def test_dhw_of_the_papers_worked_example_is_0_6() -> None:
    """1.0, 2.0, 0.8, 1.2 -> (1.0 + 2.0 + 1.2) / 7; each wrong variant gives another number."""
    rows = score_days(record(30.0, 31.0, 29.8, 30.2), MMM_E4, 0)
    assert [row.dhw_e4_days for row in rows] == [10_000, 30_000, 30_000, 42_000]
    assert weeks(rows[-1]) == pytest.approx(0.6)


def test_hotspot_of_exactly_one_degree_counts_although_floats_say_less() -> None:
    """32.01 - 31.01 < 1.0 in binary floating point."""
    assert 32.01 - 31.01 < 1.0
    (row,) = score_days(record(32.01), to_e4(31.01), 0)
    assert (row.hotspot_e4, row.dhw_e4_days, row.level) == (10_000, 10_000, Level.WARNING)


def test_every_pair_exactly_one_degree_apart_counts() -> None:
    for cents in range(2000, 3400):
        (row,) = score_days(record((cents + 100) / 100), to_e4(cents / 100), 0)
        assert row.dhw_e4_days == 10_000, cents


def test_accumulation_holds_84_days_including_today() -> None:
    rows = score_days(record(30.0, *[29.0] * 90), MMM_E4, 0)
    assert [row.dhw_e4_days for row in rows] == [10_000] * 84 + [0] * 7


@pytest.mark.parametrize(
    ("hotspot", "dhw", "level"),
    [
        (-0.0001, 30.0, 0),
        (0.0, 30.0, 0),
        (0.0001, 0.0, 1),
        (0.9999, 30.0, 1),
        (1.0, 3.9999, 2),
        (1.0, 4.0, 3),
        (1.0, 7.9999, 3),
        (1.0, 8.0, 4),
        (1.0, 12.0, 5),
        (1.0, 16.0, 6),
        (1.0, 19.9999, 6),
        (1.0, 20.0, 7),
    ],
)
def test_level_follows_the_table_of_december_2023(hotspot: float, dhw: float, level: int) -> None:
    assert level == level_of(to_e4(hotspot), round(dhw * E4_DAYS_PER_DHW))


def test_level_falls_back_with_the_water_while_the_published_level_stays_six_days() -> None:
    rows = score_days(record(*[31.0] * 14, *[28.0] * 8), MMM_E4, 0)
    assert [row.level for row in rows[13:]] == [3] + [0] * 8
    assert [row.level_7day_max for row in rows[13:]] == [3] * 7 + [0] * 2
    assert weeks(rows[-1]) == 4.0


def test_gap_of_seven_days_is_filled_on_a_line_and_one_of_eight_is_not() -> None:
    filled = score_days(record(30.0, *[None] * 7, 30.8), MMM_E4, 0)
    assert [to_e4(30.0 + step / 10) for step in range(9)] == [row.sst_e4 for row in filled]
    assert [row.source for row in filled] == ["night"] + ["filled"] * 7 + ["night"]
    assert filled[-1].coverage_days == 2
    assert filled[-1].dhw_e4_days == sum(range(10_000, 19_000, 1000))
    unfilled = score_days(record(30.0, *[None] * 8, 30.8), MMM_E4, 0)
    assert [row.source for row in unfilled[1:-1]] == ["missing"] * 8
    assert unfilled[-1].dhw_e4_days == 28_000


def test_gap_that_is_still_open_is_not_filled() -> None:
    rows = score_days([*record(30.0), DayRecord(day=3, sst_e4=None)], MMM_E4, 0)
    assert [row.source for row in rows] == ["night", "missing", "missing", "missing"]
    assert (rows[-1].hotspot_e4, rows[-1].level, rows[-1].dhw_e4_days) == (None, None, 10_000)


def test_status_is_the_first_that_applies() -> None:
    """Warming up before day 84; insufficient under 63 real days; a lower bound with holes; ok."""
    steady = score_days(record(*[28.0] * 84), MMM_E4, 0)
    assert [row.status for row in steady] == [HeatStatus.WARMING_UP] * 83 + [HeatStatus.OK]
    holes = score_days(record(*[28.0] * 63, *[None] * 20, 28.0), MMM_E4, 0)
    assert (holes[-1].coverage_days, holes[-1].status) == (64, HeatStatus.LOWER_BOUND)
    assert holes[-2].status is HeatStatus.WARMING_UP
    sparse = score_days(record(*[28.0] * 61, *[None] * 22, 28.0), MMM_E4, 0)
    assert (sparse[-1].coverage_days, sparse[-1].status) == (62, HeatStatus.INSUFFICIENT)
    filled = score_days(record(*([28.0] * 3 + [None]) * 21, 28.0), MMM_E4, 0)
    assert (filled[-1].coverage_days, filled[-1].status) == (63, HeatStatus.OK)


def test_silence_of_84_days_makes_the_score_unknown() -> None:
    rows = score_days([*record(30.0), DayRecord(day=84, sst_e4=None)], MMM_E4, 0)
    assert (rows[82].status, rows[82].dhw_e4_days) == (HeatStatus.WARMING_UP, 10_000)
    assert rows[83].status is HeatStatus.INSUFFICIENT
    assert (
        rows[84].status,
        rows[84].dhw_e4_days,
        rows[84].level,
        rows[84].level_7day_max,
    ) == (HeatStatus.UNKNOWN, None, None, None)


def test_reef_without_mmm_has_values_but_no_score() -> None:
    (row,) = score_days(record(30.0), None, 0)
    assert (
        row.sst_e4,
        row.hotspot_e4,
        row.dhw_e4_days,
        row.level,
        row.status,
    ) == (300_000, None, None, None, HeatStatus.UNKNOWN)


def test_band_is_the_score_of_the_same_record_colder_and_warmer() -> None:
    sst = [28.9 + (day % 30) / 12 for day in range(120)]
    rows = score_days(record(*sst), MMM_E4, 1000)
    colder = score_days(record(*[value - 0.1 for value in sst]), MMM_E4, 0)
    warmer = score_days(record(*[value + 0.1 for value in sst]), MMM_E4, 0)
    assert [row.dhw_e4_days for row in colder] == [row.dhw_low_e4_days for row in rows]
    assert [row.dhw_e4_days for row in warmer] == [row.dhw_high_e4_days for row in rows]


def test_highest_dhw_names_its_first_day() -> None:
    assert highest(score_days(record(30.0, 29.0, 29.0), MMM_E4, 0)) == (10_000, 0)
    assert highest(score_days(record(30.0), None, 0)) is None


def test_lachs_variant_counts_every_warm_day_of_eight_weeks() -> None:
    sst = dict.fromkeys(range(100), MMM_E4 + 5000)
    assert lachs_dhw_e4_days(sst, 99, MMM_E4) == 56 * 5000
    assert lachs_dhw_e4_days(sst, 99, MMM_E4, weeks=4) == 28 * 5000
    with pytest.raises(ValueError, match="4 to 8 weeks"):
        lachs_dhw_e4_days(sst, 99, MMM_E4, weeks=12)


# Temperatures around MMM + 1, where the rules bite; most of them of nights, most with few suspect readings.
temperatures = st.one_of(st.just(MMM_E4 + 20_000), st.integers(MMM_E4 - 5_000, MMM_E4 + 45_000))
readings_of_a_day = st.sampled_from([3, 3, 3, -3])
shares = st.sampled_from([0, 0, 0, SUSPECT_SHARE_LIMIT_E4, SUSPECT_SHARE_LIMIT_E4 + 1])
values = st.one_of(
    st.builds(NewValue, st.just(NO_VALUE), st.just(0), shares), st.builds(NewValue, temperatures, readings_of_a_day, shares)
)
days = st.one_of(st.integers(0, 40), st.integers(0, 300))
batches = st.lists(st.lists(st.tuples(days, values), min_size=1, max_size=12), min_size=1, max_size=25)
# A long record first, then changes of it: what one day reaches is only seen where there is something to reach.
long_record = st.lists(values, min_size=100, max_size=260).map(lambda series: list(enumerate(series)))
updates = st.one_of(batches, st.builds(lambda first, rest: [first, *rest[:8]], long_record, batches))


class IncrementalRecord:
    """A record in memory that is revised as the service does it."""

    def __init__(self, yardstick: Yardstick) -> None:
        self.yardstick = yardstick
        self.days: Days | None = None
        self.values: dict[int, NewValue] = {}
        self.rows: dict[int, DayHeat] = {}
        self.rows_scored = 0

    def update(self, touched: dict[int, NewValue]) -> None:
        now = record_after(self.days, touched)
        for span in spans_to_revise(self.days, touched):
            first, last = days_needed(span, now)
            empty = NewValue(NO_VALUE, 0)
            known = [self.values.get(day, empty) for day in range(first, last + 1)]
            stretch = stretch_of(known, base=first)
            changed = revise(stretch, span, touched, record=self.days, now=now, yardstick=self.yardstick)
            self.rows_scored += span.last - span.first + 1
            for row in changed:
                assert row != self.rows.get(row.day) or row.day in touched, "a row that did not change is not announced"
            self.rows.update({row.day: row for row in changed})
        self.values.update(touched)
        self.days = now


def stretch_of(known: Sequence[NewValue], *, base: int) -> Stretch:
    sst_e4, readings, suspect_e4 = (list(each) for each in zip(*known, strict=True))
    return Stretch(base=base, sst_e4=sst_e4, readings=readings, suspect_e4=suspect_e4)


def as_record(latest: Mapping[int, NewValue]) -> list[DayRecord]:
    records = []
    for day, value in latest.items():
        source: RealSource = "whole_day" if value.readings < 0 else "night"
        sst_e4 = None if value.sst_e4 == NO_VALUE else value.sst_e4
        records.append(
            DayRecord(day=day, sst_e4=sst_e4, source=source, readings=abs(value.readings), suspect_e4=value.suspect_e4)
        )
    return records


@settings(max_examples=40, deadline=None)
@given(updates=updates, mmm=st.sampled_from([MMM_E4, MMM_E4, MMM_E4, None]), accuracy_e4=st.sampled_from([0, 1000, 5000]))
def test_incremental_scores_equal_the_definition_in_any_order_of_arrival(
    updates: list[list[tuple[int, NewValue]]], mmm: int | None, accuracy_e4: int
) -> None:
    """Law 9: whatever days came, went and were revised in whatever order, the rows are those of the whole record."""
    incremental = IncrementalRecord(Yardstick(mmm, accuracy_e4))
    latest: dict[int, NewValue] = {}
    for batch in updates:
        incremental.update(dict(batch))
        latest.update(dict(batch))
        assert score_days(as_record(latest), mmm, accuracy_e4) == [incremental.rows[day] for day in sorted(incremental.rows)]


@settings(max_examples=100, deadline=None)
@given(series=st.lists(values, min_size=1, max_size=260), data=st.data())
def test_any_span_of_a_record_scores_as_the_whole(series: list[NewValue], data: st.DataObject) -> None:
    whole = score_days(as_record(dict(enumerate(series))), MMM_E4, 1000)
    first = data.draw(st.integers(0, len(series) - 1))
    last = data.draw(st.integers(first, len(series) - 1))
    now = Days(0, len(series) - 1)
    low, high = days_needed(Days(first, last), now)
    stretch = stretch_of(series[low : high + 1], base=low)
    assert whole[first : last + 1] == score_span(stretch, first=first, last=last, first_day=0, mmm_e4=MMM_E4, accuracy_e4=1000)


@pytest.mark.parametrize("years", [1, 40])
def test_cost_of_a_new_day_does_not_grow_with_the_record(years: int) -> None:
    """After 40 years as after one: the days read and the days scored for one more reading are bounded."""
    length = years * 365
    (live,) = spans_to_revise(Days(0, length - 1), [length])
    assert live == Days(length - 7, length)
    (late,) = spans_to_revise(Days(0, length - 1), [length // 2])
    assert late.last - late.first + 1 <= 7 + 1 + 96
    needed = days_needed(late, Days(0, length))
    assert needed.last - needed.first + 1 <= 104 + 98 + 8
    assert DHW_DAYS == 84


def test_night_as_warm_as_the_daytime_that_stood_in_is_a_change() -> None:
    """The value is the same; what the DHW of the days after it rests on is not."""
    incremental = IncrementalRecord(Yardstick(MMM_E4, 0))
    incremental.update({day: NewValue(MMM_E4, -3) for day in range(100)})
    incremental.update({20: NewValue(MMM_E4, 3)})
    assert [(incremental.rows[day].coverage_days, incremental.rows[day].status) for day in (19, 20, 99)] == [
        (0, HeatStatus.WARMING_UP),
        (1, HeatStatus.WARMING_UP),
        (1, HeatStatus.DAYTIME_ONLY),
    ]
    record = as_record({day: NewValue(MMM_E4, 3 if day == 20 else -3) for day in range(100)})
    assert score_days(record, MMM_E4, 0) == [incremental.rows[day] for day in sorted(incremental.rows)]


def test_changed_day_reaches_96_days_ahead() -> None:
    """Over the gap after it (7 days), from there to the end of the accumulation (83), and on to the published level (6)."""
    changed, last = 100, 200
    sst_e4 = dict.fromkeys(range(last + 1), MMM_E4)
    for day in range(changed + 1, changed + 8):
        del sst_e4[day]
    sst_e4 |= {changed + 8: MMM_E4 + 16_000, changed + 20: MMM_E4 + 17_000, changed + 90: MMM_E4 + 10_000}
    sst_e4 |= dict.fromkeys(range(changed + 9, changed + 20), MMM_E4 + 20_000)
    series = {day: NewValue(value, 3) for day, value in sst_e4.items()}
    incremental = IncrementalRecord(Yardstick(MMM_E4, 0))
    incremental.update(series)
    assert incremental.rows[changed + 96].level_7day_max == Level.WARNING
    incremental.update({changed: NewValue(MMM_E4 + 40_000, 3)})
    assert incremental.rows[changed + 96].level_7day_max == Level.ALERT_1
    assert incremental.rows[changed + 97].level_7day_max == Level.NO_STRESS
    record = as_record(series | {changed: NewValue(MMM_E4 + 40_000, 3)})
    assert score_days(record, MMM_E4, 0) == [incremental.rows[day] for day in sorted(incremental.rows)]
