"""Text files of unknown origin: which encoding they have, how many lines, and whether they are text at all.

A file is decoded once from end to end before anything is read from it, in constant memory: only then is its encoding known,
and damage is told before work begins.
"""

import codecs
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reefmesh.errors import ConfigurationError
from reefmesh_standalone.records.mistake import mistake, shown

LINE_CHARACTERS_LIMIT: Final = 65_536
"""No table has a longer line."""

LINES_LIMIT: Final = 5_000_000
"""A reading a minute for nine years. The readings of a file are held in memory while it is read."""

REPORT_EVERY_LINES: Final = 5_000

Report = Callable[[int, int], None]
"""Called while a file is read with (lines read, lines in all); what it raises ends the reading."""

_CHUNK_BYTES: Final = 1 << 20
_HEAD_BYTES: Final = 4096
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_DOS_END: Final = "\x1a"

_OTHER_KINDS: Final = (
    (b"PK\x03\x04", "is a zip file or an Excel workbook; unpack it, or save its table as CSV"),
    (b"\xd0\xcf\x11\xe0", "is an Excel workbook; save its table as CSV"),
    (b"\x1f\x8b", "is compressed with gzip; unpack it first"),
    (b"%PDF", "is a PDF; export the record as CSV"),
    (b"\x89HDF", "is NetCDF; ask its server for CSV"),
    (b"CDF", "is NetCDF; ask its server for CSV"),
)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES: Final = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """A file that is text from end to end. ``lines`` counts its lines, ``encoding`` is the name of Python's codec."""

    path: Path
    encoding: str
    lines: int

    @property
    def encoding_name(self) -> str:
        return _NAMES.get(self.encoding, self.encoding if self.encoding.startswith("cp") else self.encoding.upper())

    def read(self, report: Report | None = None) -> Iterator[str]:
        """Yield the lines without their ends."""
        with self.path.open(encoding=self.encoding) as file:
            for number, line in enumerate(file, start=1):
                if report is not None and number % REPORT_EVERY_LINES == 0:
                    report(number, self.lines)
                yield line.rstrip("\n" + _DOS_END)
        if report is not None:
            report(self.lines, self.lines)


def examine(path: Path, *, encoding: str | None = None) -> TextFile:
    """Find the encoding (UTF-8, UTF-16 and UTF-32 with or without a mark, else cp1252) and decode the whole file once.

    Raises:
        ConfigurationError: it cannot be read, is empty, binary, damaged or of another encoding, or has too many or too long
            lines.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            if not head:
                raise mistake(path, "is empty")
            for beginning, what in _OTHER_KINDS:
                if head.startswith(beginning):
                    raise mistake(path, what)
            if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
                raise mistake(path, "is a page of the web, perhaps the error message of a server; fetch the record again")
            tried = _candidates(path, head, encoding)
            for candidate in tried:
                file.seek(0)
                try:
                    return TextFile(path=path, encoding=candidate, lines=_lines(path, file, candidate))
                except UnicodeDecodeError:
                    continue
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    said = "neither UTF-8, UTF-16 nor cp1252" if encoding is None else f"not {encoding}"
    raise mistake(path, f"is {said} text; name its encoding with --encoding")


def _candidates(path: Path, head: bytes, encoding: str | None) -> tuple[str, ...]:
    if encoding is not None:
        try:
            name = codecs.lookup(encoding).name
            " ".encode(encoding)  # refused by codecs between bytes and bytes
        except (LookupError, ValueError):
            raise ConfigurationError(f"--encoding {shown(encoding)} is not known; common are utf-8, utf-16, cp1252") from None
        return (name,)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return (name,)
    pairs = len(head) // 2
    if b"\x00" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if odd > pairs * 0.4 and even < pairs * 0.1:
            return ("utf-16-le",)
        if even > pairs * 0.4 and odd < pairs * 0.1:
            return ("utf-16-be",)
        raise mistake(path, "has NUL bytes: it is not text, or damaged", line=1 + head[: head.index(0)].count(b"\n"))
    return ("utf-8", "cp1252")


def _lines(path: Path, file: io.BufferedReader, encoding: str) -> int:
    """Decode everything; return how many lines there are."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    lines = open_characters = 0
    while True:
        chunk = file.read(_CHUNK_BYTES)
        text = decoder.decode(chunk, final=not chunk)
        if (control := _CONTROL.search(text)) is not None and not _ends_the_file(text, control.start(), file):
            at = lines + 1 + text.count("\n", 0, control.start())
            what = "NUL bytes" if control[0] == "\x00" else f"a control character (0x{ord(control[0]):02x})"
            raise mistake(path, f"has {what}: it is not text, or damaged", line=at)
        parts = text.split("\n")
        parts_characters = [len(part) for part in parts]
        parts_characters[0] += open_characters
        if max(parts_characters) > LINE_CHARACTERS_LIMIT:
            at = lines + 1 + next(place for place, size in enumerate(parts_characters) if size > LINE_CHARACTERS_LIMIT)
            raise mistake(path, f"is longer than {LINE_CHARACTERS_LIMIT:,} characters; no table has such lines", line=at)
        lines += len(parts) - 1
        open_characters = parts_characters[-1]
        if lines > LINES_LIMIT:
            raise mistake(path, f"has more than {LINES_LIMIT:,} lines; cut it into several files, each with its header")
        if not chunk:
            return lines + (open_characters > 0)


def _ends_the_file(text: str, place: int, file: io.BufferedReader) -> bool:
    """Tell whether this is the mark with which DOS programs end a file."""
    return text[place] == _DOS_END and not text[place:].strip(_DOS_END + "\r\n") and not file.peek(1)
