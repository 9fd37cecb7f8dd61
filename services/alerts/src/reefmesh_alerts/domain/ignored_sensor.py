"""A sensor that the register ignores: told once, as what it is, instead of a silence, and the end of its fault."""

from dataclasses import replace

from reefmesh.contracts.scores import BuoyHealth
from reefmesh_alerts.domain.buoy import BuoyKind, BuoyWatch, episode, is_fresh, states_of_buoy
from reefmesh_alerts.domain.quantity_silent import DROPPED
from reefmesh_alerts.domain.transition import SECOND_US, Evidence, Transition, instant_of, utc_microseconds


def judge_ignored(watch: BuoyWatch, buoy: BuoyHealth, *, heard_us: int) -> tuple[BuoyWatch, list[Transition]]:
    """Watch the sensors that are ignored no longer. Of one that was sound it is told if that tells of the present, heard at
    ``heard_us``; the episode of one that was faulty or silent ends."""
    if buoy.sensors is None:
        return watch, []
    ignored = {name: each.ignored_at for name, each in buoy.sensors.items() if each.ignored_at is not None}
    known = [name for name in ignored if name in watch.quantities or name in watch.channels]
    if not known:
        return watch, []
    transitions: list[Transition] = []
    channels, quantities = dict(watch.channels), dict(watch.quantities)
    for name in known:
        sensor, quantity = channels.pop(name, None), quantities.pop(name, None)
        at_us = utc_microseconds(ignored[name])
        silent_us = None if quantity is None else quantity.silent_us
        evidence: Evidence = {
            "quantity": name,
            "last_value_at": None if quantity is None else instant_of(quantity.value_us).isoformat(),
            "ignored_at": instant_of(at_us).isoformat(),
        }
        if silent_us is not None:
            transitions.append(_dropped("quantity_silent", buoy, name, evidence, at_us=max(at_us, silent_us + SECOND_US)))
        if sensor is not None and sensor.open:
            evidence = {"fault": sensor.fault or None, **evidence}
            transitions.append(_dropped("sensor_fault", buoy, name, evidence, at_us=at_us))
        elif silent_us is None and quantity is not None and is_fresh(buoy, heard_us=heard_us):
            sound, _ = states_of_buoy("quantity_silent")
            told = _dropped("quantity_silent", buoy, name, evidence, at_us=at_us)
            transitions.append(replace(told, from_state=sound))
    return replace(watch, channels=channels, quantities=quantities), transitions


def _dropped(kind: BuoyKind, buoy: BuoyHealth, quantity: str, evidence: Evidence, *, at_us: int) -> Transition:
    ended = episode(kind, buoy, opens=False, evidence=evidence, quantity=quantity, at=instant_of(at_us))
    return replace(ended, to_state=DROPPED)
