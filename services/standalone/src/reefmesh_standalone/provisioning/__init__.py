"""Certificates of devices: the operator's own authority, and what an installer takes along."""
