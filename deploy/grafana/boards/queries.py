"""PromQL over the rows of ``reefmesh.observability.table``, for the services and reefs that are chosen at the top."""

from reefmesh.observability import table
from reefmesh.observability.table import Counter, Gauge, Histogram


def rate(row: Counter, *by: str, where: str = "") -> str:
    """PromQL of a counter's rate a second, summed."""
    return f"sum by ({', '.join(by)}) (rate({row.name}{selected(where)}[$__rate_interval]))"


def quantile(share: float, row: Histogram, *by: str, where: str = "") -> str:
    """PromQL of a quantile, from 0 to 1, of what a histogram has seen lately."""
    inner = f"sum by ({', '.join(('le', *by))}) (rate({row.name}_bucket{selected(where)}[$__rate_interval]))"
    return f"histogram_quantile({share}, {inner})"


def latest(row: Gauge) -> str:
    """PromQL of a gauge of each reef, from the process that has the reef: a process that lost it keeps its last value."""
    as_of = f'{table.REEF_SCORE_AS_OF_SECONDS.name}{{reef=~"$reef"}}'
    having = f"{as_of} == on (reef) group_left () max by (reef) ({as_of})"
    return f'max by (reef) ({row.name}{{reef=~"$reef"}} and on (job, instance, reef) ({having}))'


def selected(where: str = "") -> str:
    """The services that are chosen at the top, and what else a series must match."""
    return "{" + ", ".join(part for part in ('service=~"$service"', where) if part) + "}"


def increase(row: Counter | Histogram, name: str = "", where: str = "") -> str:
    """PromQL of the growth over the time shown, summed; ``name`` of one of a histogram's series."""
    return f"sum(increase({name or row.name}{'{' + where + '}' if where else ''}[$__range]))"


def equals(label: str, value: str) -> str:
    return f'{label}="{value}"'
