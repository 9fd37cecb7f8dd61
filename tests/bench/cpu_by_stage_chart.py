"""Where a message's CPU goes, as one picture: a bar for each service and broker, by stage."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

from cpu_sampler import STAGES

plt.rcParams["svg.hashsalt"] = "reefmesh"  # the same figures give the same file
BROKER_COLOUR: Final = "#b9c4cc"
COLOURS: Final = ("#0b6e99", "#5aa9c9", "#c8782a", "#8a4f9e", "#5a8f3c", "#d9b44a", "#8d99a3", "#5d4a3a", "#d0d0d0")


class Spent(Protocol):
    """Microseconds of CPU a message of one bar; ``stages`` empty: the broker, into which nobody looks."""

    @property
    def place(self) -> str: ...

    @property
    def microseconds(self) -> float: ...

    @property
    def stages(self) -> dict[str, float]: ...


def draw(path: Path, bars: Sequence[Spent], *, caption: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = list(reversed(bars))  # the first one on top
    figure, axes = plt.subplots(figsize=(11, 0.55 * len(shown) + 2.0), layout="constrained")
    names = [bar.place for bar in shown]
    left = [0.0] * len(shown)
    for stage, colour in zip(STAGES, COLOURS, strict=True):
        values = [bar.stages.get(stage, 0.0) for bar in shown]
        if any(values):
            axes.barh(names, values, left=left, color=colour, label=stage)
            left = [start + value for start, value in zip(left, values, strict=True)]
    whole = [0.0 if bar.stages else bar.microseconds for bar in shown]
    axes.barh(names, whole, color=BROKER_COLOUR, label="broker")
    for index, bar in enumerate(shown):
        axes.text(bar.microseconds, index, f" {bar.microseconds:,.0f}", va="center", fontsize=9)
    axes.set_xlabel("microseconds of CPU a message")
    axes.legend(fontsize=8, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.08)
    figure.suptitle(caption, fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
