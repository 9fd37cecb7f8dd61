"""Targets: the ways to notify people (console, e-mail, webhook)."""
