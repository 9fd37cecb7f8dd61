"""The accounting as a table, with the number of open quarantine entries."""

from rich.table import Table

from reefmesh_ingest.accounting import Accounting
from reefmesh_standalone.commands.reef_table import table_of

COUNTS = ("received", "accepted", "duplicates", "quarantined", "unexplained")


def books_table(books: Accounting) -> Table:
    """Return messages and readings, each as received = accepted + duplicates + quarantined."""
    table = table_of("Accounting: received = accepted + duplicates + quarantined", "", *COUNTS, numbers=COUNTS)
    for name, count in (("messages", books.messages), ("readings", books.readings)):
        cells = (count.received, count.accepted, count.duplicates, count.quarantined, count.unexplained)
        table.add_row(name, *(f"{cell:,}" for cell in cells))
    table.caption = (
        f"Open in quarantine: {books.quarantine_entries_open:,} entries,"
        f" {books.channels_quarantined:,} of them single values of readings that were used."
    )
    if books.messages_folded or books.entries_removed:
        table.caption += (
            f" Beyond the quota of quarantine, only counted: {books.messages_folded:,} messages;"
            f" removed for their age or by hand: {books.entries_removed:,} entries."
        )
    table.caption_justify = "left"
    return table
