"""Finds the newest values again after a revision removed them. Rare: the flags of the newest readings seldom change, and few
readings are withdrawn."""

from reefmesh.store.port import Store
from reefmesh_scoring.counting import Counted, newest_of
from reefmesh_scoring.domain.window import LOOKBACK_US, WINDOW_US, NewestScored
from reefmesh_scoring.kept_readings import newest_readings, scored_value
from reefmesh_scoring.scored_reef import NEVER_US, NewestValue, ScoredReef


async def mend_newest(store: Store, state: ScoredReef, counted: Counted) -> None:
    """Find the new values for all that the message withdrew, dropped or reopened, in the table and in the message."""
    reopened = counted.reopened
    if counted.withdrawn:
        reopened = reopened | await _mend_last_seen(store, state, counted)
    for buoy_id, name in counted.dropped:
        await _mend_item(store, state, counted, buoy_id, name)
    for name in reopened:
        await _mend_scored(store, state, counted, name)


async def _mend_last_seen(store: Store, state: ScoredReef, counted: Counted) -> set[str]:
    """Find when the buoys with withdrawn readings were seen last, and from that ``as_of``.

    Returns the quantities whose newest scored value may differ, because the search reaches further back when ``as_of`` did.
    """
    for buoy_id in {buoy_id for buoy_id, at_us in counted.withdrawn if at_us == state.buoys[buoy_id].last_seen_us}:
        buoy = state.buoys[buoy_id]
        last_seen_us = max(
            (at_us for (other, at_us), reading in counted.kept.items() if other == buoy_id and not reading.withdrawn),
            default=NEVER_US,
        )
        async for key, _ in newest_readings(store, state.reef_id, buoy_id, from_us=last_seen_us, until_us=buoy.last_seen_us):
            if key not in counted.kept:
                last_seen_us = key[1]
                break
        buoy.last_seen_us = last_seen_us
    was_us, state.as_of_us = state.as_of_us, state.newest_seen_us()
    if was_us is None or state.as_of_us == was_us:
        return set()
    known = {name for name, each in state.scored.items() if each.observed_us >= was_us - LOOKBACK_US}
    return {name for buoy in state.buoys.values() for name in buoy.items} - known


async def _mend_item(store: Store, state: ScoredReef, counted: Counted, buoy_id: str, name: str) -> None:
    found: NewestValue | None = None
    for (other, at_us), reading in counted.kept.items():
        if other == buoy_id and name in reading.items and (found is None or at_us > found.observed_us):
            found = newest_of(at_us, reading.items[name])
    buoy = state.buoys[buoy_id]
    from_us = NEVER_US if found is None else found.observed_us + 1
    async for key, reading in newest_readings(store, state.reef_id, buoy_id, from_us=from_us, until_us=buoy.newest_us):
        if key not in counted.kept and name in reading.items:
            found = newest_of(key[1], reading.items[name])
            break
    if found is None:
        buoy.items.pop(name, None)
    else:
        buoy.items[name] = found


async def _mend_scored(store: Store, state: ScoredReef, counted: Counted, name: str) -> None:
    if state.as_of_us is None:
        state.scored.pop(name, None)
        return
    oldest_us = state.as_of_us - LOOKBACK_US
    in_message = {
        key: value
        for key, reading in counted.kept.items()
        if name in reading.items and (value := scored_value(reading.items[name])) is not None
    }
    newest_us = max((at_us for _, at_us in in_message), default=oldest_us - 1)
    for buoy_id in state.buoys:
        async for key, reading in newest_readings(
            store, state.reef_id, buoy_id, from_us=max(newest_us, oldest_us), until_us=state.as_of_us
        ):
            if key not in counted.kept and name in reading.items and scored_value(reading.items[name]) is not None:
                newest_us = max(newest_us, key[1])
                break
    if newest_us < oldest_us:
        state.scored.pop(name, None)
        return
    window: NewestScored | None = None
    starts_us = newest_us - newest_us % WINDOW_US
    values = {key: value for key, value in in_message.items() if key[1] >= starts_us}
    for buoy_id in state.buoys:
        async for key, reading in newest_readings(store, state.reef_id, buoy_id, from_us=starts_us, until_us=newest_us):
            if key not in counted.kept and name in reading.items and (value := scored_value(reading.items[name])) is not None:
                values[key] = value
    for (buoy_id, at_us), value in values.items():
        if window is None:
            window = NewestScored.of(at_us, buoy_id, value)
        else:
            window.add(at_us, buoy_id, value)
    if window is not None:
        state.scored[name] = window
