"""Delivering alerts: the ledger of deliveries, and the dispatcher that sends the due ones."""
