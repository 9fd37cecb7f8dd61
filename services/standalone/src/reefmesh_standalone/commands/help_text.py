"""The lines of a help page: labels beside their help where the terminal is wide enough, above it where it is not."""

from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import Console
from rich.text import Text
from typer import Context
from typer.core import TyperArgument, TyperOption

INDENT: Final = 2
BELOW_INDENT: Final = 6
WIDE_COLUMNS: Final = 70
LABEL_COLUMNS_LIMIT: Final = 24
"""A longer label has a line of its own."""

Row = tuple[str, Text]
Parameter = TyperArgument | TyperOption


def usage_words(parameters: Iterable[object], *, subcommands: bool) -> list[str]:
    """Return what stands behind the command's name: its arguments, then the place of the options."""
    arguments = [each for each in parameters if isinstance(each, TyperArgument) and not each.hidden]
    words = [_named(each) if each.required else f"[{_named(each)}]" for each in arguments]
    return [*words, *(["COMMAND"] if subcommands else []), "[OPTIONS]"]


def argument_rows(parameters: Iterable[object]) -> list[Row]:
    return [(_named(each), _help_of(each)) for each in parameters if isinstance(each, TyperArgument) and not each.hidden]


def option_rows(parameters: Iterable[object]) -> dict[str, list[Row]]:
    """Return the rows of the options by the title under which they stand."""
    found: dict[str, list[Row]] = {}
    for each in parameters:
        if isinstance(each, TyperOption) and not each.hidden:
            found.setdefault(each.rich_help_panel or "Options", []).append((_label(each), _help_of(each)))
    return found


def section(console: Console, title: str, rows: Iterable[Row]) -> Iterator[Text]:
    """Yield the lines of one section, each at most as wide as the terminal, broken between words."""
    listed = list(rows)
    if not listed:
        return
    yield Text(f"{title}:", style="bold")
    beside = console.width >= WIDE_COLUMNS
    fitting = [len(label) for label, _ in listed if len(label) <= LABEL_COLUMNS_LIMIT]
    begin = INDENT + max(fitting, default=0) + 2 if beside else BELOW_INDENT
    for label, said in listed:
        lines = said.wrap(console, max(20, console.width - begin))
        head = Text(" " * INDENT).append(label, style="cyan")
        if beside and len(head) + 2 <= begin and lines:
            head.append(" " * (begin - len(head)))
            head.append_text(lines.pop(0))
        yield head
        for line in lines:
            yield Text(" " * begin).append_text(line)
    yield Text()


def markup(text: str) -> Text:
    return Text.from_markup(" ".join(text.split()))


def command_rows(context: Context, names: Iterable[str]) -> list[Row]:
    """Return the sub-commands of a group, each with the first paragraph of its help."""
    rows = []
    for name in names:
        command = context.command.get_command(context, name)  # type: ignore[attr-defined]  # the context is a group's
        if command is not None and not command.hidden:
            rows.append((name, markup((command.help or "").partition("\n\n")[0])))
    return rows


def _named(argument: TyperArgument) -> str:
    return argument.metavar or argument.name.upper()


def _label(option: TyperOption) -> str:
    """Of several long names the shortest is shown."""
    longs = sorted((name for name in option.opts if name.startswith("--")), key=len)
    name = ", ".join([*longs[:1], *option.secondary_opts, *(name for name in option.opts if not name.startswith("--"))])
    if option.is_flag:
        return name
    return f"{name} {option.metavar or longs[-1].lstrip('-').upper().replace('-', '_')}"


def _help_of(parameter: Parameter) -> Text:
    said = markup(parameter.help or "")
    choices = parameter.type_descriptor.choices
    if choices:
        said.append(f" One of: {', '.join(str(choice) for choice in choices)}.")
    elif parameter.min is not None and parameter.max is not None:
        said.append(f" From {parameter.min:g} to {parameter.max:,g}.".replace(",", ""))
    elif parameter.min is not None:
        said.append(f" From {parameter.min:g} on.")
    if isinstance(parameter, TyperOption) and parameter.multiple:
        said.append(" May be repeated.")
    default = parameter.default
    if parameter.show_default and isinstance(default, str | int | float) and not isinstance(default, bool):
        said.append(f" Default: {default}.")
    return said
