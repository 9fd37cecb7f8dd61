"""The QARTOD location test: the distance of a buoy from its mooring."""

from math import asin, cos, radians, sin, sqrt
from typing import Final

from reefmesh.contracts.flags import Flag

EARTH_RADIUS_METRES: Final = 6_371_008.8
"""Mean radius of the Earth (IUGG 1980)."""

DEFAULT_SUSPECT_METRES: Final = 25.0
DEFAULT_FAIL_METRES: Final = 500.0


def distance_metres(
    latitude_degrees: float, longitude_degrees: float, other_latitude_degrees: float, other_longitude_degrees: float
) -> float:
    """Return the great-circle distance of two points on the sphere (haversine formula).

    Within 0.6 % of the distance on the ellipsoid: at a drift limit of 25 m that is 15 cm, far below what GPS knows.
    """
    latitude = radians(latitude_degrees)
    other_latitude = radians(other_latitude_degrees)
    half_north = (other_latitude - latitude) / 2
    half_east = radians(other_longitude_degrees - longitude_degrees) / 2
    haversine = sin(half_north) ** 2 + cos(latitude) * cos(other_latitude) * sin(half_east) ** 2
    # Rounding may lift the sum above 1 for antipodes, where asin would raise.
    return 2 * EARTH_RADIUS_METRES * asin(sqrt(min(1.0, haversine)))


def judge_position(
    latitude_degrees: float | None,
    longitude_degrees: float | None,
    *,
    mooring: tuple[float, float] | None,
    suspect_metres: float = DEFAULT_SUSPECT_METRES,
    fail_metres: float = DEFAULT_FAIL_METRES,
) -> tuple[Flag, float | None]:
    """Return the flag of a position and its distance from the mooring (latitude, longitude) in metres, when there is one.

    No position is ``MISSING``; half a position, one outside the globe, or exactly 0,0 (what receivers without a lock send) is
    ``FAIL`` without a distance. Without a mooring every other position is ``NOT_EVALUATED``. ``suspect_metres`` is the
    buoy's drift limit; a drift limit beyond ``fail_metres`` leaves no suspect zone, only that limit.
    """
    if latitude_degrees is None and longitude_degrees is None:
        return Flag.MISSING, None
    if latitude_degrees is None or longitude_degrees is None:
        return Flag.FAIL, None
    # Written so that NaN, which compares false with everything, fails too.
    if not (abs(latitude_degrees) <= 90 and abs(longitude_degrees) <= 180):
        return Flag.FAIL, None
    if latitude_degrees == 0 and longitude_degrees == 0:
        return Flag.FAIL, None
    if mooring is None:
        return Flag.NOT_EVALUATED, None
    distance = distance_metres(latitude_degrees, longitude_degrees, *mooring)
    if distance > max(fail_metres, suspect_metres):
        return Flag.FAIL, distance
    if distance > suspect_metres:
        return Flag.SUSPECT, distance
    return Flag.PASS, distance
