"""What can go wrong, told apart by what has to be done about it."""


class WrongSetting(Exception):
    """A setting is wrong; the text is one line that says what to set."""


class NotSent(Exception):
    """The report is not confirmed: it is sent again later. ``after_seconds``: when the other side said it is worth a try."""

    def __init__(self, reason: str, *, after_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class NeverTaken(Exception):
    """The other side has read this report and will never take it; the next one can be sent."""


class SpoolLost(Exception):
    """The spool cannot be read or written, and no room can be made in it."""
