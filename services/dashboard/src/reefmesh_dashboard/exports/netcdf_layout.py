"""Which columns stand where in NetCDF."""

from collections.abc import Sequence
from typing import Final

from reefmesh_dashboard.exports.dataset import Dataset
from reefmesh_dashboard.exports.variable import Variable

COORDINATES: Final = ("time", "latitude", "longitude")


def needed_variables(dataset: Dataset, asked: Sequence[Variable]) -> tuple[Variable, ...]:
    """Return the columns that series of stations have: those that were asked for, and those that say when and whose they are,
    in the order of the dataset."""
    names = {variable.name for variable in asked} | set(dataset.station) | set(COORDINATES)
    return tuple(variable for variable in dataset.variables if variable.name in names)
