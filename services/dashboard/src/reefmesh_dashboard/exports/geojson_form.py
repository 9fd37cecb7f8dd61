"""GeoJSON: a point for each row, with its other columns as properties."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from reefmesh_dashboard.exports.json_form import shown_row
from reefmesh_dashboard.exports.variable import CellRow, Variable

PLACE = ("longitude", "latitude")


class GeoJsonForm:
    """A ``TextForm``. The columns must have a longitude and a latitude; where these are unknown, the geometry is null."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._variables = variables
        names = [variable.name for variable in variables]
        self._place = [names.index(name) for name in PLACE]
        self._properties = [(place, name) for place, name in enumerate(names) if name not in PLACE]
        self._is_first = True

    def head(self) -> str:
        names = to_json([name for _, name in self._properties]).decode()
        units = to_json([self._variables[place].units for place, _ in self._properties]).decode()
        return f'{{"type":"FeatureCollection","propertyNames":{names},"propertyUnits":{units},"features":[\n'

    def page(self, rows: Sequence[CellRow]) -> str:
        before = "" if self._is_first else ",\n"
        self._is_first = False
        return before + ",\n".join(to_json(self._feature(row)).decode() for row in rows)

    def tail(self) -> str:
        return "\n]}\n"

    def _feature(self, row: CellRow) -> dict[str, Any]:
        shown = shown_row(self._variables, row)
        point = [shown[place] for place in self._place]
        return {
            "type": "Feature",
            "geometry": None if None in point else {"type": "Point", "coordinates": point},
            "properties": {name: shown[place] for place, name in self._properties},
        }
