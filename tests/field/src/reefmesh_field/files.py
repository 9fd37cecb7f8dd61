"""Files as loggers, servers and stations write them."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path


def own_csv(path: Path, instants: Iterable[datetime], celsius: Callable[[datetime], float]) -> Path:
    """A table of instants and water temperatures."""
    lines = [f"{at.isoformat()},{celsius(at):.2f}" for at in instants]
    path.write_text("\n".join(["time,sea_water_temperature", *lines]) + "\n")
    return path
