"""What scoring computes: pure functions and frozen values; no I/O and no clock."""
