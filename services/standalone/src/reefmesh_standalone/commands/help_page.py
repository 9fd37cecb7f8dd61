"""How ``--help`` shows a command: its text flows with the terminal, its examples stand below as they would be typed."""

from inspect import cleandoc
from typing import Any, Final

from rich.console import Console
from rich.text import Text
from typer import Context
from typer.core import TyperCommand

HEADING: Final = "Examples:"


class Command(TyperCommand):
    """A command whose docstring ends with ``Examples:`` and a line for each."""

    def __init__(self, *args: Any, help: str | None = None, **kwargs: Any) -> None:  # the base's keyword
        text, _, examples = cleandoc(help or "").partition(HEADING)
        self._examples = cleandoc(examples.strip("\n"))
        super().__init__(*args, help=_flowing(text), **kwargs)

    def format_help(self, ctx: Context, formatter: Any) -> None:  # type: ignore[override]  # typer's own context
        super().format_help(ctx, formatter)
        if self._examples:
            # Not wrapped, whatever the width: a copied example must run.
            lines = "\n".join(f"   {line}" if line else "" for line in self._examples.splitlines())
            Console(highlight=False, soft_wrap=True).print(Text(f" {HEADING}\n{lines}\n"))


def _flowing(text: str) -> str:
    """Join the lines of each paragraph; the terminal wraps them."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
