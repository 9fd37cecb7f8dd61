"""A schedule by its seed."""

from collections.abc import Mapping
from random import Random
from typing import Final

from reefmesh_faults.simulation.apart import Apart
from reefmesh_faults.simulation.loop import VirtualLoop
from reefmesh_faults.simulation.switches import WHOLE, Composition
from reefmesh_faults.simulation.together import Together
from reefmesh_faults.simulation.world import Outcome, World

WORLDS: Final[Mapping[str, type[World]]] = {"activemq": Apart, "embedded": Together}
"""By engine."""


def run_schedule(seed: int, composition: Composition = WHOLE, *, engine: str = "activemq") -> Outcome:
    """Run the schedule of a seed; the same seed gives the same trace, on every machine.

    Raises:
        KeyError: there is no such engine.
    """
    loop = VirtualLoop(Random(f"turns {seed}"))
    world = WORLDS[engine](loop, seed, composition)
    try:
        return loop.run_until_complete(world.run())
    finally:
        world.bury()
        loop.close()
