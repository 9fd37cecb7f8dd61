"""How ``--help`` shows a command: its text flows with the terminal, its examples stand below as they would be typed.

What the command line refuses is told in our own words, too.
"""

from inspect import cleandoc
from typing import Any, Final

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text
from typer import BadParameter, Context
from typer.core import TyperArgument, TyperCommand, TyperGroup

from reefmesh.mistake_sentence import sentence_of
from reefmesh_standalone.commands.help_text import argument_rows, command_rows, markup, option_rows, section, usage_words

HEADING: Final = "Examples:"


class Command(TyperCommand):
    """A command whose docstring ends with ``Examples:`` and a line for each."""

    def __init__(self, *args: Any, help: str | None = None, **kwargs: Any) -> None:  # the base's keyword
        text, _, examples = cleandoc(help or "").partition(HEADING)
        self.examples = cleandoc(examples.strip("\n"))
        super().__init__(*args, help=_flowing(text), **kwargs)
        for argument in self.params:
            if isinstance(argument, TyperArgument) and argument.metavar is None:  # errors name it as the usage does
                argument.metavar = f"{argument.name.upper()}{'' if argument.nargs == 1 else '...'}"

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer's own context
        """Raises BadParameter, in our own words."""
        try:
            return super().parse_args(ctx, args)
        except BadParameter as refused:
            if isinstance(refused.__cause__, ValidationError):  # typer would show pydantic's words
                first = refused.__cause__.errors(include_url=False)[0]
                shown = "" if first["type"] == "value_error" else f"'{first['input']}' "  # typer's own names it
                refused.message = f"{shown}{sentence_of(first).rstrip('.')}."
            raise

    def collect_usage_pieces(self, ctx: Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002 - as above
        return usage_words(self.params, subcommands=False)

    def format_help(self, ctx: Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ARG002 - as above
        _print_page(self, ctx)
        if self.examples:
            # Not wrapped, whatever the width: a copied example must run.
            lines = "\n".join(f"  {line}" if line else "" for line in self.examples.splitlines())
            Console(highlight=False, soft_wrap=True).print(Text.assemble((HEADING, "bold"), f"\n{lines}"))


class Group(TyperGroup):
    """A command with sub-commands."""

    def collect_usage_pieces(self, ctx: Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002 - as above
        return usage_words(self.params, subcommands=True)

    def format_help(self, ctx: Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ARG002 - as above
        _print_page(self, ctx)


def _print_page(command: TyperCommand | TyperGroup, ctx: Context) -> None:
    console = Console(highlight=False)
    console.print(Text.assemble(("Usage:", "bold"), f" {' '.join([ctx.command_path, *command.collect_usage_pieces(ctx)])}\n"))
    for paragraph in (command.help or "").split("\n\n"):
        console.print(markup(paragraph).append("\n"))
    parameters = command.get_params(ctx)
    sections = {"Arguments": argument_rows(parameters)}
    if isinstance(command, TyperGroup):
        sections["Commands"] = command_rows(ctx, command.list_commands(ctx))
    for title, rows in (sections | option_rows(parameters)).items():
        for line in section(console, title, rows):
            console.print(line, soft_wrap=True)


def _flowing(text: str) -> str:
    """Join the lines of each paragraph; the terminal wraps them."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
