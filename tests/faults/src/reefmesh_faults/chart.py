"""A soak's samples as one picture: memory, file descriptors, queues."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

KINDS: Final = (("memory", "MB"), ("descriptors", "file descriptors"), ("queue", "messages waiting"))


def draw(path: Path, series: Mapping[str, Sequence[tuple[float, float]]], *, caption: str) -> None:
    """Write the picture; its kind is the file's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(1, len(KINDS), figsize=(12, 3.6), layout="constrained")
    for axis, (kind, label) in zip(axes, KINDS, strict=True):
        for name, points in series.items():
            if name.endswith(kind):
                minutes = [at / 60 for at, _ in points]
                axis.plot(minutes, [value for _, value in points], linewidth=1, label=name.removesuffix(f" {kind}"))
        axis.set_xlabel("minutes")
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=7)
        axis.grid(visible=True, alpha=0.3)
    figure.suptitle(caption, fontsize=9)
    figure.savefig(path)
    plt.close(figure)
