"""What the attacker writes by hand is what the protocols say, and what it reads has no limit."""

import socket
import threading
from collections.abc import Iterator

import pytest

from reefmesh.broker.activemq.frames import CLIENT_COMMANDS, FrameParser
from reefmesh_hostile.mqtt_wire import packet, text
from reefmesh_hostile.stomp_wire import StompConnection, StompCut, encoded


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def answered(listener: socket.socket, *frames: bytes) -> StompConnection:
    """Log in at a peer that sends these frames."""
    listener.settimeout(5.0)
    backlog: list[bytes] = [b"CONNECTED\nversion:1.2\n\n\0", *frames]
    port = listener.getsockname()[1]

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(b"".join(backlog))
            peer.recv(1)  # until the client closes

    threading.Thread(target=serve, daemon=True).start()
    return StompConnection(port, user="x", password="y", answer_seconds=5.0)


def test_frame_is_read_by_a_parser_of_the_mesh() -> None:
    data = encoded("SEND", [("destination", "/topic/a:b"), ("h-x", "line\nbreak\\")], b"body\0", escapes=True)
    (frame,) = FrameParser(body_bytes_limit=100, commands=CLIENT_COMMANDS).feed(data)
    assert ("SEND", "/topic/a:b", "line\nbreak\\", b"body\0") == (
        frame.command,
        frame.headers["destination"],
        frame.headers["h-x"],
        frame.body,
    )


def test_headers_of_a_megabyte_are_read(listener: socket.socket) -> None:
    with answered(listener, b"MESSAGE\nx:" + b"\\c" * 500_000 + b"\ncontent-length:2\n\n{}\0") as connection:
        frame = connection.next_frame()
    assert frame is not None
    assert (":" * 500_000, b"{}") == (frame.headers["x"], frame.body)


def test_silent_peer_gives_no_frame(listener: socket.socket) -> None:
    with answered(listener) as connection:
        assert connection.next_frame(0.05) is None


def test_refused_login_is_told(listener: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises((StompCut, ConnectionRefusedError)):
        StompConnection(port, user="x", password="y", answer_seconds=1.0)


@pytest.mark.parametrize(("size", "length"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (16_384, b"\x80\x80\x01")])
def test_packet_says_its_length_as_mqtt_does(size: int, length: bytes) -> None:
    assert bytes([0x30]) + length + b"a" * size == packet(0x30, b"a" * size)


def test_text_is_its_length_and_utf_8() -> None:
    assert b"\x00\x03\xe2\x82\xac" == text("\u20ac")
