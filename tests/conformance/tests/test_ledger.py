"""The judge is judged: the ledger reports every breach, and nothing that is lawful."""

import pytest

from reefmesh_conformance.ledger import LaneOfClient, Ledger

ONE = LaneOfClient(client="one", lane=0)
TWO = LaneOfClient(client="two", lane=0)


def settle(ledger: Ledger, number: int, worker: LaneOfClient = ONE) -> None:
    ledger.received("reef-a", number, worker, redelivered=False)
    ledger.handled("reef-a", number)
    ledger.confirmed("reef-a", number, worker)


def test_in_order_by_turns_lawful() -> None:
    ledger = Ledger()
    for number in range(4):
        settle(ledger, number, (ONE, TWO)[number % 2])
    ledger.assert_complete({"reef-a": 4})
    with pytest.raises(AssertionError):
        ledger.assert_complete({"reef-a": 5})


def test_reef_in_two_hands_is_a_breach() -> None:
    ledger = Ledger()
    ledger.received("reef-a", 0, ONE, redelivered=False)
    ledger.received("reef-a", 0, TWO, redelivered=True)
    assert "while" in ledger.breaches[0]
    with pytest.raises(AssertionError):
        ledger.assert_lawful()


@pytest.mark.parametrize("second", [0, 2])
def test_repeat_after_settlement_or_gap_is_a_breach(second: int) -> None:
    ledger = Ledger()
    settle(ledger, 0)
    settle(ledger, second)
    assert len(ledger.breaches) == 1


def test_repeat_of_what_a_lost_consumer_was_moving_is_lawful_in_a_plain_channel_that_may_have_it() -> None:
    ledger = Ledger(repeats=True)
    settle(ledger, 0)
    settle(ledger, 1)
    assert [ledger.turn("reef-a", number) for number in (0, 1, 2, 3)] == ["repeat", "repeat", "next", "next"]
    ledger.repeated("reef-a", 0, redelivered=True)
    ledger.confirmed("reef-a", 0, TWO)
    ledger.assert_complete({"reef-a": 2})
    settle(ledger, 3)
    assert len(ledger.breaches) == 1


def test_interrupted_same_one_must_come_again() -> None:
    ledger = Ledger()
    for number, breaches in ((0, 0), (0, 0), (1, 1)):
        ledger.received("reef-a", number, ONE, redelivered=number == 0)
        ledger.interrupted("reef-a", number)
        assert len(ledger.breaches) == breaches


@pytest.mark.parametrize(("following", "breaches"), [(0, 0), (1, 0), (2, 1)])
def test_outcome_unknown_same_or_next_may_come(following: int, breaches: int) -> None:
    ledger = Ledger()
    ledger.received("reef-a", 0, ONE, redelivered=False)
    ledger.handled("reef-a", 0)
    ledger.received("reef-a", following, TWO, redelivered=False)
    assert len(ledger.breaches) == breaches


def test_next_received_before_the_confirmation_is_known_lawful() -> None:
    """The broker may hand out the next message before the settling client has heard the answer."""
    ledger = Ledger()
    ledger.received("reef-a", 0, ONE, redelivered=False)
    ledger.handled("reef-a", 0)
    ledger.received("reef-a", 1, TWO, redelivered=False)
    ledger.confirmed("reef-a", 0, ONE)
    ledger.handled("reef-a", 1)
    ledger.confirmed("reef-a", 1, TWO)
    ledger.assert_complete({"reef-a": 2})


def test_numbered_repeat_and_early_are_told_apart_and_only_the_next_is_handled() -> None:
    """Law 4 in a numbered channel: a repeat changes nothing, and nothing is handled before its turn."""
    ledger = Ledger(numbered=True)
    settle(ledger, 0)
    assert ["repeat", "next", "early"] == [ledger.turn("reef-a", number) for number in (0, 1, 2)]
    ledger.received("reef-a", 1, ONE, redelivered=False)
    ledger.handled("reef-a", 1)  # its settlement is interrupted: the outcome is unknown
    assert ledger.turn("reef-a", 1) == "repeat"
    ledger.repeated("reef-a", 1, redelivered=True)
    for _ in range(2):
        ledger.confirmed("reef-a", 1, TWO)
    ledger.assert_complete({"reef-a": 2})
    assert {("reef-a", 1)} == ledger.redelivered


async def test_wait_goes_on_while_there_are_records_and_ends_at_a_standstill() -> None:
    """Each wait runs out at once; those in which something was recorded are followed by another."""
    ledger, waits = Ledger(), 0

    def condition() -> bool:
        nonlocal waits
        waits += 1
        if waits < 3:
            settle(ledger, waits - 1)
        return False

    with pytest.raises(AssertionError, match=r"nothing for 0.0 s before: the end; settled so far {'reef-a': 2}"):
        await ledger.until(condition, within_seconds=0.0, what="the end")
    assert 3 == waits
