"""A simulated set of sensors: a line for each measurement, with a day's course of temperature and a little noise."""

import json
import math
import random
import time
from collections.abc import Iterator
from typing import Final

DAY_SECONDS: Final = 86_400.0


def measurements(seed: int, *, interval_seconds: float) -> Iterator[str]:
    """Yield lines without end; the same seed gives the same lines."""
    noise = random.Random(seed)  # noqa: S311 - no secret is made of it
    elapsed = 0.0
    while True:
        day = math.sin(2 * math.pi * elapsed / DAY_SECONDS)
        channels = {
            "sea_water_temperature": round(28.5 + 0.4 * day + noise.gauss(0, 0.03), 2),
            "sea_water_practical_salinity": round(34.5 + noise.gauss(0, 0.05), 2),
        }
        yield json.dumps({"channels": channels})
        elapsed += interval_seconds


def print_measurements(seed: int, *, interval_seconds: float, count: int | None) -> None:
    """Print a line, wait, and so on; ``count`` lines, or without end."""
    for number, line in enumerate(measurements(seed, interval_seconds=interval_seconds), start=1):
        print(line, flush=True)  # noqa: T201 - a source's lines are its output
        if number == count:
            return
        time.sleep(interval_seconds)
