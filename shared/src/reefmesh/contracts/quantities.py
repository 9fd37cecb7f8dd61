"""The quantities that sensors measure: CF standard names where they exist, and their units.

The wire is older than this word: in bodies, a quantity is a key of ``channels`` or the value of ``channel``.
"""

from typing import Final

SEA_WATER_TEMPERATURE: Final = "sea_water_temperature"
PH_TOTAL_SCALE: Final = "sea_water_ph_reported_on_total_scale"
PCO2: Final = "partial_pressure_of_carbon_dioxide_in_sea_water"
NITRATE_AND_NITRITE: Final = "mole_concentration_of_nitrate_and_nitrite_in_sea_water"
SEA_WATER_SPEED: Final = "sea_water_speed"
SEA_WATER_TO_DIRECTION: Final = "sea_water_to_direction"
SALINITY: Final = "sea_water_practical_salinity"
VISIBILITY: Final = "underwater_visibility"

UNITS: Final[dict[str, str]] = {
    SEA_WATER_TEMPERATURE: "degC",
    PH_TOTAL_SCALE: "1",
    PCO2: "uatm",
    NITRATE_AND_NITRITE: "umol/L",
    SEA_WATER_SPEED: "m/s",
    SEA_WATER_TO_DIRECTION: "degree",
    SALINITY: "1",
    VISIBILITY: "m",
}
"""Every quantity that reefmesh knows, with the unit of its values; telemetry with another name is quarantined."""
