"""A form of text that a table is written in, page by page."""

from collections.abc import Sequence
from typing import Protocol

from reefmesh_dashboard.exports.variable import CellRow


class TextForm(Protocol):
    """Its columns are known when it is made. ``tail`` comes after the last page."""

    def head(self) -> str: ...

    def page(self, rows: Sequence[CellRow]) -> str: ...

    def tail(self) -> str: ...
