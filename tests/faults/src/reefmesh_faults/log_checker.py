"""Whether processes went on while nobody read their logs, and told of what they dropped."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from reefmesh_faults.finding import Finding, Law
from reefmesh_faults.history import LogStall


def check_logs(stalls: Sequence[LogStall]) -> Iterator[Finding]:
    """A process whose log nobody reads goes on; later its lines come in order, and what it dropped is told and counted."""
    for stall in stalls:
        law: Law = "logs do not block"
        if not stall.pages_answered:
            yield Finding(law=law, where=stall.process, what="its pages did not answer while nobody read its log")
        if any(later <= earlier for earlier, later in pairwise(stall.numbers)):
            yield Finding(law=law, where=stall.process, what="lines of its log came twice, or out of order")
        missing = sum(later - earlier - 1 for earlier, later in pairwise([0, *stall.numbers]))
        if missing > stall.told_dropped:
            what = f"{missing} lines of its log are missing, and it told of {stall.told_dropped}"
            yield Finding(law=law, where=stall.process, what=what)
        if stall.counted_dropped is not None and stall.counted_dropped != stall.told_dropped:
            what = f"it counted {stall.counted_dropped} lines as dropped, and told of {stall.told_dropped}"
            yield Finding(law=law, where=stall.process, what=what)
