"""The quota of a parking, by its numbers alone."""

from hypothesis import given
from hypothesis import strategies as st

from reefmesh.broker.parking_quota import ParkedAs, ParkedPart, ParkingQuota, ParkingUsage
from reefmesh.contracts.senders import UNAUTHENTICATED

QUOTA = ParkingQuota(messages_limit=40, bytes_limit=4_000)


def part(user: str | None = "buoy", *, device: str | None = None, reason: str = "unreadable", size: int = 10) -> ParkedPart:
    return ParkedPart(user_id=user, device=device, reason=reason, stored_bytes=size)


def kept(usage: ParkingUsage, parts: list[ParkedPart]) -> list[ParkedAs]:
    """Park these one after the other; return what was kept of each."""
    kept = []
    for each in parts:
        kept.append(usage.keeping_of(each))
        if kept[-1] is not ParkedAs.COUNTED:
            usage.add(each)
    return kept


def test_user_has_half_of_the_quota_and_leaves_the_other_half_to_others() -> None:
    usage = ParkingUsage(QUOTA)
    assert [ParkedAs.WHOLE] * 20 + [ParkedAs.COUNTED] * 5 == kept(usage, [part()] * 25)
    assert [ParkedAs.WHOLE] * 20 + [ParkedAs.COUNTED] * 5 == kept(usage, [part("partner")] * 25)


def test_claimed_device_has_a_tenth_and_the_first_of_each_reason_beyond_it_is_a_sample() -> None:
    usage = ParkingUsage(QUOTA)
    assert [ParkedAs.WHOLE] * 4 + [ParkedAs.COUNTED] * 2 == kept(usage, [part(device="1")] * 6)
    assert [ParkedAs.SAMPLE, ParkedAs.COUNTED] == kept(usage, [part(device="1", reason="bad-body")] * 2)
    assert [ParkedAs.WHOLE] == kept(usage, [part(device="2")])


def test_invented_devices_do_not_go_over_the_half_of_their_user() -> None:
    usage = ParkingUsage(QUOTA)
    kept(usage, [part(device=str(number)) for number in range(1_000)])
    assert 20 == usage.total.messages


def test_message_that_is_too_large_for_its_sender_is_a_sample() -> None:
    usage = ParkingUsage(QUOTA)
    assert [ParkedAs.SAMPLE] == kept(usage, [part(size=2_001)])
    assert [ParkedAs.WHOLE] == kept(usage, [part("partner", size=1_999)])


def test_whoever_is_kept_whole_is_neither_bound_nor_counted() -> None:
    quota = ParkingQuota(messages_limit=2, whole_of=frozenset({"ingest"}), whole_for=frozenset({"behind-parked"}))
    usage = ParkingUsage(quota)
    usage.add(part("ingest"))
    usage.add(part(reason="behind-parked"))
    assert 0 == usage.total.messages
    assert (False, False, True) == (
        quota.binds("ingest", "bad-body"),
        quota.binds("buoy", "behind-parked"),
        quota.binds("buoy", "bad-body"),
    )


def test_engine_without_logins_bounds_devices_and_the_whole() -> None:
    usage = ParkingUsage(QUOTA)
    assert [ParkedAs.WHOLE] * 40 + [ParkedAs.COUNTED] == kept(usage, [part(UNAUTHENTICATED)] * 41)


def test_what_was_not_parked_after_all_makes_room() -> None:
    usage = ParkingUsage(QUOTA)
    kept(usage, [part()] * 20)
    usage.take_back(part())
    assert ParkedAs.WHOLE is usage.keeping_of(part())


names = st.sampled_from(["a", "b", "c", "d"])
parts = st.builds(
    lambda user, device, reason, size: part(user, device=device, reason=reason, size=size),
    names,
    names | st.none(),
    st.sampled_from(["unreadable", "bad-body"]),
    st.integers(1, 500),
)


@given(st.lists(parts, max_size=200))
def test_whole_copies_never_go_over_the_quota(parked: list[ParkedPart]) -> None:
    """Law 14: whatever comes from whomever."""
    usage = ParkingUsage(QUOTA)
    whole = [each for each, keeping in zip(parked, kept(usage, parked), strict=True) if keeping is ParkedAs.WHOLE]
    assert len(whole) <= QUOTA.messages_limit
    assert sum(each.stored_bytes for each in whole) <= QUOTA.bytes_limit
    assert usage.total.messages <= QUOTA.messages_limit + 2 * (1 + 4 + 4 * 4)  # a sample of each reason in each scope
