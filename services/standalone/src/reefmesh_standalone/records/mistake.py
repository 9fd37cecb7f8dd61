"""What is wrong with a file of somebody's, in one line that names the file and the line in it."""

from pathlib import Path
from typing import Final

from reefmesh.errors import ConfigurationError
from reefmesh.visible_text import visible

SHOWN_CHARACTERS_LIMIT: Final = 60


def shown(text: str) -> str:
    """Return a text of the file as a person may see it: quoted, on one line, not long."""
    cut = text if len(text) <= SHOWN_CHARACTERS_LIMIT else text[:SHOWN_CHARACTERS_LIMIT] + "..."
    return f"'{visible(cut, instead=chr(0xFFFD))}'"


def mistake(path: Path, what: str, *, line: int | None = None) -> ConfigurationError:
    """Return the error for ``path``; ``what`` says what is wrong and, where there is a choice, what to do."""
    return ConfigurationError(f"{path}: {what}" if line is None else f"{path}, line {line:d}: {what}")
