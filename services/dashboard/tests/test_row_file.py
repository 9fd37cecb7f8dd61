"""Arranged rows against the same in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reefmesh_dashboard.exports.row_file import Ordering, RowFile
from reefmesh_dashboard.exports.variable import CellRow, Variable

COLUMNS = [Variable(name=name, kind="text", read=lambda _: None) for name in "abc"]
ROWS = st.lists(
    st.tuples(st.sampled_from(["x", "y", ""]), st.integers(-2, 2), st.one_of(st.none(), st.floats(-1e6, 1e6))), max_size=30
)


def arranged(rows: list[CellRow], ordering: Ordering, *, in_place: bool = False) -> list[CellRow]:
    with tempfile.TemporaryDirectory() as folder:
        file = RowFile(Path(folder), COLUMNS, bytes_limit=10_000_000)
        file.add(rows)
        if in_place:
            file.arrange(ordering)
            ordering = Ordering()
        found = [row for batch in file.ordered(ordering) for row in batch]
        assert file.count() == (len(found) if in_place else len(rows))
        file.close()
    return found


@settings(max_examples=40)
@given(rows=ROWS)
def test_rows_stay_as_they_came(rows: list[CellRow]) -> None:
    assert rows == arranged(rows, Ordering())


@settings(max_examples=40)
@given(rows=ROWS)
def test_distinct_rows_are_each_there_once_and_in_order(rows: list[CellRow]) -> None:
    found = arranged(rows, Ordering(distinct=True))
    assert set(rows) == set(found)
    assert len(found) == len(set(rows))
    assert [row[:2] for row in found] == sorted(row[:2] for row in found)


@settings(max_examples=40)
@given(rows=ROWS, descending=st.booleans())
def test_ordered_rows_are_the_same_rows(rows: list[CellRow], descending: bool) -> None:
    found = arranged(rows, Ordering(by=(1, 0), descending=descending), in_place=True)
    assert sorted(map(repr, rows)) == sorted(map(repr, found))
    keys = [(row[1], row[0]) for row in found]
    assert sorted(keys, reverse=descending) == keys


@settings(max_examples=40)
@given(rows=ROWS)
def test_greatest_of_each_group_is_kept_and_missing_only_where_there_is_nothing_else(rows: list[CellRow]) -> None:
    found = {row[0]: row[2] for row in arranged(rows, Ordering(by=(0, 2), keep="greatest"))}
    expected: dict[object, object] = {}
    for group in {row[0] for row in rows}:
        known = [row[2] for row in rows if row[0] == group and row[2] is not None]
        expected[group] = max(known, default=None)
    assert expected == found
