"""How a record was understood, and the flags of its values, for people and machines."""

from pathlib import Path
from typing import Any, Final

from reefmesh.contracts.flags import Flag
from reefmesh_standalone.commands.context import results
from reefmesh_standalone.commands.reef_table import table_of, words
from reefmesh_standalone.commands.replaying import counted
from reefmesh_standalone.importing.flags import NAMES, FlagCounts
from reefmesh_standalone.records.columns import IGNORED
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.times import iso
from reefmesh_standalone.records.understood import unit_text

WIDE_COLUMNS: Final = 76
"""Below this, tables would break the words in them."""


def show_understanding(file: Path, record: FileRecord) -> None:
    """Print every column with its use, and what was understood of times, text and lines."""
    out, understood = results(), record.understood
    why = ("because of",) if out.width >= WIDE_COLUMNS else ()
    table = table_of(f"How {file.name} is understood", "column", "read as", "unit", *why, whole=("unit",))
    for use in understood.columns:
        read_as = "not read" if use.use == IGNORED else words(use.use)
        table.add_row(use.title, read_as, unit_text(use), *((use.why,) if why else ()))
    out.print(table)
    times = understood.times
    marks = f", decimals after '{understood.decimal_mark}'" if understood.decimal_mark else ""
    facts = {
        "format": f"{understood.format}, {understood.encoding}, separated by {understood.separator}{marks}",
        "times": f"{times.written} is {times.meant}",
        "date order": times.order,
        "time zone": times.zone,
        "readings": f"{len(record):,} from {iso(record.observed_us[0])} to {iso(record.observed_us[-1])}",
    }
    beside = (
        (understood.repeated, "line", "repeating an instant"),
        (understood.events, "line", "of events of the logger"),
        (understood.left_out, "line", "left out by --where"),
    )
    if told := ", ".join(f"{counted(number, noun)} {rest}" for number, noun, rest in beside if number):
        facts["beside them"] = told
    for name, fact in facts.items():
        out.print(f"{name}: {fact}")
    out.print()


def show_flags(title: str, counts: FlagCounts) -> None:
    """Print quantity by quantity how many values have which flag."""
    out = results()
    if out.width < WIDE_COLUMNS:
        out.print(f"{title}:")
        for quantity, flags in counts.items():
            told = ", ".join(f"{flags[flag]:,} {name}" for flag, name in NAMES.items() if flags[flag])
            out.print(f"{words(quantity)}: {told or 'no values'}")
        return
    table = table_of(title, "quantity", "values", *NAMES.values(), numbers=("values", *NAMES.values()))
    for quantity, flags in counts.items():
        table.add_row(words(quantity), f"{sum(flags.values()):,}", *(f"{flags[flag]:,}" for flag in NAMES))
    out.print(table)


def flags_document(counts: FlagCounts) -> dict[str, dict[str, Any]]:
    return {quantity: {words_of(flag): flags[flag] for flag in NAMES} for quantity, flags in counts.items()}


def words_of(flag: Flag) -> str:
    """Return a flag's name as a key."""
    return NAMES[flag].replace(" ", "_")
