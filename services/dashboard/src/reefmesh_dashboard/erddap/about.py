"""Tables about the datasets, and the two texts of OPeNDAP that describe one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from reefmesh_dashboard.erddap.plain_table import PlainTable
from reefmesh_dashboard.exports.dataset import Dataset, TimeRange
from reefmesh_dashboard.exports.publisher import DataPublisher
from reefmesh_dashboard.exports.variable import Attribute, CellRow, Kind, Variable

GLOBAL: Final = "NC_GLOBAL"
INFO_COLUMNS: Final = ("Row Type", "Variable Name", "Attribute Name", "Data Type", "Value")
LIST_COLUMNS: Final = (
    "griddap",
    "Subset",
    "tabledap",
    "Make A Graph",
    "wms",
    "files",
    "Title",
    "Summary",
    "FGDC",
    "ISO 19115",
    "Info",
    "Background Info",
    "RSS",
    "Email",
    "Institution",
    "Dataset ID",
)
RESOURCE_COLUMNS: Final = ("Resource", "URL")
INFO_TYPES: Final[Mapping[Kind, str]] = {
    "text": "String",
    "number": "double",
    "integer": "int",
    "flag": "byte",
    "time": "double",
}
DAP_TYPES: Final[Mapping[Kind, str]] = {
    "text": "String",
    "number": "Float64",
    "integer": "Int32",
    "flag": "Byte",
    "time": "Float64",
}


def resources(address: str) -> PlainTable:
    """Return what there is below ``address``, which ends with /erddap."""
    rows: list[CellRow] = [
        ("info", f"{address}/info/index.csv"),
        ("search", f"{address}/search/index.csv?searchFor="),
        ("tabledap", f"{address}/tabledap/index.csv"),
    ]
    return PlainTable(columns=RESOURCE_COLUMNS, rows=rows)


def dataset_list(datasets: Iterable[Dataset], publisher: DataPublisher, address: str) -> PlainTable:
    return PlainTable(columns=LIST_COLUMNS, rows=[_line(dataset, publisher, address) for dataset in datasets])


def _line(dataset: Dataset, publisher: DataPublisher, address: str) -> CellRow:
    about = {
        "tabledap": f"{address}/tabledap/{dataset.dataset_id}",
        "Title": dataset.title,
        "Summary": dataset.summary,
        "Info": f"{address}/info/{dataset.dataset_id}/index.csv",
        "Background Info": publisher.url,
        "Institution": publisher.institution,
        "Dataset ID": dataset.dataset_id,
    }
    return tuple(about.get(column, "") for column in LIST_COLUMNS)


def dataset_info(dataset: Dataset, attributes: Mapping[str, Attribute], time_range: TimeRange | None) -> PlainTable:
    rows: list[CellRow] = [("attribute", GLOBAL, name, _type_of(value), _text(value)) for name, value in attributes.items()]
    for variable in dataset.variables:
        rows.append(("variable", variable.name, "", INFO_TYPES[variable.kind], ""))
        about = described(variable, time_range)
        rows += [("attribute", variable.name, name, _type_of(value), _text(value)) for name, value in about.items()]
    return PlainTable(columns=INFO_COLUMNS, rows=rows)


def described(variable: Variable, time_range: TimeRange | None) -> Mapping[str, Attribute]:
    """Return a variable's attributes; the row's time has its range, in seconds."""
    if variable.name != "time" or time_range is None:
        return variable.about
    return {**variable.about, "actual_range": (time_range.first / 1000, time_range.last / 1000)}


def das_text(dataset: Dataset, attributes: Mapping[str, Attribute], time_range: TimeRange | None) -> str:
    """Return the attributes of all variables and of the dataset (OPeNDAP's DAS)."""
    lines = ["Attributes {", " s {"]
    for variable in dataset.variables:
        about = described(variable, time_range).items()
        lines += [f"  {variable.name} {{", *(f"    {_das_line(name, value)}" for name, value in about), "  }"]
    lines += [" }", f"  {GLOBAL} {{", *(f"    {_das_line(name, value)}" for name, value in attributes.items()), "  }", "}"]
    return "\n".join(lines) + "\n"


def dds_text(variables: Sequence[Variable]) -> str:
    """Return the structure of a result (OPeNDAP's DDS)."""
    columns = [f"    {DAP_TYPES[variable.kind]} {variable.name};" for variable in variables]
    return "\n".join(["Dataset {", "  Sequence {", *columns, "  } s;", "} s;"]) + "\n"


def _das_line(name: str, value: Attribute) -> str:
    dap = {"String": "String", "double": "Float64", "int": "Int32", "byte": "Byte"}[_type_of(value)]
    return f"{dap} {name} {json.dumps(value) if isinstance(value, str) else _text(value)};"


def _type_of(value: Attribute) -> str:
    if isinstance(value, str):
        return "String"
    if isinstance(value, tuple):
        return "byte" if all(isinstance(each, int) for each in value) else "double"
    return "int" if isinstance(value, int) else "double"


def _text(value: Attribute) -> str:
    return ", ".join(map(repr, value)) if isinstance(value, tuple) else str(value)
