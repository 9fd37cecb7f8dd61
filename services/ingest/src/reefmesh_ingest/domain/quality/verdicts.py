"""The result of quality control for one quantity of one reading: an aggregate flag and the digits of five QARTOD tests."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from reefmesh.contracts.flags import Flag, aggregate
from reefmesh.contracts.readings import TESTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The aggregate ``flag`` and the digits of the single ``tests``, in the order of ``reefmesh.contracts.readings.TESTS``.

    Verdicts are shared: equal verdicts are the same object wherever they come from this package.
    """

    flag: Flag
    tests: str


MISSING: Final = Verdict(flag=Flag.MISSING, tests=str(int(Flag.MISSING)) * len(TESTS))
"""The verdict of a quantity without a value; it needs no neighbours and is nobody's neighbour."""

VerdictChange = tuple[int, Verdict | None, Verdict]
"""(time in UTC microseconds, verdict before or None for a new point, verdict now)."""

# A code packs the five digits, two bits each and less one (1..4 -> 0..3), gross range in the highest bits.
# Adding a digit's part to a code is one integer addition, which is what makes appending fast.
GROSS_RANGE: Final = 8
CLIMATOLOGY: Final = 6
SPIKE: Final = 4
RATE_OF_CHANGE: Final = 2
RATE_OF_CHANGE_DIGIT: Final = 3 << RATE_OF_CHANGE
"""The bits of that digit."""
FLAT_LINE: Final = 0
_SHIFTS: Final = (GROSS_RANGE, CLIMATOLOGY, SPIKE, RATE_OF_CHANGE, FLAT_LINE)

NOT_EVALUATED: Final = sum((Flag.NOT_EVALUATED - 1) << shift for shift in _SHIFTS)


class _Verdicts(dict[int, Verdict]):
    """Verdicts by code, each made once, when it is first needed (at most 1,024)."""

    def __missing__(self, code: int) -> Verdict:
        flags = [Flag((code >> shift & 3) + 1) for shift in _SHIFTS]
        verdict = Verdict(flag=aggregate(flags), tests="".join(str(int(flag)) for flag in flags))
        self[code] = verdict
        return verdict


VERDICTS: Final = _Verdicts()


@lru_cache(maxsize=1024)
def code_of(tests: str) -> int:
    """Return the code of five digits 1 to 4.

    Raises:
        ValueError: other digits, or another number of them. A missing value (``99999``) has no code.
    """
    if len(tests) != len(_SHIFTS) or not set(tests) <= set("1234"):
        raise ValueError(f"five digits 1 to 4 expected, not {tests!r}")
    return sum((int(digit) - 1) << shift for digit, shift in zip(tests, _SHIFTS, strict=True))
