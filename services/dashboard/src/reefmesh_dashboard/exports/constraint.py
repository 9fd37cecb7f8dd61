"""One condition on one variable."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from reefmesh_dashboard.exports.pattern import Pattern
from reefmesh_dashboard.exports.variable import Cell, Variable

Comparison = Literal["=", "!=", "<", "<=", ">", ">=", "=~"]

_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """``operand`` is a number (of instants: milliseconds since 1970), a text, a pattern for ``=~``, or None: missing.

    A missing text is the empty one. A missing number equals only None and is neither below nor above anything, as NaN is.
    """

    variable: Variable
    comparison: Comparison
    operand: float | str | Pattern | None

    def holds(self, cell: Cell) -> bool:
        if self.variable.is_text:
            cell = "" if cell is None else cell
        if isinstance(self.operand, Pattern):
            return self.operand.matches(str(cell))
        if self.operand is None or cell is None:
            same = self.operand is None and cell is None
            return same if self.comparison == "=" else not same and self.comparison == "!="
        return _COMPARED[self.comparison](cell, self.operand)


def millisecond_bounds(constraints: "list[Constraint] | tuple[Constraint, ...]", variable: str) -> tuple[float, float]:
    """Return (first, last) of what constraints on a variable of instants leave, both included."""
    first, last = float("-inf"), float("inf")
    for each in constraints:
        if each.variable.name != variable or not isinstance(each.operand, (int, float)):
            continue
        if each.comparison in ("=", ">", ">="):
            first = max(first, each.operand)
        if each.comparison in ("=", "<", "<="):
            last = min(last, each.operand)
    return first, last
