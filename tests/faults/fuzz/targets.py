"""What is fuzzed: each target takes any bytes and raises only when the code under it broke a promise."""

import json
from collections.abc import Callable
from typing import Final

from reefmesh.broker.activemq.errors import ProtocolViolation
from reefmesh.broker.activemq.frames import CLIENT_COMMANDS, SERVER_COMMANDS, Frame, FrameParser, encode
from reefmesh.broker.activemq.message_headers import from_frame, to_frame
from reefmesh.broker.port import PublishRefused
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.readings import READINGS_PER_MESSAGE_LIMIT
from reefmesh.errors import PoisonMessage
from reefmesh_ingest.domain.decode import DECODERS, Refusal, Report

BODY_BYTES_LIMIT: Final = 64  # small, so that inputs reach it
COMMANDS: Final = tuple(dict.fromkeys((*SERVER_COMMANDS, *CLIENT_COMMANDS)))
UNESCAPED: Final = ("CONNECT", "STOMP", "CONNECTED")
DETAIL_CHARACTERS_LIMIT: Final = 1000


def fuzz_frames(data: bytes) -> None:
    """A stream means the same however it is cut, is refused only with ProtocolViolation, and is written as it was read."""
    if not data:
        return
    step, stream = data[0] % 16 + 1, data[1:]
    whole, in_pieces = _parsed([stream]), _parsed([stream[at : at + step] for at in range(0, len(stream), step)])
    if whole is None or in_pieces is None:
        assert whole is in_pieces is None, "a stream is refused whole and taken in pieces, or the other way"
        return
    assert whole == in_pieces, "frames depend on how the stream is cut"
    for frame in whole:
        if frame.fault is not None:
            continue  # kept in part, so it is not written as it was read
        assert len(frame.body) <= BODY_BYTES_LIMIT, "a body above the limit"
        if frame.command in UNESCAPED and any("\r" in text for item in frame.headers.items() for text in item):
            continue  # these frames cannot carry a line break
        if any(":" in name for name in frame.headers) and frame.command in UNESCAPED:
            continue
        headers = [(name, value) for name, value in frame.headers.items() if name != "content-length"]
        read_again = _parsed([encode(frame.command, headers, frame.body)])
        assert read_again is not None, "a frame that was read cannot be written"
        (again,) = read_again
        assert (again.command, again.body) == (frame.command, frame.body)
        assert {name: value for name, value in again.headers.items() if name != "content-length"} == dict(headers)


def fuzz_message_headers(data: bytes) -> None:
    """Whatever the headers of a MESSAGE hold, the frames before and behind it are delivered, and it is delivered itself."""
    step, block = (data[0] % 64 + 1, data[1:]) if data else (1, b"")
    lines = [line for line in block.split(b"\n") if line not in (b"", b"\r") and not line.startswith(b"content-length")]
    message = b"\n".join([b"MESSAGE", *lines, b"content-length:3", b"", b"a\0b\0"])
    stream = encode("MESSAGE", (), b"before") + message + encode("MESSAGE", (), b"behind")
    frames = _parsed([stream[at : at + step] for at in range(0, len(stream), step)])
    assert frames is not None, "headers that a sender wrote cost the connection"
    assert [frame.body for frame in frames] == [b"before", b"a\0b", b"behind"], "headers of one message cost another one"


def _parsed(pieces: list[bytes]) -> list[Frame] | None:
    """None for what is refused."""
    parser = FrameParser(body_bytes_limit=BODY_BYTES_LIMIT, commands=COMMANDS)
    frames: list[Frame] = []
    try:
        for piece in pieces:
            frames += parser.feed(piece)
    except ProtocolViolation:
        return None
    return frames


def fuzz_envelope(data: bytes) -> None:
    """Headers of any text are an envelope or poison with a reason, and an envelope survives both ways of carrying it."""
    head, _, body = data.partition(b"\n\n")
    headers = dict(line.partition(":")[::2] for line in head.decode(errors="surrogateescape").split("\n"))
    if any("\ud800" <= character <= "\udfff" for item in headers.items() for text in item for character in text):
        return  # no frame carries what is not UTF-8
    for read in (Envelope.from_headers, from_frame):
        try:
            message = read(dict(headers), body)
        except PoisonMessage:
            continue
        assert Envelope.from_headers(message.to_headers(), message.body) == message
        try:
            frame = to_frame(message)
        except PublishRefused:
            continue
        assert from_frame(dict(frame), message.body) == message, "an envelope changes on its way through a frame"


def decoder_target(schema_id: str) -> Callable[[bytes], None]:
    """A decoder answers anything with a report or a refusal, whose parts are within their limits."""

    def fuzz_decoder(data: bytes) -> None:
        answer = DECODERS[schema_id](data)
        if isinstance(answer, Refusal):
            assert len(answer.detail) <= DETAIL_CHARACTERS_LIMIT, "a refusal longer than the quarantine takes"
            return
        assert isinstance(answer, Report)
        assert len(answer.observations) <= READINGS_PER_MESSAGE_LIMIT, "more readings than a message may have"
        for observation in answer.observations:
            json.dumps(observation.values, allow_nan=False)
            assert observation.position is None or -90 <= observation.position[0] <= 90

    return fuzz_decoder


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "frames": fuzz_frames,
    "message-headers": fuzz_message_headers,
    "envelope": fuzz_envelope,
    **{schema_id.replace("/", "-"): decoder_target(schema_id) for schema_id in DECODERS},
}
