"""Units as files write them, and what turns a number into the unit of ``contracts.quantities``.

Multiplications are ingest's own; here are the names that servers and loggers use beside them, and temperatures whose zero is
another one.
"""

from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE, UNITS
from reefmesh_ingest.domain.units import factor_of, normal

CONVERTED_DIGITS: Final = 6
"""Decimals of a converted value: far below what a sensor resolves, and 82.4 degF is 28 degC."""

_OTHER_NAMES: Final = {
    "degreec": "degc",
    "degreesc": "degc",
    "degreecelsius": "degc",
    "degreescelsius": "degc",
    "degcelsius": "degc",
    "degreef": "degf",
    "degreesf": "degf",
    "f": "degf",
    "fahrenheit": "degf",
    "degreefahrenheit": "degf",
    "degreesfahrenheit": "degf",
    "k": "kelvin",
    "degreek": "kelvin",
    "degk": "kelvin",
    "ms1": "m/s",
    "cms1": "cm/s",
    "knot": "kn",
    "knots": "kn",
    "kts": "kn",
    "psu": "psu",
    "pss78": "psu",
    "pss1978": "psu",
    "1e3": "psu",
    "microatmospheres": "uatm",
    "microatm": "uatm",
    "umoll1": "umol/l",
    "µmoll1": "umol/l",
    "micromol/l": "umol/l",
    "degreestrue": "degree",
    "degt": "degree",
    "meter": "m",
    "meters": "m",
    "metre": "m",
    "metres": "m",
}
"""A unit without its signs, as ``_plain`` returns it -> the name that ingest has for it."""

_ZEROS: Final = {"degf": (5.0 / 9.0, -32.0), "kelvin": (1.0, -273.15)}
"""Temperatures -> (factor, what is added before it)."""

_SHOWN: Final = {"degf": "degF", "degc": "degC", "c": "degC", "celsius": "degC", "kelvin": "K"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """``value = (number + shift) * factor``; ``unit`` is what the file says, as a person reads it."""

    unit: str
    factor: float = 1.0
    shift: float = 0.0

    @property
    def changes(self) -> bool:
        return self.factor != 1.0 or self.shift != 0.0

    def __call__(self, number: float) -> float:
        """Return the value in the quantity's unit; NaN stays NaN."""
        return round((number + self.shift) * self.factor, CONVERTED_DIGITS) if self.changes else number


def conversion_of(quantity: str, unit: str) -> Conversion | None:
    """Return how a number in ``unit`` becomes one of the quantity; None when that unit cannot be right for it.

    An empty unit is the quantity's own only where no other is in use: ask for it otherwise (``needs_unit``).
    """
    name = unit_name(unit)
    said = _SHOWN.get(name, name)
    if quantity == SEA_WATER_TEMPERATURE and name in _ZEROS:
        factor, shift = _ZEROS[name]
        return Conversion(unit=said, factor=factor, shift=shift)
    factor_to = 1.0 if not name and not needs_unit(quantity) else factor_of(quantity, name)
    return None if factor_to is None else Conversion(unit=said or UNITS[quantity], factor=factor_to)


def needs_unit(quantity: str) -> bool:
    """Tell whether numbers of this quantity are written in several units, so that one without a unit says little."""
    return UNITS[quantity] != "1"


def is_temperature(unit: str) -> bool:
    """Tell whether only a temperature has this unit."""
    return unit_name(unit) in {"c", "degc", "celsius", "degf"}


def unit_name(unit: str) -> str:
    """Return a unit under the name that ingest has for it, or as it is without blanks and signs of degrees."""
    written = normal(unit).replace("*", "")
    return _OTHER_NAMES.get(_plain(written), written)


def _plain(unit: str) -> str:
    return "".join(sign for sign in unit if sign not in "_.-^()")
