"""Which message is held to kill sessions, and that a broker that restarts accuses nobody."""

from reefmesh.broker.activemq.session_killers import ONE_AT_A_TIME_AFTER_SESSIONS, SESSIONS_LIMIT, SessionKillers
from reefmesh_components.spying_session import SpyingSession


def lose(killers: SessionKillers, *message_ids: str) -> None:
    """A session is lost while these settlements are being written."""
    session = SpyingSession().as_session()
    for message_id in message_ids:
        killers.note_lost(session, message_id)


def test_message_alone_in_ten_lost_sessions_in_a_row_is_the_killer() -> None:
    killers = SessionKillers()
    for _ in range(SESSIONS_LIMIT):
        assert not killers.is_killer("m1")
        lose(killers, "m1")
    assert killers.is_killer("m1")
    assert not killers.is_killer("m2")
    assert not killers.is_killer(None)


def test_anything_settled_in_between_clears_everybody() -> None:
    """A broker that is restarted again and again while reefs are settled accuses nobody."""
    killers = SessionKillers()
    for _ in range(5):
        for _ in range(SESSIONS_LIMIT - 1):
            lose(killers, "m1")
        killers.note_settled(SpyingSession().as_session())
    assert not killers.is_killer("m1")
    assert not killers.is_one_at_a_time


def test_session_that_settled_something_accuses_nobody_when_it_is_lost() -> None:
    killers = SessionKillers()
    for _ in range(2 * SESSIONS_LIMIT):
        session = SpyingSession().as_session()
        killers.note_settled(session)
        killers.note_lost(session, "m1")
    assert not killers.is_killer("m1")


def test_several_settlements_at_once_accuse_nobody_and_are_written_one_at_a_time_from_then_on() -> None:
    killers = SessionKillers()
    for _ in range(2 * SESSIONS_LIMIT):
        lose(killers, "m1", "m2", "m1")
        assert not killers.is_killer("m1")
    assert killers.is_one_at_a_time
    for _ in range(SESSIONS_LIMIT):
        lose(killers, "m1")
    assert killers.is_killer("m1")
    assert ONE_AT_A_TIME_AFTER_SESSIONS < SESSIONS_LIMIT


def test_losses_with_different_messages_accuse_nobody() -> None:
    killers = SessionKillers()
    for number in range(2 * SESSIONS_LIMIT):
        lose(killers, f"m{number % 2}")
    assert not killers.is_killer("m0")
    assert not killers.is_killer("m1")
