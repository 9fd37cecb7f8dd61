"""The formats that a table of the open data is written in, and what ERDDAP calls them."""

from enum import StrEnum


class TableFormat(StrEnum):
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    NETCDF = "netcdf"

    @property
    def suffix(self) -> str:
        """The end of its address below ``/erddap/tabledap``; in CSV the units stand in the names, NetCDF has series."""
        return {TableFormat.CSV: ".csvp", TableFormat.JSON: ".json", TableFormat.NETCDF: ".ncCF"}.get(self, ".parquet")

    @property
    def is_text(self) -> bool:
        return self in (TableFormat.CSV, TableFormat.JSON)
