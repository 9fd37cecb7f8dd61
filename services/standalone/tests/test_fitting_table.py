"""A table breaks no word, whatever the terminal's width, and has colours on a terminal alone."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from reefmesh_standalone.commands.reef_table import style_of, table_of

LONG = "mole concentration of nitrate and nitrite in sea water"
ROWS = [
    ("867740030000003", LONG, "unknown-device", "1,234", "2026-03-01 06:30"),
    ("agent-7", "sea water temperature", "number-out-of-range", "1", "2026-03-02 23:59"),
]
WORDS = {word for row in ROWS for cell in row for word in cell.split()}


def shown(width: int, **options: object) -> str:
    out = io.StringIO()
    table = table_of("Quarantine", "device", "quantity", "reason", "entries", "last (UTC)", numbers=("entries",))
    for row in ROWS:
        table.add_row(*row)
    table.caption = "What could not be understood."
    Console(file=out, width=width, **options).print(table)  # type: ignore[arg-type]  # the test's keywords are its parameters
    return out.getvalue()


@pytest.mark.parametrize("width", [30, 40, 50, 60, 70, 80, 100, 140])
def test_every_word_stands_whole_in_a_line_that_fits(width: int) -> None:
    text = shown(width)
    assert max(map(len, text.splitlines())) <= width
    assert set() == WORDS - set(text.split())


def test_narrow_terminal_gets_a_block_for_each_row_with_every_column() -> None:
    lines = shown(40).splitlines()
    block = lines[lines.index("agent-7") :]
    assert ["  quantity    sea water temperature", "  reason      number-out-of-range", "  entries     1"] == block[1:4]


@pytest.mark.parametrize(
    ("terminal", "no_color", "coloured"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_levels_have_colours_on_a_terminal_that_wants_them(terminal: bool, no_color: bool, coloured: bool) -> None:
    out = io.StringIO()
    environment = {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if no_color else {})
    table = table_of("", "heat")
    table.add_row(Text("Alert Level 2, today", style=style_of("Alert Level 2, today")))
    Console(file=out, width=80, force_terminal=terminal, color_system="auto", _environ=environment).print(table)
    assert ("\x1b[1;31m" in out.getvalue()) is coloured
    assert "Alert Level 2, today" in out.getvalue()


def test_words_of_a_state_choose_its_colour_and_others_have_none() -> None:
    assert style_of("unknown; last Bleaching Watch on 1987-08-02") == style_of("unknown") == "dim"
    assert len({style_of(word) for word in ("No Stress, today", "Bleaching Watch", "Bleaching Warning", "Alert Level 1")}) == 4
    assert (style_of("no go"), style_of("Menjangan")) == ("bold red", "")
