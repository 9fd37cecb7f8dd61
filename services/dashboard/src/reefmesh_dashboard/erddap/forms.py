"""The forms of a result, by the end of its address: what ERDDAP calls file types."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh_dashboard.exports.csv_form import CsvForm
from reefmesh_dashboard.exports.files import FileFormat
from reefmesh_dashboard.exports.geojson_form import GeoJsonForm
from reefmesh_dashboard.exports.json_form import JsonForm, JsonLinesForm
from reefmesh_dashboard.exports.text_form import TextForm
from reefmesh_dashboard.exports.variable import Variable

NETCDF_TYPE: Final = "application/x-netcdf"
PARQUET_TYPE: Final = "application/vnd.apache.parquet"
BINARY_TYPES: Final = (NETCDF_TYPE, PARQUET_TYPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedForm:
    """It is sent while its rows are read."""

    media_type: str
    make: Callable[[Sequence[Variable]], TextForm]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm:
    """It is a file that is made first."""

    media_type: str
    file_format: FileFormat
    ends_with: str


STREAMED: Final[Mapping[str, StreamedForm]] = {
    ".csv": StreamedForm(media_type="text/csv", make=lambda columns: CsvForm(columns, header="two lines")),
    ".csvp": StreamedForm(media_type="text/csv", make=lambda columns: CsvForm(columns, header="one line")),
    ".csv0": StreamedForm(media_type="text/csv", make=lambda columns: CsvForm(columns, header="none")),
    ".json": StreamedForm(media_type="application/json", make=JsonForm),
    ".jsonlCSV": StreamedForm(media_type="application/x-jsonlines", make=lambda columns: JsonLinesForm(columns, line="array")),
    ".jsonlKVP": StreamedForm(media_type="application/x-jsonlines", make=lambda columns: JsonLinesForm(columns, line="object")),
    ".geoJson": StreamedForm(media_type="application/geo+json", make=GeoJsonForm),
}
FILES: Final[Mapping[str, FileForm]] = {
    ".nc": FileForm(media_type=NETCDF_TYPE, file_format="points", ends_with=".nc"),
    ".ncCF": FileForm(media_type=NETCDF_TYPE, file_format="series", ends_with=".nc"),
    ".parquet": FileForm(media_type=PARQUET_TYPE, file_format="parquet", ends_with=".parquet"),
}
HTML: Final = ".htmlTable"
DAS: Final = ".das"
DDS: Final = ".dds"
EVERY_FORM: Final = (*STREAMED, HTML, *FILES, DAS, DDS)
