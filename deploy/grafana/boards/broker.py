"""The broker as its clients see it, the lanes, the outbox, the database, the bridge to MQTT."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from boards.charts import Chart, add_row, new_board, variable
from boards.queries import quantile, rate, selected
from reefmesh.observability import table

OF_THE_MESH: Final = 'queue=~"reef[.].*"'
OVERFLOW: Final = 'queue=~"reef[.].*[.]overflow"'
SHARDS: Final = 'queue=~"reef[.][a-z]+[.][a-z]+[.][0-9]+"'


def broker() -> Dashboard:
    """The broker as its clients see it, the lanes, the outbox, the database, the bridge to MQTT."""
    board = new_board("reefmesh-broker", "reefmesh: broker and lanes", "Connections, lanes, order, outbox and database.")
    board = board.with_variable(variable("service", table.MESSAGES_RECEIVED.name))
    own, moved = selected(), selected('event="reef_isolated"')
    add_row(
        board,
        "Broker",
        Chart(
            title="Connected",
            says="The least of all processes of a service: 0 while one of them has no connection.",
            queries=((f"min by (service) ({table.BROKER_CONNECTED.name}{own})", "{{service}}"),),
            width=6,
        ),
        Chart(
            title="Since the broker was heard",
            says="The longest of all processes of a service; heartbeats come every few seconds.",
            queries=((f"max by (service) ({table.BROKER_LAST_HEARD_SECONDS.name}{own})", "{{service}}"),),
            unit="s",
            width=6,
        ),
        Chart(
            title="Reconnections",
            says="Connections made again after a loss.",
            queries=((f"sum by (service) (increase({table.RECONNECTS.name}{own}[$__rate_interval]))", "{{service}}"),),
            width=6,
        ),
        Chart(
            title="Publishing, p99",
            says="From handing outputs and acknowledgement to the broker until it confirmed them.",
            queries=((quantile(0.99, table.PUBLISH_SECONDS, "subscription"), "{{subscription}}"),),
            unit="s",
            width=6,
        ),
    )
    add_row(
        board,
        "Lanes",
        Chart(
            title="Lanes busy",
            says="Lanes with a message in their hands, and all there are.",
            queries=(
                (f"sum by (subscription) ({table.LANES_BUSY.name}{own})", "{{subscription}} busy"),
                (f"sum by (subscription) ({table.LANES.name}{own})", "{{subscription}} all"),
            ),
        ),
        Chart(
            title="Oldest message not acknowledged",
            says="Of all that wait where the engine can tell, else of those in hand.",
            queries=((f"max by (subscription) ({table.OLDEST_MESSAGE_AGE_SECONDS.name}{own})", "{{subscription}}"),),
            unit="s",
        ),
        Chart(
            title="Lanes stuck, reefs moved, consumers stopped",
            says="A message that does not move for longer than the stall limit; a stuck or hot reef that got a subscription of "
            "its own; a consumer that met too much poison.",
            queries=(
                (f"sum by (subscription) ({table.LANES_STUCK.name}{own})", "{{subscription}} stuck"),
                (
                    f"sum by (service) (increase({table.BROKER_EVENTS.name}{moved}[$__rate_interval]))",
                    "{{service}} moved",
                ),
                (f"max by (subscription) ({table.POISON_BREAKER_OPEN.name}{own})", "{{subscription}} stopped"),
            ),
        ),
    )
    add_row(
        board,
        "Order and redelivery",
        Chart(
            title="Healed",
            says="Duplicates that were skipped, and redeliveries whose unsent outputs were sent.",
            queries=(
                (rate(table.DUPLICATES, "subscription"), "{{subscription}} duplicates"),
                (rate(table.REDELIVERIES_HEALED, "subscription"), "{{subscription}} healed"),
            ),
            unit="reqps",
        ),
        Chart(
            title="Order",
            says="Numbers passed over, messages after a later one, and writes refused because another process had the reef.",
            queries=(
                (rate(table.SEQUENCE_GAPS, "subscription"), "{{subscription}} gaps"),
                (rate(table.ORDER_VIOLATIONS, "subscription"), "{{subscription}} out of order"),
                (rate(table.FENCE_REFUSALS, "subscription"), "{{subscription}} refused"),
            ),
            unit="reqps",
        ),
        Chart(
            title="Outbox",
            says="Outputs that are overdue, and those that the relay sent.",
            queries=(
                (f"sum by (service) ({table.OUTPUTS_OVERDUE.name}{own})", "{{service}} overdue"),
                (f"sum by (service) (increase({table.OUTPUTS_RESENT.name}{own}[$__rate_interval]))", "{{service}} resent"),
            ),
        ),
    )
    commits = rate(table.STORE_COMMITS, "service")
    add_row(
        board,
        "Database and bridge",
        Chart(
            title="Transactions",
            says="Database transactions a second.",
            queries=((commits, "{{service}}"),),
            unit="reqps",
            width=6,
        ),
        Chart(
            title="One transaction takes",
            says="Mean over the transactions that were committed.",
            queries=((f"{rate(table.STORE_COMMIT_SECONDS, 'service')} / {commits}", "{{service}}"),),
            unit="s",
            width=6,
        ),
        Chart(
            title="Messages that share a transaction",
            says="Units of work for each transaction; it rises with the load.",
            queries=((f"{rate(table.STORE_UNITS, 'service')} / {commits}", "{{service}}"),),
            width=6,
        ),
        Chart(
            title="From devices over MQTT",
            says="Messages moved to reef.telemetry, by what is known of the device.",
            queries=(
                (f"sum by (device) (rate({table.BRIDGED.name}[$__rate_interval]))", "{{device}}"),
                (f"sum by (reason) (rate({table.BRIDGE_FAILURES.name}[$__rate_interval]))", "failed: {{reason}}"),
            ),
            unit="reqps",
            width=6,
        ),
    )
    add_rabbitmq(board)
    return board


def add_rabbitmq(board: Dashboard) -> None:
    """RabbitMQ as it sees itself; on ActiveMQ this row stays empty, and the rows above say what there is to see."""
    ready, unacked = "rabbitmq_detailed_queue_messages_ready", "rabbitmq_detailed_queue_messages_unacked"
    confirmed, delivered = "rabbitmq_global_messages_confirmed_total", "rabbitmq_global_messages_delivered_total"
    dead = "rabbitmq_global_messages_dead_lettered_delivery_limit_total"
    add_row(
        board,
        "RabbitMQ itself",
        Chart(
            title="The ten deepest shards",
            says="Messages that wait in a shard and are in nobody's hands. One alone: a hot or stuck reef.",
            queries=((f"topk(10, sum by (queue) ({ready}{{{SHARDS}}}))", "{{queue}}"),),
        ),
        Chart(
            title="Parked, overflow, from devices",
            says="What waits beside the shards: parked messages, reefs that are isolated, messages of devices for the bridge.",
            queries=(
                (f'sum by (queue) ({ready}{{queue=~"reef[.].*[.](parked|mqtt)"}})', "{{queue}}"),
                (
                    f'sum ({ready}{{queue=~"reef[.].*[.]overflow"}}) + sum ({unacked}{{queue=~"reef[.].*[.]overflow"}})',
                    "overflow",
                ),
            ),
        ),
        Chart(
            title="Shards that nobody consumes",
            says="Of each process a consumer waits at each shard, so 0 is right.",
            queries=((f"count (sum by (queue) (rabbitmq_detailed_queue_consumers{{{SHARDS}}}) == 0) or vector(0)", "shards"),),
        ),
        Chart(
            title="In hand",
            says="Messages of all queues of the mesh that a process has and has not acknowledged.",
            queries=((f"sum ({unacked}{{{OF_THE_MESH}}})", "unacknowledged"),),
            width=6,
        ),
        Chart(
            title="Memory and disk used up",
            says="At 1 the alarm begins and nothing is published any more: of the memory the used part, of the disk the limit "
            "through what is free.",
            queries=(
                ("rabbitmq_process_resident_memory_bytes / rabbitmq_resident_memory_limit_bytes", "{{instance}} memory"),
                ("rabbitmq_disk_space_available_limit_bytes / rabbitmq_disk_space_available_bytes", "{{instance}} disk"),
            ),
            unit="percentunit",
            width=6,
        ),
        Chart(
            title="Alarms, and set aside by the broker",
            says="1: an alarm is in force. Messages that were delivered too often, which no service decided: none is right.",
            queries=(
                ("rabbitmq_alarms_memory_used_watermark", "{{instance}} memory"),
                ("rabbitmq_alarms_free_disk_space_watermark", "{{instance}} disk"),
                (f"sum (increase({dead}[$__rate_interval]))", "set aside"),
            ),
            width=6,
        ),
        Chart(
            title="Through the broker",
            says="Confirmed to publishers and delivered to consumers, by protocol: MQTT is the devices.",
            queries=(
                (f"sum by (protocol) (rate({confirmed}[$__rate_interval]))", "{{protocol}} confirmed"),
                (f"sum by (protocol) (rate({delivered}[$__rate_interval]))", "{{protocol}} delivered"),
            ),
            unit="reqps",
            width=6,
        ),
    )
