"""Options for the fields of an entry of the register: ``--mmm 29.5`` beside ``mmm_celsius=29.5``."""

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Annotated, Any, Final

import typer
from pydantic import BaseModel

UNITS: Final = ("celsius", "degrees", "metres", "percent", "seconds", "uatm", "utc", "volts")
"""Last words of fields' names that an option may leave out."""

PANEL: Final = "Fields of the register"
_PREFIX: Final = "field_"


def fields_as_options(entry: type[BaseModel]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each field of ``entry`` but its id; they reach the command's parameter ``fields``, behind
    what was given as ``field=value``, in the same form."""
    options = {f"{_PREFIX}{name}": name for name in entry.model_fields if name != "id"}
    names = names_of_options(list(options.values()))
    takes = {name: _takes(entry, name) for name in options.values()}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(*, fields: list[str] | None = None, **given: Any) -> None:
            stated = {name: given.pop(parameter) for parameter, name in options.items()}
            command(
                fields=[*(fields or ()), *(f"{name}={value}" for name, value in stated.items() if value is not None)], **given
            )

        signature = inspect.signature(command, eval_str=True)
        added = [
            inspect.Parameter(
                parameter,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[
                    str | None,
                    typer.Option(
                        *names[name],
                        metavar=takes[name].metavar,
                        help=takes[name].said,
                        rich_help_panel=PANEL,
                        show_default=False,
                    ),
                ],
            )
            for parameter, name in options.items()
        ]
        kept = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in signature.parameters.values()]
        with_options.__signature__ = signature.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in (*kept, *added)}
        return with_options

    return decorate


def names_of_options(fields: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return the options of each field: its whole name, and the one without a unit where that is one field's alone."""
    short = {name: name.rpartition("_")[0] if name.rpartition("_")[2] in UNITS else name for name in fields}
    uses = Counter([*short.values(), *(name for name in fields if short[name] != name)])
    return {
        name: [_option(name), *([_option(short[name])] if short[name] != name and uses[short[name]] == 1 else [])]
        for name in fields
    }


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class _Takes:
    """``metavar`` stands behind the option, ``said`` in its help."""

    metavar: str
    said: str


def _takes(entry: type[BaseModel], name: str) -> _Takes:
    """Return what the field takes, from its declaration."""
    field, words = entry.model_fields[name], str(entry.model_fields[name].annotation).lower()
    unit = name.rpartition("_")[2]
    if field.annotation is str:
        found = _Takes("TEXT", "Text.")
    elif field.annotation is bool:
        found = _Takes("true|false", "true or false.")
    elif any(part in words for part in ("list", "dict", "tuple", "entry")):
        found = _Takes("JSON", "JSON, as 'show' prints it.")
    elif "datetime" in words:
        found = _Takes("INSTANT", "An instant like 2026-03-01T00:00:00Z.")
    else:
        bounds = [
            (word, bound)
            for each in field.metadata
            for kind, word in _BOUNDS
            if (bound := getattr(each, kind, None)) is not None
        ]
        said = "".join(f" {word} {bound:.10g}" for word, bound in bounds)
        found = _Takes(unit.upper() if unit in UNITS else "NUMBER", f"A number{said}.")
    return replace(found, said=field.description) if field.description else found


_BOUNDS: Final = (("gt", "above"), ("ge", "from"), ("lt", "up to, without,"), ("le", "up to"))
