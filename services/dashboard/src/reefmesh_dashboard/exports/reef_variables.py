"""The variables that every dataset has: whose row it is, and where that reef lies."""

from typing import Final

from reefmesh_dashboard.exports.variable import Variable

REEF_ID: Final = Variable(
    name="reef_id",
    kind="text",
    read=lambda record: record.reef.reef_id,
    attributes={"long_name": "Id of the reef", "ioos_category": "Identifier"},
    of_reef=True,
)
REEF_NAME: Final = Variable(
    name="reef_name",
    kind="text",
    read=lambda record: record.reef.name,
    attributes={"long_name": "Name of the reef", "ioos_category": "Identifier"},
    of_reef=True,
)
LATITUDE: Final = Variable(
    name="latitude",
    kind="number",
    read=lambda record: record.reef.latitude_degrees,
    attributes={
        "long_name": "Latitude of the reef",
        "standard_name": "latitude",
        "units": "degrees_north",
        "axis": "Y",
        "_CoordinateAxisType": "Lat",
        "ioos_category": "Location",
    },
    of_reef=True,
)
LONGITUDE: Final = Variable(
    name="longitude",
    kind="number",
    read=lambda record: record.reef.longitude_degrees,
    attributes={
        "long_name": "Longitude of the reef",
        "standard_name": "longitude",
        "units": "degrees_east",
        "axis": "X",
        "_CoordinateAxisType": "Lon",
        "ioos_category": "Location",
    },
    of_reef=True,
)
REEF: Final = (REEF_ID, REEF_NAME, LATITUDE, LONGITUDE)

TIME_ATTRIBUTES: Final = {
    "standard_name": "time",
    "units": "seconds since 1970-01-01T00:00:00Z",
    "calendar": "standard",
    "axis": "T",
    "_CoordinateAxisType": "Time",
    "ioos_category": "Time",
    "time_origin": "01-JAN-1970 00:00:00",
}
"""``units`` are those of files with numbers; in texts an instant is ISO 8601."""
INSTANT_ATTRIBUTES: Final = {
    "units": "seconds since 1970-01-01T00:00:00Z",
    "calendar": "standard",
    "ioos_category": "Time",
    "time_origin": "01-JAN-1970 00:00:00",
}
"""Of an instant that is no row's place in time."""
