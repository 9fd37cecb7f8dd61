"""From the end of a service to the exit code of its process: drain on the first signal, one line for an operator's mistake."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final, TextIO

import structlog

from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.service.breaker import TooMuchPoison
from reefmesh.service.garbage import look_rarely

EXIT_OK: Final = 0
EXIT_POISON: Final = 65  # EX_DATAERR: nearly everything that arrives is poison
EXIT_BUG: Final = 70  # EX_SOFTWARE of sysexits.h
EXIT_UNAVAILABLE: Final = 75  # EX_TEMPFAIL: starting again later may help
EXIT_CONFIGURATION: Final = ConfigurationError.EXIT_CODE

_log = structlog.get_logger(__name__)


def run_to_exit(main: Callable[[asyncio.Event], Awaitable[None]], *, stderr: TextIO | None = None) -> int:
    """Run ``main(stop)`` in a new loop and return the exit code; ``stop`` is set by the first SIGTERM or SIGINT.

    Returns 0 if ``main`` returns, by itself or after the drain. A second signal cancels ``main``: 130 after SIGINT, 143 after
    SIGTERM. Errors: ConfigurationError is one line on standard error and 78; TooMuchPoison one line and 65; a TransientError
    (no broker, no database) one line and 75; anything else is a bug: it is logged with its traceback, and 70.
    """
    look_rarely()
    try:
        return asyncio.run(_until_stopped(main))
    except KeyboardInterrupt:  # only before the loop took the signals over
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - this is the last frame: everything becomes an exit code here
        return explain(error, stderr=stderr)


def explain(error: BaseException, *, stderr: TextIO | None = None) -> int:
    """Print one line about the error, or log it with its traceback if it is a bug; return the exit code."""
    causes = _leaves(error)
    mistakes = [cause for cause in causes if isinstance(cause, ConfigurationError)]
    poison = [cause for cause in causes if isinstance(cause, TooMuchPoison)]
    # A bug beside a lost connection is a bug: 75 is only for faults that another start may mend.
    lost = causes if all(isinstance(cause, TransientError) for cause in causes) else []
    for expected, code in ((mistakes, EXIT_CONFIGURATION), (poison, EXIT_POISON), (lost, EXIT_UNAVAILABLE)):
        if expected:
            line = " ".join(str(expected[0]).split()) or type(expected[0]).__name__
            print(f"reefmesh: {line}", file=sys.stderr if stderr is None else stderr)
            return code
    _log.error("stopped by a bug", exc_info=error)
    return EXIT_BUG


async def _until_stopped(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    task = asyncio.ensure_future(main(stop))
    forced: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        if not stop.is_set():
            _log.info("draining", signal=number.name)
            stop.set()
        else:
            forced.append(number)
            task.cancel()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        await task
    except asyncio.CancelledError:
        if not forced:
            raise
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
    return 128 + forced[0] if forced else EXIT_OK


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
