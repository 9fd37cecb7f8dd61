"""Files that are no records: each is told in one line, in memory that does not grow with the file."""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reefmesh.errors import ConfigurationError
from reefmesh_standalone.records.formats import read_record
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.text import LINE_CHARACTERS_LIMIT

ReadText = Callable[..., FileRecord]
Refusal = Callable[..., str]

TABLE = "time,temp_c\n2024-01-01T00:00Z,28\n"
OPTIONS = ReadingOptions(now=datetime(2026, 6, 1, tzinfo=UTC))

BEGIN_OF_SAMPLES = datetime(2024, 8, 14, 15, tzinfo=UTC)

NO_RECORDS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "only blanks": (b" \n\n \n", "has no header with a time"),
    "only a header": (b"time,temp_c\n", "has no readings below its header"),
    "binary": (bytes(range(256)) * 40, "line 1: has NUL bytes: it is not text, or damaged"),
    "text with NUL bytes later": (TABLE.encode() + b"2024-01-01T01:00Z,\x00\x00\n", "line 3: has NUL bytes"),
    "binary without NUL bytes": (bytes(range(1, 32)) * 40, "line 1: has a control character (0x01)"),
    "neither UTF-8 nor cp1252": (TABLE.encode() + b"2024-01-01T01:00Z,\x81\n", "neither UTF-8, UTF-16 nor cp1252 text; name"),
    "Excel workbook": (b"PK\x03\x04" + b"x" * 100, "is a zip file or an Excel workbook"),
    "old Excel workbook": (b"\xd0\xcf\x11\xe0" + b"x" * 100, "save its table as CSV"),
    "gzip": (b"\x1f\x8b" + b"x" * 100, "is compressed with gzip"),
    "PDF": (b"%PDF-1.7\n", "is a PDF"),
    "NetCDF": (b"\x89HDF\r\n", "is NetCDF"),
    "error page of a server": (b"<!DOCTYPE html><html>Error 404</html>", "is a page of the web"),
    "JSON": (b'{"time": "2024-01-01T00:00Z"}\n', "has no header with a time"),
}


@pytest.mark.parametrize("case", NO_RECORDS)
def test_file_that_is_no_record_is_told_in_one_line(case: str, refusal: Refusal) -> None:
    content, said = NO_RECORDS[case]
    assert said in refusal(content)


def test_file_that_is_not_there_or_a_folder_is_told(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(ConfigurationError, match=said):
            read_record(path, OPTIONS)


def test_encoding_that_does_not_exist_is_told(tmp_path: Path) -> None:
    path = tmp_path / "record.csv"
    path.write_text(TABLE)
    for name in ("utf-7000", "hex", "\x00"):
        with pytest.raises(ConfigurationError, match=r"--encoding .* is not known"):
            read_record(path, ReadingOptions(now=OPTIONS.now, encoding=name))


def test_stated_encoding_is_used(tmp_path: Path) -> None:
    path = tmp_path / "record.csv"
    path.write_text("time,temp (°C)\n2024-01-01T00:00Z,28\n", encoding="mac_roman")
    record = read_record(path, ReadingOptions(now=OPTIONS.now, encoding="mac_roman"))
    assert ["time", "temp (°C)"] == [use.title for use in record.understood.columns]
    with pytest.raises(ConfigurationError, match="'¡C' cannot be a unit of sea_water_temperature"):
        read_record(path, OPTIONS)


@pytest.mark.parametrize("separator", [b"", b"\n"], ids=["from the first character", "below a header"])
def test_line_of_100_mb_is_told_without_being_held(separator: bytes, tmp_path: Path) -> None:
    path = tmp_path / "record.csv"
    with path.open("wb") as file:
        file.write(TABLE.encode() if separator else b"")
        for _ in range(100):
            file.write(b"9" * (1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ConfigurationError, match=f"longer than {LINE_CHARACTERS_LIMIT:,} characters"):
            read_record(path, OPTIONS)
        assert tracemalloc.get_traced_memory()[1] < 20 * (1 << 20)
    finally:
        tracemalloc.stop()


def test_text_of_a_file_cannot_write_to_the_terminal(refusal: Refusal) -> None:
    """An escape is refused as no text; an override of direction is shown as a mark."""
    assert "control character (0x1b)" in refusal("time,temp_c\n2024-01-01T00:00Z,\x1b[2J\n")
    assert "'\N{REPLACEMENT CHARACTER}28'" in refusal("time,temp_c\n2024-01-01T00:00Z,\u202e28\n")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    content=st.one_of(
        st.binary(max_size=400), st.text(max_size=300).map(lambda text: (TABLE + text).encode("utf-8", "replace"))
    )
)
@example(content=b"\xff\xfe")
@example(content=b"\xff\xfe\x00")
@example(content=b'time,temp_c\r"')
@example(content=b"time,temp_c\n,\n")
def test_any_bytes_are_a_record_or_one_line(content: bytes, tmp_path: Path) -> None:
    """Never a bug of ours: whatever a file holds, it is read or refused."""
    path = tmp_path / "record.csv"
    path.write_bytes(content)
    with suppress(ConfigurationError):
        assert len(read_record(path, OPTIONS)) > 0


SAMPLES = Path(__file__).parents[3] / "docs" / "payloads"


@pytest.mark.parametrize(
    ("name", "timezone"), [("hoboware.csv", None), ("erddap.csv", None), ("ndbc.txt", None), ("semicolons.csv", "+08:00")]
)
def test_sample_of_the_documentation_is_read(name: str, timezone: str | None) -> None:
    record = read_record(SAMPLES / name, ReadingOptions(now=OPTIONS.now, timezone=timezone))
    assert 3 == len(record)
    assert BEGIN_OF_SAMPLES == record.observed_at(0)
