"""Other published accumulations of heat: extras, labelled as such wherever they are shown, and never instead of DHW."""

from collections.abc import Mapping
from typing import Final

from reefmesh_scoring.domain.heat_stress import DAYS_PER_WEEK

LACHS_WEEKS: Final = range(4, 9)


def lachs_dhw_e4_days(sst_e4: Mapping[int, int], day: int, mmm_e4: int, *, weeks: int = 8) -> int:
    """Return the accumulation of Lachs et al. 2021 (Remote Sensing 13:2677), in 1e-4 degC-days: every HotSpot above MMM
    itself, over 4 to 8 weeks that end with ``day``. It is higher than NOAA's for mild, long warmth; the levels do not apply.

    Raises:
        ValueError: a window that the paper did not study.
    """
    if weeks not in LACHS_WEEKS:
        raise ValueError(f"the window is 4 to 8 weeks, not {weeks}")
    first = day - weeks * DAYS_PER_WEEK + 1
    return sum(max(0, sst_e4[each] - mmm_e4) for each in range(first, day + 1) if each in sst_e4)
