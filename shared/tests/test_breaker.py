"""Which poison stops a consumer: that of many reefs, never that of one."""

from hypothesis import given
from hypothesis import strategies as st

from reefmesh.service.breaker import PoisonBreaker


def test_poison_of_one_reef_never_opens_it() -> None:
    breaker = PoisonBreaker()
    for _ in range(20):
        breaker.note("well", poison=False)
    for _ in range(1_000):
        breaker.note("ill", poison=True)
        assert not breaker.open


def test_single_poison_of_seven_others_beside_a_flood_of_one_reef_does_not_open_it() -> None:
    breaker = PoisonBreaker()
    for number in range(60):
        breaker.note(f"well-{number}", poison=False)
    for number in range(8):
        breaker.note(f"unlucky-{number}", poison=True)
    for _ in range(120):
        breaker.note("ill", poison=True)
    assert not breaker.open


def test_poison_of_all_reefs_opens_it_after_its_minimum() -> None:
    """A wrong version upstream, met with an empty window and with a full one."""
    for before in (0, 500):
        breaker = PoisonBreaker()
        for number in range(before):
            breaker.note(f"reef-{number % 40}", poison=False)
        noted = 0
        while not breaker.open:
            breaker.note(f"reef-{noted % 40}", poison=True)
            noted += 1
        assert noted == (50 if not before else 101)


def test_mesh_of_three_reefs_opens_when_all_three_are_poison_and_not_for_two() -> None:
    for ill, opens in ((2, False), (3, True)):
        breaker = PoisonBreaker()
        for number in range(300):
            breaker.note(f"reef-{number % 3}", poison=False)
        for number in range(200):
            breaker.note(f"reef-{number % ill}", poison=True)
        assert breaker.open is opens


@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.booleans()), max_size=120))
def test_counts_are_those_of_the_window(noted: list[tuple[str, bool]]) -> None:
    """For all courses: it opens exactly when its window, counted anew, says so."""
    breaker = PoisonBreaker(window=20, minimum=5, reefs_minimum=4)
    for number, (reef, poison) in enumerate(noted, start=1):
        breaker.note(reef, poison=poison)
        window = noted[max(0, number - 20) : number]
        ill = [each for each, is_poison in window if is_poison]
        known = len({each for each, _ in noted[:number]})
        expected = (
            len(ill) >= 5
            and 2 * len(ill) > len(window)
            and 2 * len(set(ill)) > len({each for each, _ in window})
            and len(set(ill)) >= max(2, min(4, known))
        )
        assert breaker.open is expected
