"""Sources: what is written at one end is in the spool, each line once, and a stream that ends is opened again."""

import json
import os
import pty
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reefmesh_buoy.health import health_of
from reefmesh_buoy.measurement import LINE_BYTES_LIMIT
from reefmesh_buoy.sources.folder import FolderSource
from reefmesh_buoy.sources.line_splitter import LineSplitter
from reefmesh_buoy.sources.source import LineIntake, LineSource
from reefmesh_buoy.sources.stream import StreamSource, command, connection, serial_line
from reefmesh_buoy.stop_signal import StopSignal

LINE = b'{"channels": {"sea_water_temperature": 28.4}}\n'
PATIENCE_SECONDS = 30.0


class WatchedIntake(LineIntake):
    """Wakes whoever waits for lines."""

    def __init__(self, spool: Any, clock: Any) -> None:
        super().__init__(spool, clock)
        self.lines = 0
        self.changed = threading.Condition()

    def take(self, lines: Any, *, file: str | None = None) -> None:
        super().take(lines, file=file)
        with self.changed:
            self.lines += len(lines)
            self.changed.notify_all()

    def wait_for_lines(self, number: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.lines >= number, PATIENCE_SECONDS), self.lines


@contextmanager
def running(source: LineSource, intake: LineIntake) -> Iterator[None]:
    stop = StopSignal()
    thread = threading.Thread(target=source.run, args=(intake, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def waiting(intake: LineIntake, clock: Any) -> int:
    number = health_of(intake.spool, clock.read())["waiting_readings"]
    assert isinstance(number, int)
    return number


def test_lines_of_a_command_that_ends_are_taken_and_it_is_started_again(make_spool: Callable[..., Any], clock: Any) -> None:
    intake = WatchedIntake(make_spool(), clock)
    arguments = [sys.executable, "-m", "reefmesh_buoy", "simulate", "--interval", "0.01", "--count", "2"]
    with running(StreamSource("sensors", command(arguments), again_seconds=0.05), intake):
        intake.wait_for_lines(4)
    assert waiting(intake, clock) >= 4


def test_command_that_does_not_exist_is_waited_for(make_spool: Callable[..., Any], clock: Any, capsys: Any) -> None:
    with running(
        StreamSource("sensors", command(["/no/such/program"]), again_seconds=0.01), WatchedIntake(make_spool(), clock)
    ):
        pass
    assert capsys.readouterr().err.count("is away") == 1


def test_serial_line_is_read_raw(make_spool: Callable[..., Any], clock: Any) -> None:
    controller, device = pty.openpty()
    path = Path(os.ttyname(device))
    intake = WatchedIntake(make_spool(), clock)
    with running(StreamSource("serial", serial_line(path, 115200), again_seconds=0.05), intake):
        os.write(controller, LINE)
        intake.wait_for_lines(1)  # from here on the line is raw
        os.write(controller, LINE[:10])
        os.write(controller, LINE[10:] + b"\x03\x04noise\r\n")  # no signs of a terminal: they are part of a bad line
        intake.wait_for_lines(3)
    health = health_of(intake.spool, clock.read())
    assert (health["waiting_readings"], health["bad_lines"]) == (2, 1)
    assert "noise" in health["last_bad_line"]
    os.close(controller)
    os.close(device)


def test_socket_that_closes_is_connected_again(make_spool: Callable[..., Any], clock: Any, tmp_path: Path) -> None:
    address = str(tmp_path / "s")
    intake = WatchedIntake(make_spool(), clock)
    with socket.socket(socket.AF_UNIX) as server, socket.create_server(("127.0.0.1", 0)) as tcp:
        server.bind(address)
        server.listen()
        sources = ((f"unix:{address}", server), (f"127.0.0.1:{tcp.getsockname()[1]}", tcp))
        for number, (name, listener) in enumerate(sources):
            with running(StreamSource("socket", connection(name), again_seconds=0.01), intake):
                for part in range(2):
                    peer, _ = listener.accept()
                    peer.sendall(LINE)
                    peer.close()
                    intake.wait_for_lines(2 * number + part + 1)
    assert waiting(intake, clock) == 4


def test_file_that_comes_back_after_a_power_cut_is_not_taken_twice(
    make_spool: Callable[..., Any], clock: Any, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "1.jsonl").write_bytes(LINE * 3)
    intake = WatchedIntake(make_spool(), clock)
    status = (inbox / "1.jsonl").stat()
    name = f"{inbox / '1.jsonl'}:{status.st_ino}:{status.st_mtime_ns}:{status.st_size}"
    intake.take([LINE] * 3, file=name)  # the crash comes after this and before the removal
    FolderSource(inbox, again_seconds=1).take_all(intake, StopSignal())
    assert waiting(intake, clock) == 3
    assert list(inbox.iterdir()) == []
    (inbox / "1.jsonl").write_bytes(LINE)
    (inbox / ".2.jsonl").write_bytes(LINE)
    FolderSource(inbox, again_seconds=1).take_all(intake, StopSignal())
    assert waiting(intake, clock) == 4
    assert [each.name for each in inbox.iterdir()] == [".2.jsonl"]


def test_line_without_an_end_costs_no_memory() -> None:
    splitter = LineSplitter()
    for _ in range(1000):
        assert splitter.feed(b"x" * 10_000) == []
    (long,) = splitter.feed(b"\n")
    assert len(long) == LINE_BYTES_LIMIT + 1
    assert splitter.feed(b"a\nb\n\nc") == [b"a", b"b"]
    assert splitter.end() == [b"c"]


def test_bad_lines_are_counted_and_the_newest_is_kept(make_spool: Callable[..., Any], clock: Any) -> None:
    intake = LineIntake(make_spool(), clock)
    intake.take([b"one", LINE, json.dumps({"channels": "two"}).encode()])
    health = health_of(intake.spool, clock.read())
    assert (health["waiting_readings"], health["bad_lines"]) == (1, 2)
    assert "two" in health["last_bad_line"]
