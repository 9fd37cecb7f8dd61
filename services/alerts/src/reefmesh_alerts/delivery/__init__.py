"""Bringing alerts to people: the ledger of deliveries and the dispatcher that works it off."""
