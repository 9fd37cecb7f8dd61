"""Checks of a live installation by what it does, not by what its configuration says."""
