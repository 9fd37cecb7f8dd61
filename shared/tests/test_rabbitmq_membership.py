"""Whose shard is whose."""

from hypothesis import given
from hypothesis import strategies as st

from reefmesh.broker.rabbitmq.membership import MEMBERS_LIMIT, SILENT_SECONDS, Membership

NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=8), min_size=1, max_size=9, unique=True)


def seen_by(own: str, names: list[str]) -> Membership:
    membership = Membership(own)
    for name in names:
        membership.heard(name, takes=True, now_seconds=0.0)
    return membership


@given(names=NAMES, shards=st.integers(1, 70))
def test_members_that_know_each_other_every_shard_has_one_owner_and_shares_are_even(names: list[str], shards: int) -> None:
    ours = [seen_by(name, names).ours(shards) for name in names]
    assert list(range(shards)) == sorted(shard for each in ours for shard in each)
    counts = [len(each) for each in ours]
    assert max(counts) - min(counts) <= 1


def test_member_without_a_free_lane_gets_nothing_unless_nobody_has_one() -> None:
    membership = seen_by("a", ["b"])
    assert membership.say(takes=False)
    assert not membership.say(takes=False)
    assert frozenset() == membership.ours(8)
    membership.heard("b", takes=False, now_seconds=0.0)
    assert frozenset(range(8)) == membership.ours(8)


def test_members_silent_or_gone_are_no_members() -> None:
    membership = Membership("a")
    assert membership.heard("b", takes=True, now_seconds=0.0)
    assert not membership.heard("b", takes=True, now_seconds=1.0)
    assert not membership.forget_silent(1.0 + SILENT_SECONDS)
    assert membership.forget_silent(1.1 + SILENT_SECONDS)
    assert membership.heard("b", takes=True, now_seconds=9.0)
    assert membership.left("b")
    assert not membership.left("b")
    assert not membership.left("a")
    assert membership.others == 0


def test_flood_of_members_the_table_is_bounded() -> None:
    membership = Membership("a")
    for number in range(2 * MEMBERS_LIMIT):
        membership.heard(f"m{number}", takes=True, now_seconds=0.0)
    assert membership.others == MEMBERS_LIMIT - 1
    assert not membership.heard("x" * 1000, takes=True, now_seconds=0.0)
