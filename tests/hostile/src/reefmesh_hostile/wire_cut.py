"""The end of an attacker's connection, whichever protocol it speaks."""


class WireCut(Exception):
    """The broker closed the connection, or answers no more."""
