"""The result of one check, in words for the person who runs the installation."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from reefmesh.errors import ConfigurationError, TransientError

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``said`` is one sentence without a full stop; ``mend`` says what to do (empty when nothing is wrong)."""

    check: str
    verdict: Verdict
    said: str
    mend: str = ""


def ok(check: str, said: str) -> Finding:
    return Finding(check=check, verdict="ok", said=said)


def warn(check: str, said: str, mend: str) -> Finding:
    return Finding(check=check, verdict="warn", said=said, mend=mend)


def fail(check: str, said: str, mend: str) -> Finding:
    return Finding(check=check, verdict="fail", said=said, mend=mend)


async def findings_of(check: str, examine: Callable[[], Awaitable[list[Finding]]], *, mend: str) -> list[Finding]:
    """Return the findings of ``examine``. If it cannot be done, that is a finding too, with ``mend`` as its remedy."""
    try:
        return await examine()
    except ConfigurationError as error:  # its message says what to do
        return [fail(check, _line(error), "")]
    except TransientError as error:
        return [fail(check, _line(error), mend)]


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
