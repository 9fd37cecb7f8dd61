"""What a buoy's own reports show of it, where the register says nothing: its battery, and the scale of its pH probe.

Both depend on the set of its readings and not on their order: the battery is guessed from the voltages of the earliest
instants, and one report of a probe of a known model is enough.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from reefmesh.contracts.register import PhScale
from reefmesh_ingest.domain.battery import FIRST_VALUES, BatteryKind, guessed_kind
from reefmesh_ingest.domain.reading import StoredReading


class Learned(NamedTuple):
    """``first_volts``: (instant, volts) of the earliest ``FIRST_VALUES`` readings with a voltage, oldest first. ``ph_scale`` is
    set once a probe, whose scale is known by its model alone, fed the pH."""

    first_volts: tuple[tuple[int, float], ...] = ()
    ph_scale: PhScale | None = None

    @property
    def battery(self) -> BatteryKind | None:
        return guessed_kind([volts for _, volts in self.first_volts])

    def after(self, readings: Iterable[StoredReading], ph_scale: PhScale | None) -> "Learned":
        """Return what is known after these readings, as they are now; it is this object itself when they show nothing new."""
        first = self.first_volts
        for reading in readings:
            status = reading.status
            volts = None if status is None else status.battery_volts
            if volts is None and not reading.withdrawn:
                continue
            if len(first) == FIRST_VALUES and reading.observed_us > first[-1][0]:
                continue
            rest = [each for each in first if each[0] != reading.observed_us]
            first = tuple(sorted(rest if volts is None else [*rest, (reading.observed_us, volts)])[:FIRST_VALUES])
        scale = ph_scale or self.ph_scale
        return self if first == self.first_volts and scale == self.ph_scale else Learned(first, scale)


NOTHING_LEARNED: Final = Learned()
