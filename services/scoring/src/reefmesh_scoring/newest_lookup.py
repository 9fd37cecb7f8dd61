"""Looking up again what was newest, after a revision took the newest away. Rare: flags of the newest readings seldom change,
and few readings are withdrawn."""

from reefmesh.store.port import Store
from reefmesh_scoring.counting import Counted, newest_of
from reefmesh_scoring.domain.solar_day import DAY_US
from reefmesh_scoring.domain.window import WINDOW_US, NewestScored
from reefmesh_scoring.reef_state import NEVER_US, Newest, ReefState
from reefmesh_scoring.samples import newest_samples, scored_value

LOOKBACK_US = 30 * DAY_US
"""A scored value older than this at ``as_of`` is shown no more and not searched for: the search is bounded, and a value means
the same in whatever order readings arrived. It is longer than three of the longest report intervals."""


async def mend_newest(store: Store, state: ReefState, counted: Counted) -> None:
    """Find again what the message withdrew, dropped or reopened, in the table and in the message itself."""
    reopened = counted.reopened
    if counted.withdrawn:
        reopened = reopened | await _mend_last_seen(store, state, counted)
    for buoy_id, name in counted.dropped:
        await _mend_item(store, state, counted, buoy_id, name)
    for name in reopened:
        await _mend_scored(store, state, counted, name)


async def _mend_last_seen(store: Store, state: ReefState, counted: Counted) -> set[str]:
    """Find when the buoys with withdrawn readings were seen last, and so ``as_of``; returns the quantities whose newest scored
    value may be another because ``as_of`` went back: the search for it reaches further back now."""
    for buoy_id in {buoy_id for buoy_id, at_us in counted.withdrawn if at_us == state.buoys[buoy_id].last_seen_us}:
        buoy = state.buoys[buoy_id]
        last_seen_us = max(
            (at_us for (other, at_us), sample in counted.samples.items() if other == buoy_id and not sample.withdrawn),
            default=NEVER_US,
        )
        async for key, _ in newest_samples(store, state.reef_id, buoy_id, from_us=last_seen_us, until_us=buoy.last_seen_us):
            if key not in counted.samples:
                last_seen_us = key[1]
                break
        buoy.last_seen_us = last_seen_us
    was_us, state.as_of_us = state.as_of_us, state.newest_seen_us()
    if was_us is None or state.as_of_us == was_us:
        return set()
    known = {name for name, each in state.scored.items() if each.observed_us >= was_us - LOOKBACK_US}
    return {name for buoy in state.buoys.values() for name in buoy.items} - known


async def _mend_item(store: Store, state: ReefState, counted: Counted, buoy_id: str, name: str) -> None:
    found: Newest | None = None
    for (sample_buoy, at_us), sample in counted.samples.items():
        if sample_buoy == buoy_id and name in sample.items and (found is None or at_us > found.observed_us):
            found = newest_of(at_us, sample.items[name])
    buoy = state.buoys[buoy_id]
    from_us = NEVER_US if found is None else found.observed_us + 1
    async for key, sample in newest_samples(store, state.reef_id, buoy_id, from_us=from_us, until_us=buoy.newest_us):
        if key not in counted.samples and name in sample.items:
            found = newest_of(key[1], sample.items[name])
            break
    if found is None:
        buoy.items.pop(name, None)
    else:
        buoy.items[name] = found


async def _mend_scored(store: Store, state: ReefState, counted: Counted, name: str) -> None:
    if state.as_of_us is None:
        state.scored.pop(name, None)
        return
    oldest_us = state.as_of_us - LOOKBACK_US
    in_message = {
        key: value
        for key, sample in counted.samples.items()
        if name in sample.items and (value := scored_value(sample.items[name])) is not None
    }
    newest_us = max((at_us for _, at_us in in_message), default=oldest_us - 1)
    for buoy_id in state.buoys:
        async for key, sample in newest_samples(
            store, state.reef_id, buoy_id, from_us=max(newest_us, oldest_us), until_us=state.as_of_us
        ):
            if key not in counted.samples and name in sample.items and scored_value(sample.items[name]) is not None:
                newest_us = max(newest_us, key[1])
                break
    if newest_us < oldest_us:
        state.scored.pop(name, None)
        return
    window: NewestScored | None = None
    starts_us = newest_us - newest_us % WINDOW_US
    values = {key: value for key, value in in_message.items() if key[1] >= starts_us}
    for buoy_id in state.buoys:
        async for key, sample in newest_samples(store, state.reef_id, buoy_id, from_us=starts_us, until_us=newest_us):
            if key not in counted.samples and name in sample.items and (value := scored_value(sample.items[name])) is not None:
                values[key] = value
    for (buoy_id, at_us), value in values.items():
        if window is None:
            window = NewestScored.of(at_us, buoy_id, value)
        else:
            window.add(at_us, buoy_id, value)
    if window is not None:
        state.scored[name] = window
