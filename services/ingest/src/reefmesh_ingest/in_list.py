"""Long lists of values for ``WHERE column IN (...)``, cut into statements of few different texts."""

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

AT_ONCE_LIMIT: Final = 256

Value = TypeVar("Value")


def in_lists(values: Iterable[Value]) -> Iterator[tuple[str, list[Value]]]:
    """Yield the placeholders and the values of each statement, ``AT_ONCE_LIMIT`` at most.

    Lengths are powers of two (the last value is repeated), so that a database that prepares statements sees few texts.
    """
    wanted = list(values)
    for start in range(0, len(wanted), AT_ONCE_LIMIT):
        some = wanted[start : start + AT_ONCE_LIMIT]
        some += [some[-1]] * ((1 << (len(some) - 1).bit_length()) - len(some))
        yield ", ".join("?" * len(some)), some
