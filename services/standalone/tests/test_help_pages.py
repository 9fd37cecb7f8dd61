"""``--help`` of every command: examples that parse, no noise of types, no broken word, all in our own words."""

import re
from collections.abc import Iterator

import pytest
import typer.main
from typer import BadParameter, Context
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_standalone.__main__ import app
from reefmesh_standalone.commands.field_options import names_of_options
from reefmesh_standalone.commands.help_page import Command, Group

ROOT = typer.main.get_command(app)


def commands(command: object = ROOT, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    yield words, command
    if isinstance(command, TyperGroup):
        for name, each in command.commands.items():
            yield from commands(each, (*words, name))


ALL = dict(commands())


def page(words: tuple[str, ...], columns: int) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": str(columns)}, prog_name="reefmesh")
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_page_has_no_types_and_no_line_is_too_long_but_an_example(words: tuple[str, ...]) -> None:
    assert isinstance(ALL[words], Command | Group)
    for columns in (80, 50):
        text = page(words, columns)
        assert not re.search(r"<(bool|str|int|float|path|list)|\[required\]|_typer", text)
        head, _, examples = text.partition("Examples:")
        usage, *rest = head.splitlines()
        assert usage.startswith("Usage: ")
        assert max(map(len, rest)) <= columns
        assert bool(examples.strip()) is not isinstance(ALL[words], Group)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_page_says_the_same_words_at_every_width(words: tuple[str, ...]) -> None:
    wide, narrow = (page(words, columns).split() for columns in (200, 50))
    assert sorted(wide) == sorted(narrow)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "--port", "abc"), "'abc' must be a whole number"),
        (("up", "--port", "99999"), "'99999' must be at most 65535"),
        (("simulate", "--days", "x"), "'x' must be a number"),
        (("up", "--log-level", "loud"), "'loud' is not one of 'debug', 'info', 'warning', 'error'"),
        (("quarantine", "list", "--reason", "fog"), "'fog' is not one of 'empty'"),
    ],
)
def test_wrong_value_is_told_in_our_own_words(words: tuple[str, ...], said: str) -> None:
    command = ALL[tuple(word for word in words[:2] if (words[0], word) in ALL or word == words[0])]
    assert isinstance(command, TyperCommand)
    with pytest.raises(BadParameter) as refused:
        command.parse_args(Context(command), list(words[words.index(next(w for w in words if w.startswith("--"))) :]))
    assert said in refused.value.message


def test_every_field_of_the_register_has_an_option_and_one_without_its_unit_where_that_is_clear() -> None:
    for entry, words in ((ReefEntry, ("reefs", "set")), (BuoyEntry, ("buoys", "set"))):
        command = ALL[words]
        assert isinstance(command, TyperCommand)
        known = {name for parameter in command.params for name in parameter.opts}
        fields = [name for name in entry.model_fields if name != "id"]
        assert set() == {f"--{name.replace('_', '-')}" for name in fields} - known
        names = [name for options in names_of_options(fields).values() for name in options]
        assert len(names) == len(set(names))
    assert names_of_options(["mmm_celsius", "low_volts", "low_percent"]) == {
        "mmm_celsius": ["--mmm-celsius", "--mmm"],
        "low_volts": ["--low-volts"],
        "low_percent": ["--low-percent"],
    }
