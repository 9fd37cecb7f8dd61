"""Draws the dashboards of deploy/grafana without Grafana: a real mesh, a real Prometheus, every panel's own query.

  python tests/bench/dashboards.py                                    some six minutes, pictures to docs/dashboards
  python tests/bench/dashboards.py --past 40 --present 40 --out /tmp/x

ActiveMQ, ingest, two of scoring and alerts run as processes. `reefmesh simulate` first lives through four months of nine reefs:
what the dashboard of reefs shows. Then sixty reefs report every few seconds in real time, and one scoring process is killed and
started again: what the other two show. It needs what the tests on ActiveMQ need, and Prometheus.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import yaml

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reefmesh_components.activemq import local_activemq
from reefmesh_components.mesh_processes import MeshProcesses
from reefmesh_components.ports import HOST, free_port

ROOT: Final = Path(__file__).parents[2]
BOARDS: Final = ROOT / "deploy" / "grafana" / "dashboards"
SCRAPE_SECONDS: Final = 5
DAYS: Final = 120
BACKLOG_TIMEOUT_SECONDS: Final = 120
SETTLING_SECONDS: Final = 45
SUBSCRIPTIONS: Final = """
[[target]]
name = "log"
type = "console"

[[subscription]]
name = "all"
targets = ["log"]
data_age_limit_hours = 0  # also alerts on old data
"""
GRID_COLUMNS: Final = 24
INCHES: Final = (0.6, 0.33)
"""Of one unit of Grafana's grid: width, height."""
LEGEND_ROWS: Final = 3
"""Where there are more series than fit, those are named that go highest."""

COLOURS: Final = {
    "blue": "#5794f2",
    "green": "#37872d",
    "yellow": "#f2cc0c",
    "orange": "#ff780a",
    "red": "#e02f44",
    "dark-red": "#8b1a2b",
    "purple": "#8f3bb8",
    "text": "#b0b0b0",
}
LINES: Final = ("#3274d9", "#e8710a", "#37872d", "#a352cc", "#e02f44", "#0aa2a2", "#8a6d3b", "#c2367f", "#6b7a8f", "#b5a600")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    legend: str
    times: list[float]
    values: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is drawn: Unix times."""

    begins: float
    ends: float


@contextmanager
def prometheus(folder: Path, mesh: MeshProcesses) -> Iterator[str]:
    """Run Prometheus on the processes of the mesh, with the rules that are shipped; yields its address."""
    program = shutil.which("prometheus")
    if program is None:
        sys.exit("reefmesh: no prometheus; apt-get install prometheus (Debian, Ubuntu)")
    jobs: dict[str, list[str]] = {}
    for process in mesh.processes:
        jobs.setdefault(process.service, []).append(f"{HOST}:{process.port}")
    configuration = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "rule_files": [str(ROOT / "deploy" / "prometheus" / "rules" / "*.yml")],
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": targets}]} for job, targets in jobs.items()],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    address = f"{HOST}:{free_port()}"
    command = [program, f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}"]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            yield f"http://{address}"
        finally:
            server.terminate()


def ask(address: str, path: str, **parameters: str) -> Any:
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{address}/api/v1/{path}?{query}", timeout=30) as answer:  # noqa: S310 - Prometheus on the loopback
        return json.load(answer)["data"]["result"]


def live_through_the_past(mesh: MeshProcesses, broker_url: str, seconds: float) -> Span:
    speed = round(DAYS * 86_400 / (seconds * 0.9))
    begins = time.time()
    with fleet(mesh, broker_url, "--reefs", "9", "--interval-minutes", "240", "--days", str(DAYS), "--speed", str(speed)):
        time.sleep(seconds)
    deadline = time.monotonic() + BACKLOG_TIMEOUT_SECONDS
    while any(process.metric("reefmesh_lanes_busy") for process in mesh.processes) and time.monotonic() < deadline:
        time.sleep(1)
    return Span(begins=begins, ends=time.time())


def live_now(address: str, mesh: MeshProcesses, broker_url: str, seconds: float) -> Span:
    with fleet(mesh, broker_url, "--reefs", "60", "--interval-minutes", "0.1"):
        time.sleep(SETTLING_SECONDS)  # the fleet enters its reefs, and says what it did not while it was away
        begins = time.time()
        time.sleep(seconds / 3)
        killed = mesh.of("scoring")[-1]
        killed.kill()
        send_nonsense(mesh, broker_url)
        killed.start()
        killed.wait_until_healthy()
        time.sleep(max(0.0, begins + seconds - time.time()))
        down = [each["metric"] for each in ask(address, "query", query="up") if each["value"][1] != "1"]
        print(f"targets down at the end: {down or 'none'}")
        return Span(begins=begins, ends=time.time())


def send_nonsense(mesh: MeshProcesses, broker_url: str) -> None:
    """Some reports that nobody understands, for the quarantine."""
    command = [sys.executable, "-m", "reefmesh_standalone", "send", "-", "--format", "nemopi-mqtt", "--buoy", "simulated-001"]
    for nonsense in (b"[]", b"nonsense", b'{"msg_type": "data", "sensors": 7}'):
        where = ["--home", str(mesh.home), "--broker", broker_url]
        sent = subprocess.run([*command, *where], input=nonsense, capture_output=True, check=False)
        print(f"nonsense sent, exit code {sent.returncode}")


@contextmanager
def fleet(mesh: MeshProcesses, broker_url: str, *options: str) -> Iterator[None]:
    command = [sys.executable, "-m", "reefmesh_standalone", "simulate", "--home", str(mesh.home), "--broker", broker_url]
    with subprocess.Popen([*command, "--port", "0", "--log-level", "warning", *options]) as process:
        try:
            yield
        finally:
            process.terminate()


def series_of(address: str, panel: Mapping[str, Any], span: Span) -> list[Series]:
    found = []
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", f"{4 * SCRAPE_SECONDS}s").replace("$service", ".*")
        query = query.replace("$__range", f"{round(span.ends - span.begins)}s").replace("$reef", ".*")
        if panel["type"] == "stat":
            rows = ask(address, "query", query=query, time=str(span.ends))
            rows = [{"metric": row["metric"], "values": [row["value"]]} for row in rows]
        else:
            times = {"start": str(span.begins), "end": str(span.ends), "step": str(SCRAPE_SECONDS)}
            rows = ask(address, "query_range", query=query, **times)
        for row in rows:
            legend = target["legendFormat"]
            for name, value in row["metric"].items():
                legend = legend.replace("{{" + name + "}}", value)
            values = [float(value) for _, value in row["values"]]
            found.append(Series(legend=legend, times=[float(at) for at, _ in row["values"]], values=values))
    return found


def draw(board: Mapping[str, Any], address: str, span: Span, out: Path) -> None:
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    height = rows * INCHES[1] + 0.6
    figure = plt.figure(figsize=(GRID_COLUMNS * INCHES[0], height), dpi=80)
    figure.text(0.008, 1 - 0.28 / height, board["title"], fontsize=13, weight="bold", va="center")
    for panel in board["panels"]:
        place = panel["gridPos"]
        left, width = place["x"] / GRID_COLUMNS, place["w"] / GRID_COLUMNS
        top = 1 - (0.6 + place["y"] * INCHES[1]) / height
        tall = place["h"] * INCHES[1] / height
        if panel["type"] == "row":
            figure.text(0.008, top - tall / 2, panel["title"], fontsize=10, weight="bold", color="#555555", va="center")
            continue
        series = series_of(address, panel, span)
        if not any(math.isfinite(value) for each in series for value in each.values):
            print(f"{board['title']}: {panel['title']}: no data")
        names = max((len(each.legend) for each in series), default=0) if panel["type"] == "state-timeline" else 5
        margin = (0.30 + 0.075 * names) / (GRID_COLUMNS * INCHES[0])
        below = 0.64 if panel["type"] == "timeseries" else 0.38
        box = (left + margin, top - tall + below / height, width - margin - 0.012, tall - (below + 0.32) / height)
        axes = figure.add_axes(box)
        axes.set_title(panel["title"], fontsize=9, loc="left", pad=4)
        {"stat": draw_number, "state-timeline": draw_states, "timeseries": draw_lines}[panel["type"]](axes, panel, series, span)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{board['uid'].removeprefix('reefmesh-')}.png"
    figure.savefig(file, pil_kwargs={"optimize": True})
    plt.close(figure)
    print(f"{file}: {file.stat().st_size // 1024} kB")


def draw_number(axes: Axes, panel: Mapping[str, Any], series: list[Series], _: Span) -> None:
    axes.axis("off")
    value = series[0].values[-1] if series else math.nan
    colour = "#222222"
    for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = COLOURS[step["color"]]
    text = worded(value, panel["fieldConfig"]["defaults"]["unit"])
    axes.text(0.5, 0.4, text, fontsize=20, ha="center", va="center", color=colour, transform=axes.transAxes)


def draw_lines(axes: Axes, panel: Mapping[str, Any], series: list[Series], span: Span) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    told = sorted(series, key=lambda each: each.legend)
    for number, each in enumerate(told):
        axes.plot(each.times, each.values, color=LINES[number % len(LINES)], linewidth=1, label=each.legend)
    frame(axes, span)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, color="#eeeeee")
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: worded(value, unit)))
    if told:
        columns = 3 if max(len(each.legend) for each in told) < 18 else 2
        most = sorted(range(len(told)), key=lambda place: (-max(told[place].values), place))[: LEGEND_ROWS * columns]
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(
            [handles[place] for place in sorted(most)],
            [labels[place] for place in sorted(most)],
            fontsize=6,
            ncols=columns,
            frameon=False,
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.12),
            borderaxespad=0.0,
        )


def draw_states(axes: Axes, panel: Mapping[str, Any], series: list[Series], span: Span) -> None:
    words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    told = sorted(series, key=lambda each: each.legend, reverse=True)
    seen: dict[str, Patch] = {}
    for row, each in enumerate(told):
        for at, value in zip(each.times, each.values, strict=True):
            word = words[str(round(value))]
            patch = seen.setdefault(word["text"], Patch(color=COLOURS[word["color"]], label=word["text"]))
            axes.barh(row, SCRAPE_SECONDS, left=at, height=0.8, color=patch.get_facecolor(), linewidth=0)
    frame(axes, span)
    axes.set_yticks(range(len(told)), [each.legend for each in told], fontsize=7)
    axes.legend(handles=list(seen.values()), fontsize=6, ncols=6, frameon=False, loc="upper right", bbox_to_anchor=(1, 1.13))


def frame(axes: Axes, span: Span) -> None:
    axes.set_xlim(span.begins, span.ends)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at - span.begins:.0f} s"))
    axes.tick_params(labelsize=7, length=2, colors="#444444")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def worded(value: float, unit: str) -> str:
    """A value as Grafana would write it."""
    if math.isnan(value):
        return "no data"
    match unit:
        case "percentunit":
            return f"{value * 100:.2f} %"
        case "s" if value >= 2 * 86_400:
            return f"{value / 86_400:.0f} d"
        case "s" if value >= 120:
            return f"{value / 60:.0f} min"
        case "s" if 0 < value < 1:
            return f"{value * 1000:.3g} ms"
        case "s":
            return f"{value:.3g} s"
        case "bytes":
            return f"{value / 2**20:.0f} MiB"
        case "reqps":
            return f"{value:.3g}/s"
        case "d":
            return f"{value:.0f} d"
        case _:
            return f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--past", type=float, default=180, help="seconds in which the months go by (default: 180)")
    parser.add_argument("--present", type=float, default=150, help="seconds of reports in real time (default: 150)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "dashboards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reefmesh-dashboards-") as name, local_activemq() as broker:
        folder = Path(name)
        subscriptions = folder / "subscriptions.toml"
        subscriptions.write_text(SUBSCRIPTIONS)
        environment = {"REEFMESH_ALERTS_SUBSCRIPTIONS_FILE": str(subscriptions)}
        with MeshProcesses(folder / "mesh", broker_url_of=broker.url, environment=environment) as mesh:
            mesh.start(scoring=2)
            with prometheus(folder, mesh) as address:
                past = live_through_the_past(mesh, broker.url(), options.past)
                present = live_now(address, mesh, broker.url(), options.present)
                for file in sorted(BOARDS.glob("*.json")):
                    draw(json.loads(file.read_text()), address, past if file.stem == "reefs" else present, options.out)
            print(f"ended: {mesh.drain()}")


if __name__ == "__main__":
    main()
