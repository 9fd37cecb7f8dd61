"""Checks a live installation by its behaviour, not by its configuration."""
