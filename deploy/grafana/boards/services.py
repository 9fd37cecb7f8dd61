"""Rate, errors and duration of the services, and the objectives."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from boards.charts import Chart, add_row, new_board, variable
from boards.queries import equals, increase, quantile, rate
from reefmesh.observability import table


def services() -> Dashboard:
    """Rate, errors and duration of every service, and the objectives."""
    scored = table.READINGS_SCORED
    latency = table.ALERT_LATENCY_SECONDS
    scored_within, delivered_within = f"{table.SCORED_WITHIN_SECONDS:g} s", f"{table.DELIVERED_WITHIN_SECONDS:g} s"
    delivered = increase(latency, latency.name + "_bucket", f'le="{table.DELIVERED_WITHIN_SECONDS:.1f}"')
    given_up = increase(table.DELIVERIES, where='outcome=~"failed|expired"')
    board = new_board("reefmesh-services", "reefmesh: services", "Rate, errors and duration of every service.")
    board = board.with_variable(variable("service", table.MESSAGES_RECEIVED.name))
    add_row(
        board,
        "Objectives, over the time shown",
        Chart(
            title="Readings scored in time",
            says=f"Share scored within {scored_within} after the broker received them; the objective is 99.9 %.",
            queries=((f"{increase(scored, where=equals('timeliness', 'in_time'))} / {increase(scored)}", "in time"),),
            unit="percentunit",
            kind="number",
            wrong_below=0.999,
            width=6,
        ),
        Chart(
            title="Alerts delivered in time",
            says=f"Share delivered within {delivered_within} after they were due; the objective is 99.9 %.",
            queries=((f"{delivered} / ({increase(latency, latency.name + '_count')} + ({given_up} or vector(0)))", "in time"),),
            unit="percentunit",
            kind="number",
            wrong_below=0.999,
            width=6,
        ),
        Chart(
            title="Order violations",
            says="Messages of a reef that came after a later one of it; the objective is none.",
            queries=((f"{increase(table.ORDER_VIOLATIONS)} or vector(0)", "messages"),),
            kind="number",
            wrong_from=1,
            width=6,
        ),
        Chart(
            title="Parked",
            says="Messages that were set aside; `reefmesh parked list` says why.",
            queries=((f"{increase(table.PARKED)} or vector(0)", "messages"),),
            kind="number",
            wrong_from=1,
            width=6,
        ),
    )
    add_row(
        board,
        "Rate",
        Chart(
            title="Messages handled",
            says="Messages given back to the broker as handled.",
            queries=((rate(table.MESSAGES_HANDLED, "service", where=equals("outcome", "handled")), "{{service}}"),),
            unit="reqps",
        ),
        Chart(
            title="Readings received",
            says="By what became of them; the three add up to all.",
            queries=((rate(table.READINGS, "outcome"), "{{outcome}}"),),
            unit="reqps",
        ),
        Chart(
            title="Messages published",
            says="Messages whose durable write the broker confirmed.",
            queries=((rate(table.PUBLISHED, "channel"), "{{channel}}"),),
            unit="reqps",
        ),
    )
    add_row(
        board,
        "Errors",
        Chart(
            title="Not simply handled",
            says="Duplicates are normal at a redelivery; parked wants a look; released is given back to the broker.",
            queries=(
                (rate(table.MESSAGES_HANDLED, "service", "outcome", where='outcome!="handled"'), "{{service}} {{outcome}}"),
            ),
            unit="reqps",
        ),
        Chart(
            title="Attempts repeated, transactions failed",
            says="Broker or database were away, or another process wrote the reef; the lane waits and tries again.",
            queries=(
                (rate(table.RETRIES, "service", "reason"), "{{service}} {{reason}}"),
                (rate(table.STORE_FAILURES, "service"), "{{service}} transactions"),
            ),
            unit="reqps",
        ),
        Chart(
            title="Quarantined and parked",
            says="What could not be understood, and what could not be handled, by reason.",
            queries=(
                (rate(table.QUARANTINED, "reason"), "quarantined: {{reason}}"),
                (rate(table.PARKED, "service", "reason"), "parked by {{service}}: {{reason}}"),
            ),
            unit="reqps",
        ),
    )
    add_row(
        board,
        "Duration",
        Chart(
            title="Handling a message",
            says="From a delivery's receipt to its acknowledgement, commit and outputs included.",
            queries=(
                (quantile(0.5, table.HANDLING_SECONDS, "service"), "{{service}} p50"),
                (quantile(0.99, table.HANDLING_SECONDS, "service"), "{{service}} p99"),
            ),
            unit="s",
        ),
        Chart(
            title="Waiting for a lane, p99",
            says="From a message's production to its receipt by a lane.",
            queries=((quantile(0.99, table.WAITING_SECONDS, "service"), "{{service}}"),),
            unit="s",
        ),
        Chart(
            title="Telemetry to score, alert due to delivered",
            says="What the objectives are about.",
            queries=(
                (quantile(0.5, table.SCORING_LATENCY_SECONDS), "score p50"),
                (quantile(0.99, table.SCORING_LATENCY_SECONDS), "score p99"),
                (quantile(0.99, latency, "channel"), "alert by {{channel}} p99"),
            ),
            unit="s",
        ),
    )
    add_row(
        board,
        "Processes",
        Chart(
            title="CPU",
            says="Cores in use by each process.",
            queries=(("rate(process_cpu_seconds_total[$__rate_interval])", "{{job}} {{instance}}"),),
        ),
        Chart(
            title="Memory",
            says="Resident memory of each process.",
            queries=(("process_resident_memory_bytes", "{{job}} {{instance}}"),),
            unit="bytes",
        ),
        Chart(
            title="Alerts given to people",
            says="By channel and outcome.",
            queries=((rate(table.DELIVERIES, "channel", "outcome"), "{{channel}} {{outcome}}"),),
            unit="reqps",
        ),
    )
    return board
