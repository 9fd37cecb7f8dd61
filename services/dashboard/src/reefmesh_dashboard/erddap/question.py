"""What is asked of a dataset: ``?variables&constraints&functions``, as ERDDAP's tabledap has it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import unquote_plus

from reefmesh_dashboard.api.parameters import shown
from reefmesh_dashboard.erddap.failure import ErddapFailure, listed, wrong_query
from reefmesh_dashboard.erddap.instants import ALLOWED, WrongInstant, milliseconds_of
from reefmesh_dashboard.exports.constraint import Comparison, Constraint
from reefmesh_dashboard.exports.dataset import Dataset, TimeRange
from reefmesh_dashboard.exports.pattern import PATTERN_LENGTH, Pattern, WrongPattern
from reefmesh_dashboard.exports.row_file import Ordering
from reefmesh_dashboard.exports.rows import TableChoice
from reefmesh_dashboard.exports.variable import Variable

QUESTION_LENGTH: Final = 8_000
PARTS_LIMIT: Final = 60
COMPARISONS: Final = ("!=", "<=", ">=", "=~", "=", "<", ">")
_CONSTRAINT: Final = re.compile(r"(\w+)(!=|<=|>=|=~|=|<|>)(.*)", re.DOTALL)
_FUNCTION: Final = re.compile(r"(\w*)\((.*)\)", re.DOTALL)
_ORDERINGS: Final = {
    "orderBy": Ordering(),
    "orderByDescending": Ordering(descending=True),
    "orderByMax": Ordering(keep="greatest"),
    "orderByMin": Ordering(keep="least"),
}
FUNCTIONS: Final = listed(["distinct()", *(name + '("variable,variable")' for name in _ORDERINGS)])
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which columns and rows, and how they are arranged; ``ordering`` has places in the columns."""

    choice: TableChoice
    ordering: Ordering

    @property
    def is_as_it_comes(self) -> bool:
        return self.ordering == Ordering()


def decoded(query: bytes) -> str:
    """Return the text of a query string. Some clients encode all of it, its ``&`` included, so it is decoded before it is
    split. Raises ErddapFailure."""
    if len(query) > QUESTION_LENGTH:
        detail = f"the query has {len(query)} characters; at most {QUESTION_LENGTH} are allowed"
        raise ErddapFailure(HTTPStatus.REQUEST_URI_TOO_LONG, detail)
    try:
        return unquote_plus(query.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise wrong_query("query", "it is not UTF-8", "percent-encoded UTF-8") from None


def read_question(text: str, dataset: Dataset, *, now: datetime, time_range: TimeRange | None) -> Question:
    """Return what a decoded query asks. ``time_range`` need be known only if the query names an end (``names_an_end``).

    Raises:
        ErddapFailure: a part of it is wrong; it names the part and what is allowed.
    """
    parts = list(_split(text))
    if len(parts) > PARTS_LIMIT:
        raise wrong_query("query", f"it has {len(parts)} parts between &", f"at most {PARTS_LIMIT}")
    variables = _variables(parts[0], dataset)
    constraints: list[Constraint] = []
    orderings: list[tuple[str, Ordering]] = []
    distinct = False
    for part in filter(None, map(str.strip, parts[1:])):
        if (function := _FUNCTION.fullmatch(part)) is not None:
            if function[1] == "distinct" and not function[2]:
                distinct = True
            else:
                orderings.append((part, _ordering(part, function, variables)))
        else:
            constraints.append(_constraint(part, dataset, now=now, time_range=time_range))
    if len(orderings) > 1:
        raise wrong_query(shown(orderings[1][0]), "there is another one before it", "one orderBy in a query")
    ordering = orderings[0][1] if orderings else Ordering()
    return Question(
        choice=TableChoice(dataset=dataset, variables=variables, constraints=tuple(constraints)),
        ordering=Ordering(distinct=distinct, by=ordering.by, descending=ordering.descending, keep=ordering.keep),
    )


def _split(text: str) -> Iterator[str]:
    """Yield what stands between the ``&`` that are in no quotes."""
    start, is_quoted, is_escaped = 0, False, False
    for at, character in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = is_quoted
        elif character == '"':
            is_quoted = not is_quoted
        elif character == "&" and not is_quoted:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _variables(text: str, dataset: Dataset) -> tuple[Variable, ...]:
    names = [name.strip() for name in text.split(",")] if text.strip() else list(dataset.by_name)
    for name in names:
        if name not in dataset.by_name:
            raise wrong_query(f"variable={shown(name)}", "there is no such variable", listed(dataset.by_name))
        if names.count(name) > 1:
            raise wrong_query(f"variable={shown(name)}", "it is there twice", "each variable once")
    return tuple(dataset.by_name[name] for name in names)


def _ordering(part: str, function: "re.Match[str]", variables: Sequence[Variable]) -> Ordering:
    name, inside = function[1], function[2].strip()
    if name not in _ORDERINGS:
        raise wrong_query(shown(part), "there is no such function", FUNCTIONS)
    names = [variable.name for variable in variables]
    asked = [each.strip() for each in inside[1:-1].split(",")] if inside[:1] == inside[-1:] == '"' and len(inside) > 1 else []
    if not asked or not set(asked) <= set(names) or len(set(asked)) < len(asked):
        detail = "it must name variables of the result, each once, in double quotes"
        raise wrong_query(shown(part), detail, f'{name}("{names[0]}") of {listed(names)}')
    sample = _ORDERINGS[name]
    return Ordering(by=tuple(names.index(each) for each in asked), descending=sample.descending, keep=sample.keep)


def _constraint(part: str, dataset: Dataset, *, now: datetime, time_range: TimeRange | None) -> Constraint:
    found = _CONSTRAINT.fullmatch(part)
    if found is None:
        allowed = f"variable, one of {' '.join(COMPARISONS)}, value; or {FUNCTIONS}"
        raise wrong_query(shown(part), "neither a constraint nor a function", allowed)
    name, comparison, value = found[1], cast("Comparison", found[2]), found[3].strip()
    variable = dataset.by_name.get(name)
    if variable is None:
        raise wrong_query(f"variable={shown(name)}", "there is no such variable", listed(dataset.by_name))
    operand = _operand(variable, comparison, value, shown(part), now=now, time_range=time_range)
    return Constraint(variable=variable, comparison=comparison, operand=operand)


def _operand(
    variable: Variable, comparison: Comparison, value: str, part: str, *, now: datetime, time_range: TimeRange | None
) -> float | str | Pattern | None:
    if variable.is_text:
        text = _unquoted(value, part, variable)
        return _pattern(text, part) if comparison == "=~" else text
    if comparison == "=~":
        raise wrong_query(part, f"{variable.name} is no text", "= != < <= > >=")
    bare = value[1:-1] if value[:1] == value[-1:] == '"' and len(value) > 1 else value
    if bare == "NaN" or (variable.kind == "time" and not bare):
        return None
    if variable.kind == "time":
        try:
            return milliseconds_of(bare, now=now, time_range=time_range)
        except WrongInstant as error:
            raise wrong_query(part, str(error), ALLOWED) from None
    if _NUMBER.fullmatch(bare) is None or abs(float(bare)) == float("inf"):
        raise wrong_query(part, "the value is no number", "a finite number, or NaN for what is missing")
    return float(bare)


def _unquoted(value: str, part: str, variable: Variable) -> str:
    """Return the text between quotes. A backslash before a quote or a backslash is dropped; before all else it stays, for
    patterns."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        raise wrong_query(part, f"{variable.name} is a text", 'a text in double quotes, like "north-wall"')
    return _ESCAPE.sub(lambda escape: escape[1] if escape[1] in '"\\' else escape[0], value[1:-1])


def _pattern(text: str, part: str) -> Pattern:
    try:
        return Pattern(text)
    except WrongPattern as error:
        raise wrong_query(part, shown(str(error)), f"a pattern of RE2 with at most {PATTERN_LENGTH} characters") from None
