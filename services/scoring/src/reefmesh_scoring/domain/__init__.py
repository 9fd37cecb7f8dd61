"""The formulas and rules of scoring: pure functions and values; no I/O and no clock."""
