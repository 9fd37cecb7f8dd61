"""pH on the total scale from what a probe gives: a pH on another scale, or the millivolts of its electrode.

Buffers of NBS (also sold as NIST or IUPAC buffers, 4.01 / 7.00 / 10.01) calibrate a probe to the activity of hydrogen ions, at
an ionic strength far below that of sea water. The same water then reads 0.14 higher than on the total scale, which makes an
aragonite saturation twice as high as it is.
"""

from dataclasses import dataclass
from math import exp, log, log10, sqrt
from typing import Final, assert_never

from reefmesh.contracts.register import PhScale

ZERO_CELSIUS_KELVIN: Final = 273.15
_STANDARD_KELVIN: Final = 298.15
_CELSIUS: Final = (-2.0, 40.0)
_SALINITY: Final = (5.0, 45.0)

SCALE_UNCERTAINTIES: Final[dict[PhScale, float]] = {"total": 0.0, "seawater": 0.002, "free": 0.01, "nbs": 0.05}
"""How much a conversion to the total scale may be off, in pH. *Default* of this project: the activity coefficient of an
electrode in sea water depends on its liquid junction, and published ones range from 0.67 to 0.77 at 25 degC and a salinity of
35. A temperature that is not measured with the pH adds 0.002 for each degC, which is within it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seawater:
    """Temperature and practical salinity of the water around a probe."""

    celsius: float = 27.0
    salinity: float = 35.0

    def measured(self, celsius: float | None, salinity: float | None) -> "Seawater":
        """Return the water with measured values, where there are any that sea water can have."""
        return Seawater(
            celsius=celsius if celsius is not None and _CELSIUS[0] <= celsius <= _CELSIUS[1] else self.celsius,
            salinity=salinity if salinity is not None and _SALINITY[0] <= salinity <= _SALINITY[1] else self.salinity,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A calibrated electrode: its millivolts at pH 7, and millivolts per pH at 25 degC (Nernst: -59.16, proportional to the
    absolute temperature). ``accuracy`` is that of the pH it gives."""

    zero_millivolts: float
    slope_millivolts_per_ph: float
    accuracy: float

    def ph_of(self, millivolts: float, celsius: float) -> float:
        slope = self.slope_millivolts_per_ph * (celsius + ZERO_CELSIUS_KELVIN) / _STANDARD_KELVIN
        return 7.0 + (millivolts - self.zero_millivolts) / slope


@dataclass(frozen=True, slots=True, kw_only=True)
class PhProbe:
    """How one probe's numbers are to be read; ``calibration`` is set where they are millivolts."""

    scale: PhScale
    calibration: Calibration | None = None

    @property
    def uncertainty(self) -> float:
        """What the reading of its numbers adds to the uncertainty of the pH."""
        of_calibration = 0.0 if self.calibration is None else self.calibration.accuracy
        return sqrt(SCALE_UNCERTAINTIES[self.scale] ** 2 + of_calibration**2)

    def ph_total(self, number: float, water: Seawater) -> float:
        ph = number if self.calibration is None else self.calibration.ph_of(number, water.celsius)
        return total_scale(ph, self.scale, water)


TOTAL: Final = PhProbe(scale="total")
NBS: Final = PhProbe(scale="nbs")


def total_scale(ph: float, scale: PhScale, water: Seawater) -> float:
    """Convert to the total scale: fH of Takahashi et al. 1982, sulfate of Dickson 1990, fluoride of Dickson and Riley 1979, as
    PyCO2SYS does by default."""
    if scale == "total":
        return ph
    kelvin, salinity = water.celsius + ZERO_CELSIUS_KELVIN, water.salinity
    sulfate = 0.14 / 96.062 * salinity / 1.80655 / _k_sulfate(kelvin, salinity)
    match scale:
        case "free":
            return ph - log10(1 + sulfate)
        case "seawater":
            return ph + _seawater_to_total(sulfate, kelvin, salinity)
        case "nbs":
            activity = 1.2948 - 0.002036 * kelvin + (0.0004607 - 0.000001475 * kelvin) * salinity**2
            return ph + log10(activity) + _seawater_to_total(sulfate, kelvin, salinity)
        case _:
            assert_never(scale)


def _seawater_to_total(sulfate: float, kelvin: float, salinity: float) -> float:
    fluoride = 0.000067 / 18.998 * salinity / 1.80655 / _k_fluoride(kelvin, salinity)
    return log10((1 + sulfate + fluoride) / (1 + sulfate))


def _ionic_strength(salinity: float) -> float:
    return 19.924 * salinity / (1000 - 1.005 * salinity)


def _k_sulfate(kelvin: float, salinity: float) -> float:
    """Return the dissociation constant of bisulfate, mol/kg of sea water, free scale."""
    ions = _ionic_strength(salinity)
    of_water = -4276.1 / kelvin + 141.328 - 23.093 * log(kelvin)
    of_ions = (
        (-13856 / kelvin + 324.57 - 47.986 * log(kelvin)) * sqrt(ions)
        + (35474 / kelvin - 771.54 + 114.723 * log(kelvin)) * ions
        - 2698 / kelvin * ions**1.5
        + 1776 / kelvin * ions**2
    )
    return exp(of_water + of_ions) * (1 - 0.001005 * salinity)


def _k_fluoride(kelvin: float, salinity: float) -> float:
    """Return the dissociation constant of hydrogen fluoride, mol/kg of sea water, free scale."""
    return exp(1590.2 / kelvin - 12.641 + 1.525 * sqrt(_ionic_strength(salinity))) * (1 - 0.001005 * salinity)
