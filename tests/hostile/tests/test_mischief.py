"""Random mischief is the seed's: the same one gives the same acts, and each kind is drawn."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from reefmesh_hostile.amqp_mischief import AMQP_DRAWERS
from reefmesh_hostile.mischief import DRAWERS, AmqpWire, Wire, drawn

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_same_seed_gives_the_same_acts() -> None:
    assert list(drawn(7, 300, now=NOW)) == list(drawn(7, 300, now=NOW))


def test_another_seed_gives_other_acts() -> None:
    assert list(drawn(7, 50, now=NOW)) != list(drawn(8, 50, now=NOW))


def test_kinds_of_a_seed_do_not_depend_on_when_they_are_drawn() -> None:
    later = datetime(2031, 3, 1, tzinfo=UTC)
    assert [act.kind for act in drawn(7, 300, now=NOW)] == [act.kind for act in drawn(7, 300, now=later)]


def test_every_kind_is_drawn() -> None:
    assert set(DRAWERS) == set(Counter(act.kind for act in drawn(1, 600, now=NOW)))


@pytest.mark.parametrize("seed", range(5))
def test_marks_of_a_run_differ(seed: int) -> None:
    """By its mark the checker finds a message again: no two may share one, nor may one be the beginning of another."""
    marks = [mark for act in drawn(seed, 400, now=NOW) if isinstance(act.does, Wire) for mark in act.does.accountable]
    assert len(set(marks)) == len(marks) > 0
    text = "\n".join(sorted(marks))
    assert [mark for mark in marks if text.count(mark) > 1] == []


def test_every_kind_of_rabbitmq_is_drawn_by_the_seed() -> None:
    acts = list(drawn(1, 600, now=NOW, drawers=AMQP_DRAWERS))
    assert set(AMQP_DRAWERS) == {act.kind for act in acts}
    assert acts == list(drawn(1, 600, now=NOW, drawers=AMQP_DRAWERS))


def test_marks_of_a_run_on_rabbitmq_differ() -> None:
    wires = [act.does for act in drawn(3, 400, now=NOW, drawers=AMQP_DRAWERS)]
    marks = [mark for each in wires if isinstance(each, Wire | AmqpWire) for mark in each.accountable]
    assert len(set(marks)) == len(marks) > 0
