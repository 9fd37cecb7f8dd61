"""What the tests of records share: small files made for them, and how a file is read."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reefmesh.errors import ConfigurationError
from reefmesh_standalone.records.formats import RecordFormat, read_record
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.record import FileRecord

NOW = datetime(2026, 6, 1, tzinfo=UTC)


ReadText = Callable[..., FileRecord]
Readings = list[tuple[str, dict[str, float | None]]]


@pytest.fixture
def read_text(tmp_path: Path) -> ReadText:
    """Write a file and read it, with these options of ``ReadingOptions``."""

    def read(
        content: str | bytes, *, encoding: str = "utf-8", file_format: RecordFormat | None = None, **options: Any
    ) -> FileRecord:
        path = tmp_path / "record.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return read_record(path, ReadingOptions(**{"now": NOW, **options}), file_format=file_format)

    return read


@pytest.fixture
def refusal(read_text: ReadText) -> Callable[..., str]:
    """Read a file that must be refused; return what is said, which is one line."""

    def refused(content: str | bytes, **options: Any) -> str:
        with pytest.raises(ConfigurationError) as error:
            read_text(content, **options)
        said = str(error.value)
        assert "\n" not in said
        assert said.isprintable()
        return said

    return refused


@pytest.fixture
def readings(read_text: ReadText) -> Callable[..., Readings]:
    """Read a file; return its instants and values."""

    def read(content: str | bytes, **options: Any) -> Readings:
        record = read_text(content, **options)
        return [
            (record.observed_at(place).isoformat().replace("+00:00", "Z"), record.channels(place))
            for place in range(len(record))
        ]

    return read
