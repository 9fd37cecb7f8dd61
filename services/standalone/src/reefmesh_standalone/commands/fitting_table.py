"""A table for terminals of any width: it never breaks a word. Where its longest words do not fit side by side, each row becomes
a block of lines."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

BETWEEN_COLUMNS: Final = 3
EDGES: Final = 2
"""What the box of ``table_of`` takes beside the cells."""


class FittingTable(Table):
    """Decides by the width in which it is shown."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        cells = [[_text(cell) for cell in (column.header, *column.cells)] for column in self.columns]
        wanted = [max(map(len, each)) for each in cells]
        least = [
            want if column.no_wrap else max(map(_longest_word, each))
            for column, want, each in zip(self.columns, wanted, cells, strict=True)
        ]
        room = options.max_width - EDGES - BETWEEN_COLUMNS * (len(self.columns) - 1)
        if sum(least) > room:
            yield from self._blocks(console, options.max_width)
            return
        for column, width in zip(self.columns, _shared_out(room, least, wanted), strict=True):
            column.width = width
        yield from super().__rich_console__(console, options)

    def _blocks(self, console: Console, width: int) -> Iterator[RenderableType]:
        if self.title:
            yield Text(f"{_text(self.title)}\n", style="bold")
        titles = [_text(column.header) for column in self.columns]
        label = max(map(len, titles[1:]), default=0)
        for first, *rest in zip(*(column.cells for column in self.columns), strict=True):
            yield from _hanging(console, Text("", style="bold").append_text(_text(first)), begin=0, width=width)
            for title, cell in zip(titles[1:], rest, strict=True):
                head = Text("  ").append(title.plain.ljust(label), style="dim").append("  ")
                yield from _hanging(console, _text(cell), begin=len(head), width=width, head=head)
            yield Text()
        if self.caption:
            yield Text(f"{_text(self.caption)}\n", style="dim")


def _hanging(console: Console, text: Text, *, begin: int, width: int, head: Text | None = None) -> Iterator[Text]:
    """Yield the lines of a cell, all but the first behind blanks; below its title where its longest word needs that."""
    if head is not None and begin + _longest_word(text) > width:
        yield head
        head, begin = None, 4
        yield from (Text(" " * begin).append_text(line) for line in text.wrap(console, max(1, width - begin)))
        return
    for number, line in enumerate(text.wrap(console, max(1, width - begin)) or [Text()]):
        yield (head if head is not None and number == 0 else Text(" " * begin)).append_text(line)


def _shared_out(room: int, least: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Return each column's width: what its words need, and of the rest most where most is lacking."""
    widths = list(least)
    for _ in range(room - sum(least)):
        lacking = [want - width for want, width in zip(wanted, widths, strict=True)]
        if max(lacking) <= 0:
            break
        widths[lacking.index(max(lacking))] += 1
    return widths


def _text(cell: RenderableType | None) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell or ""))


def _longest_word(text: Text) -> int:
    return max(map(len, text.plain.split()), default=0)
