"""The ``reefmesh`` command in this process: faster than one of its own, where a test runs it dozens of times."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from typer.testing import CliRunner

from reefmesh.observability.logs import configure_logging
from reefmesh_components.reefmesh_command import Ended
from reefmesh_standalone.__main__ import app


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandInProcess:
    """Runs ``reefmesh`` on ``home``; ``environment`` is added to the caller's."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path) -> Ended:
        """Run it to its end; what it does not handle itself is raised here."""
        runner = CliRunner(env={"REEFMESH_HOME": str(self.home), "COLUMNS": "80", **self.environment})
        with logs_of_errors():
            result = runner.invoke(app, list(map(str, arguments)), prog_name="reefmesh")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(code=result.exit_code, out=result.stdout, err=result.stderr)


@contextmanager
def logs_of_errors() -> Iterator[None]:
    """Log errors alone. The command sends every log of its process to its own standard error; that is taken back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure_logging("reefmesh", level="error")
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
        structlog.reset_defaults()
