"""Throughput and latency of the mesh and of the plain pipeline, as one picture."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

from throughput import Alerting

mpl.use("svg")
from matplotlib import pyplot as plt


def draw(path: Path, pipelines: Mapping[str, Alerting], *, hold_seconds: float, caption: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(1, 2), layout="constrained")
    names = list(pipelines)
    colours = dict(zip(names, ("#0b6e99", "#c8782a"), strict=False))
    rates = [pipelines[name].sustained.per_second for name in names]
    bars = left.bar(names, rates, color=[colours[name] for name in names])
    left.bar_label(bars, [f"{rate:,.0f}" for rate in rates])
    left.set_ylabel("messages/s, sustained")
    left.set_title("Throughput")
    for name, alerting in pipelines.items():
        offered = [step.offered_per_second for step in alerting.steps]
        for share, style in (("p50", ":"), ("p99", "-"), ("p999", "--")):
            milliseconds = [getattr(step, share) * 1e3 for step in alerting.steps]
            label = f"{name}, {share.replace('p999', 'p99.9')}"
            right.plot(offered, milliseconds, style, marker="o", markersize=3, color=colours[name], label=label)
    right.axhline(hold_seconds * 1e3, color="#999999", linewidth=1)
    right.set_yscale("log")
    right.set_xlabel("messages/s, offered")
    right.set_ylabel("telemetry to alert, ms")
    right.set_title("Latency")
    right.legend(fontsize=8)
    right.grid(visible=True, which="major", alpha=0.3)
    figure.suptitle(caption, fontsize=9)
    figure.savefig(path)
    plt.close(figure)
