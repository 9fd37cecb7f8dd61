"""What a benchmark prints and keeps."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number, and the number to hold, when there is one (``at_most`` says which side is good)."""

    name: str
    value: float
    unit: str
    hold: float | None = None
    at_most: bool = False

    @property
    def verdict(self) -> str:
        if self.hold is None:
            return ""
        held = self.value <= self.hold if self.at_most else self.value >= self.hold
        return "held" if held else "MISSED"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(title: str, figures: Sequence[Figure]) -> None:
    table = Table("what", "measured", "unit", "to hold", "", title=f"{title} ({os.cpu_count()} cores)", title_justify="left")
    for figure in figures:
        hold = "" if figure.hold is None else f"{'<=' if figure.at_most else '>='} {figure.hold:g}"
        digits = 2 if figure.unit == "ratio" else 1
        table.add_row(figure.name, f"{figure.value:,.{digits}f}", figure.unit, hold, figure.verdict)
    Console().print(table)


def keep(path: Path, title: str, figures: Sequence[Figure], **conditions: object) -> None:
    """Write the figures as JSON, with what machine they are of, and under which further conditions."""
    write(path, title, **conditions, figures=[asdict(figure) | {"verdict": figure.verdict} for figure in figures])


def write(path: Path, title: str, **facts: object) -> None:
    """Write these facts as JSON, with when and on what machine they were found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "title": title,
        "at": datetime.now(UTC).isoformat(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        **facts,
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
