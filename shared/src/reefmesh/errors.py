"""The kinds of failure that callers tell apart; everything else is a bug and may crash loudly."""


class TransientError(Exception):
    """It failed now and may work later: retried in its lane with backoff while the reef waits."""


class PoisonMessage(Exception):
    """This message can never be handled: it is parked with ``reason`` (a short slug) and ``detail`` for a person."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class ConfigurationError(Exception):
    """An operator's mistake, in one line that says what to set; the process exits with ``EXIT_CODE``."""

    EXIT_CODE = 78  # EX_CONFIG of sysexits.h
