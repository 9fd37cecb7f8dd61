"""Rates and CPU of the candidates side by side, as one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

plt.rcParams["svg.hashsalt"] = "reefmesh"  # the same figures give the same file

OURS, PLAIN, BROKER = "#0b6e99", "#c8782a", "#b9c4cc"
METADATA: Final = {"Date": None}


class Drawn(Protocol):
    """What is drawn of a candidate."""

    @property
    def name(self) -> str: ...

    @property
    def per_second(self) -> float: ...

    @property
    def services_microseconds(self) -> float: ...

    @property
    def broker_microseconds(self) -> float | None: ...


def draw(path: Path, rows: Sequence[Drawn], *, caption: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = list(reversed(rows))  # the first one on top
    names = [row.name for row in rows]
    colours = [OURS if name.startswith("reefmesh") else PLAIN for name in names]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 0.5 * len(rows) + 1.4), sharey=True, layout="constrained")
    bars = left.barh(names, [row.per_second for row in rows], color=colours)
    left.bar_label(bars, [f"{row.per_second:,.0f}" for row in rows], padding=3)
    left.set_title("messages/s, sustained")
    services = [row.services_microseconds for row in rows]
    right.barh(names, services, color=colours)
    right.barh(names, [row.broker_microseconds or 0.0 for row in rows], left=services, color=BROKER, label="broker")
    right.set_title("CPU a message, microseconds")
    right.legend(fontsize=8)
    for side in (left, right):
        side.margins(x=0.15)
        side.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"One reading a message, 500 reefs, durable; {caption}", fontsize=9)
    figure.savefig(path, metadata=METADATA)
    plt.close(figure)
