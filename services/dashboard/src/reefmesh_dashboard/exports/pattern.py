"""Patterns of RE2, which no text makes slow, over texts that repeat."""

from typing import Final

import re2

PATTERN_LENGTH: Final = 200
VERDICTS_KEPT: Final = 10_000
MEMORY_BYTES: Final = 1 << 20


class WrongPattern(ValueError):
    """It is too long, or RE2 cannot read it."""


class Pattern:
    """Matches whole texts, as ERDDAP's ``=~`` does; each distinct text is looked at once.

    Raises:
        WrongPattern: says why.
    """

    def __init__(self, text: str) -> None:
        if len(text) > PATTERN_LENGTH:
            raise WrongPattern(f"it has {len(text)} characters")
        options = re2.Options()
        options.max_mem = MEMORY_BYTES
        options.log_errors = False
        try:
            self._compiled = re2.compile(text, options)
        except re2.error as error:
            reason = error.args[0] if error.args else "it cannot be read"
            raise WrongPattern(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from None
        self._verdicts: dict[str, bool] = {}

    def matches(self, text: str) -> bool:
        verdict = self._verdicts.get(text)
        if verdict is None:
            verdict = self._compiled.fullmatch(text) is not None
            if len(self._verdicts) < VERDICTS_KEPT:
                self._verdicts[text] = verdict
        return verdict
