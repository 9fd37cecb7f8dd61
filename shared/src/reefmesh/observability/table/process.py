"""What the process tells of itself."""

from typing import Final

from reefmesh.observability.table.rows import Counter, Gauge, Label

BUILD_INFO: Final = Gauge(
    name="reefmesh_build_info",
    unit="info",
    labels=(Label("version", limit=1), Label("python", limit=1)),
    help="1, with the versions that run.",
)
PAGE_CONNECTIONS_CLOSED: Final = Counter(
    name="reefmesh_page_connections_closed_total",
    unit="events",
    labels=(Label("reason", values=("request_timeout", "answer_timeout", "peer_limit", "limit", "other_user")),),
    help="Connections to the pages that this process closed: no request in time, answer not read in time, over the limit of "
    "a peer or of all, another user on the listener of the health check.",
)
LOG_LINES_DROPPED: Final = Counter(
    name="reefmesh_log_lines_dropped_total",
    unit="events",
    labels=(Label("stream", values=("stderr", "stdout")),),
    help="Lines of the log that this process dropped because nobody read them, or because they could not be written.",
)
LABEL_VALUES_FOLDED: Final = Counter(
    name="reefmesh_label_values_folded_total",
    unit="events",
    labels=(Label("metric", limit=128),),
    help="Uses of a label value beyond its limit, shown as 'other'.",
)
