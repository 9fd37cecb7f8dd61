"""All datasets, by id."""

from collections.abc import Mapping
from typing import Final

from reefmesh_dashboard.exports.alerts_dataset import ALERTS_DATASET
from reefmesh_dashboard.exports.buoys_dataset import BUOYS_DATASET
from reefmesh_dashboard.exports.dataset import Dataset
from reefmesh_dashboard.exports.heat_dataset import HEAT_DATASET
from reefmesh_dashboard.exports.readings_dataset import READINGS_DATASET

DATASETS: Final[Mapping[str, Dataset]] = {
    each.dataset_id: each for each in (READINGS_DATASET, HEAT_DATASET, ALERTS_DATASET, BUOYS_DATASET)
}
