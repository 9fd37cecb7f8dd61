"""The bounds of histograms, and the objectives that they are to show."""

from typing import Final

HANDLING_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LATENCY_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 1800.0, 21600.0, 86400.0)
"""With a bound at each objective."""
WAITING_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 21600.0)

SCORED_WITHIN_SECONDS: Final = 60.0
"""The objective of scoring: 99.9 % of readings are scored so soon after the broker received their telemetry."""
BACKLOG_AFTER_SECONDS: Final = 86_400.0
"""Telemetry that was received longer ago is no news: a replay from quarantine, a simulated past. It is counted apart."""
DELIVERED_WITHIN_SECONDS: Final = 120.0
"""The objective of alerts: 99.9 % of alerts are with their target so soon after they are due."""
