"""Instants of messages are read without their time zone, which is always UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from reefmesh.contracts.contract import Instant
from reefmesh_alerts.domain.transition import instant_of, microseconds, utc_microseconds

INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC) | offsets)  # noqa: DTZ001


@given(instants)
def test_instant_of_a_message_is_the_same_with_and_without_its_time_zone(instant: datetime) -> None:
    of_message = INSTANT.validate_json(INSTANT.dump_json(instant))
    assert utc_microseconds(of_message) == microseconds(of_message) == microseconds(instant)
    assert instant_of(utc_microseconds(of_message)) == instant
