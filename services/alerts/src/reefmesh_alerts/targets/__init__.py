"""Targets: the ways to notify people (console, e-mail, webhook, and the services that Apprise speaks to)."""
