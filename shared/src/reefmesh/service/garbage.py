"""How often Python looks for garbage in reference cycles.

Reference counts free all that a message allocates as soon as it is handled. The reef cache grows, and Python's default (a
collection after 700 new containers) walks it over and over. Measured with batches of 100 readings of 5 quantities: the
collections took 24 % of all CPU time.
"""

import gc
from typing import Final

YOUNG_CONTAINERS: Final = 50_000
"""New containers until the youngest generation is collected: a few megabytes of garbage at most wait for that."""
MIDDLE_LOOKS: Final = 20
OLD_LOOKS: Final = 50


def look_rarely() -> None:
    """Set this process's thresholds, and exempt what exists by now, the program itself, from every collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_CONTAINERS, MIDDLE_LOOKS, OLD_LOOKS)
