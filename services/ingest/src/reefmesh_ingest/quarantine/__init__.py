"""Quarantine: telemetry that ingest cannot use is kept whole with its reason, listed, shown, and replayed after a correction.

A replay publishes the message again, as it was received, under the device's registered reef. The unit of work that handles the
replay closes the message's open entries and writes the new ones, so that an entry is open exactly as long as its trouble.
"""
