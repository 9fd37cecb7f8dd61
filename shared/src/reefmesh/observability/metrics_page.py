"""``docs/metrics.md`` from the table: ``python -m reefmesh.observability.metrics_page > docs/metrics.md``."""

import sys
from collections.abc import Sequence
from typing import Final

from reefmesh.observability import table
from reefmesh.observability.table import Counter, Gauge, Histogram, Label, Row

HEAD: Final = """\
# Metrics

What `/metrics` of every service shows, in Prometheus text.
This page is made from [`table`](../shared/src/reefmesh/observability/table) by `make docs`; a test holds it current.

Every row has the label `service` besides its own.
A label has a closed set of values or a limit: values beyond it share one series, `other`, and
`reefmesh_label_values_folded_total` counts their uses.
For `reef` the limit is set by `REEFMESH_METRICS_REEFS_LIMIT` (1,000 when not set; 0 folds every reef).
A process also shows its own `process_*` and `python_gc_*`.

What the alerting rules make of them stands in [`deploy/prometheus/rules`](../deploy/prometheus/rules), what to do then in
[`runbooks`](runbooks).
"""

OBJECTIVES: Final = f"""
## Objectives

| objective | computed from |
|---|---|
| 99.9 % of readings are scored within {table.SCORED_WITHIN_SECONDS:.0f} s after the broker received their telemetry | `{table.READINGS_SCORED.name}`; the distribution: `{table.SCORING_LATENCY_SECONDS.name}` |
| 99.9 % of alerts are delivered within {table.DELIVERED_WITHIN_SECONDS:.0f} s after they are due | `{table.ALERT_LATENCY_SECONDS.name}`, and `{table.DELIVERIES.name}` with outcome `failed` or `expired` |
| no message of a reef is handled after a later one | `{table.ORDER_VIOLATIONS.name}` |

A reading counts when it is scored for the first time.
One whose telemetry was received over a day ago (a replay from quarantine, a simulated past) is counted as `backlog`, apart from the objective.
An alert is due when it is raised, or at the end of its subscriber's quiet hours, or at the hour of the digest.
"""  # noqa: E501 - a row of a table is one line

KINDS: Final = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}


def page(rows: Sequence[Row] = table.ROWS) -> str:
    """Return the page in Markdown."""
    lines = [HEAD, "## Rows", "", "| metric | kind, unit | labels | says |", "|---|---|---|---|"]
    lines += [f"| `{row.name}` | {KINDS[type(row)]}, {row.unit} | {_labels(row.labels)} | {row.help} |" for row in rows]
    lines += ["", "## Buckets", "", "Upper bounds, inclusive, in seconds.", "", "| histogram | bounds |", "|---|---|"]
    lines += [
        f"| `{row.name}` | {', '.join(f'{bound:g}' for bound in row.buckets)} |" for row in rows if isinstance(row, Histogram)
    ]
    return "\n".join(lines) + "\n" + OBJECTIVES


def _labels(labels: Sequence[Label]) -> str:
    said = [
        f"`{label.name}`: {', '.join(label.values)}" if label.values else f"`{label.name}` (at most {label.limit:,})"
        for label in labels
    ]
    return "; ".join(said)


if __name__ == "__main__":
    sys.stdout.write(page())
