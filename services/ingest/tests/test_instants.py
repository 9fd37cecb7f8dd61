"""When was it observed: the device's clock, or the reception."""

from hypothesis import given
from hypothesis import strategies as st

from reefmesh_ingest.domain.instants import AHEAD_MICROSECONDS_LIMIT, instants_of

SECOND = 1_000_000
DAY = 86_400 * SECOND
EARLIEST = 946_684_800 * SECOND  # 2000-01-01
RECEIVED = 1_700_000_000 * SECOND


def at(*observed: int | None, sent: int | None = None, latest: int = RECEIVED + DAY) -> list[tuple[int, str]]:
    return list(instants_of(observed, sent_us=sent, received_us=RECEIVED, earliest_us=EARLIEST, latest_us=latest))


def test_possible_clock_is_believed() -> None:
    assert at(RECEIVED - DAY, EARLIEST, RECEIVED + AHEAD_MICROSECONDS_LIMIT) == [
        (RECEIVED - DAY, "device"),
        (EARLIEST, "device"),
        (RECEIVED + AHEAD_MICROSECONDS_LIMIT, "device"),
    ]


def test_format_without_times_gets_the_reception() -> None:
    assert at(None) == [(RECEIVED, "received")]


def test_impossible_clock_gets_the_reception() -> None:
    assert at(EARLIEST - 1) == [(RECEIVED, "broken_clock")]
    assert at(RECEIVED + AHEAD_MICROSECONDS_LIMIT + 1) == [(RECEIVED, "broken_clock")]


def test_nothing_later_than_the_latest_time_is_one_although_it_is_near_the_reception() -> None:
    assert at(RECEIVED + SECOND, latest=RECEIVED) == [(RECEIVED, "broken_clock")]


def test_clock_that_runs_from_1970_keeps_the_ages_of_its_readings() -> None:
    assert at(100 * SECOND, 1900 * SECOND, sent=2000 * SECOND) == [
        (RECEIVED - 1900 * SECOND, "broken_clock"),
        (RECEIVED - 100 * SECOND, "broken_clock"),
    ]


def test_clock_that_was_set_between_reading_and_sending_says_nothing_of_ages() -> None:
    assert at(100 * SECOND, 1900 * SECOND, sent=RECEIVED) == [
        (RECEIVED - 1, "broken_clock"),
        (RECEIVED, "broken_clock"),
    ]


def test_reading_after_its_own_sending_says_nothing_of_ages() -> None:
    assert at(100 * SECOND, 3000 * SECOND, sent=2000 * SECOND) == [(RECEIVED - 1, "broken_clock"), (RECEIVED, "broken_clock")]


def test_good_readings_beside_broken_ones_keep_their_time() -> None:
    assert at(5, RECEIVED - DAY, 7) == [(RECEIVED - 1, "broken_clock"), (RECEIVED - DAY, "device"), (RECEIVED, "broken_clock")]


def test_field_04_clock_ahead_shifts_every_reading_of_the_message_by_the_same() -> None:
    """FIELD 4: 48 half-hourly readings, 8 h ahead. Two thirds of their instants are possible, and all are wrong."""
    ahead, half_hour = 8 * 3600 * SECOND, 1800 * SECOND
    true = [RECEIVED - number * half_hour for number in range(47, -1, -1)]
    shifted = at(*(instant + ahead for instant in true), sent=RECEIVED + ahead)
    assert shifted == [(instant, "broken_clock") for instant in true]


def test_clock_that_is_ahead_of_nothing_sent_leaves_possible_readings_alone() -> None:
    assert at(RECEIVED - DAY, RECEIVED + DAY) == [(RECEIVED - DAY, "device"), (RECEIVED, "broken_clock")]


def test_sending_so_far_ahead_that_its_readings_would_be_years_old_shifts_none_that_is_possible() -> None:
    assert at(RECEIVED - DAY, sent=RECEIVED + 400 * DAY) == [(RECEIVED - DAY, "device")]


def test_readings_that_a_clock_behind_may_have_dated_are_left() -> None:
    """A clock behind looks like a message that took long; one message cannot tell."""
    assert at(RECEIVED - DAY, sent=RECEIVED - DAY + 60 * SECOND) == [(RECEIVED - DAY, "device")]


@given(
    st.lists(st.integers(-(10**17), EARLIEST - 1), min_size=1, max_size=50, unique=True),
    st.none() | st.integers(-(10**17), 10**17),
)
def test_different_broken_instants_never_fall_on_one(observed: list[int], sent: int | None) -> None:
    instants = [instant for instant, _ in at(*observed, sent=sent)]
    assert len(set(instants)) == len(observed)
    assert all(instant <= RECEIVED for instant in instants)
