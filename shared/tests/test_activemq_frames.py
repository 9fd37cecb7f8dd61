"""STOMP 1.2 on the wire: any split of the bytes gives the same frames, and what is not STOMP is refused at once."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reefmesh.broker.activemq.errors import ProtocolViolation
from reefmesh.broker.activemq.frames import (
    CLIENT_COMMANDS,
    HEADER_BLOCK_BYTES_LIMIT,
    SERVER_COMMANDS,
    Frame,
    FrameParser,
    encode,
)
from reefmesh.broker.activemq.long_frame import BODY_BYTES_LIMIT as LONGEST_BODY_BYTES
from reefmesh.broker.activemq.long_frame import HEADERS_BYTES_LIMIT, KEPT_BODY_BYTES, KEPT_LINE_BYTES

COMMANDS = (*SERVER_COMMANDS, *CLIENT_COMMANDS)
LIMIT = 64 * 1024

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda name: name != "content-length")
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
bodies = st.one_of(st.none(), st.binary(max_size=200))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    command = draw(st.sampled_from([command for command in COMMANDS if command not in ("CONNECT", "STOMP", "CONNECTED")]))
    headers = draw(st.dictionaries(names, values, max_size=6))
    return Frame(command, headers, draw(st.binary(max_size=200)))


def parser() -> FrameParser:
    return FrameParser(body_bytes_limit=LIMIT, commands=COMMANDS)


def parsed(data: bytes) -> list[Frame]:
    return parser().feed(data)


def without_length(frame: Frame) -> Frame:
    return Frame(frame.command, {k: v for k, v in frame.headers.items() if k != "content-length"}, frame.body)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(frames(), max_size=4),
    st.lists(st.integers(min_value=0), max_size=12),
    st.sampled_from([b"", b"\n", b"\r\n", b"\n\n\n"]),
)
def test_any_frames_split_anywhere_come_out_as_they_went_in(sent: list[Frame], cuts: list[int], between: bytes) -> None:
    """Law: parsing is independent of how the network cut the bytes, whatever headers and bodies hold."""
    data = between + between.join(encode(frame.command, frame.headers.items(), frame.body) for frame in sent) + between
    reader, got = parser(), []
    for piece in in_pieces(data, cuts):
        got += reader.feed(piece)
    assert sent == [without_length(frame) for frame in got]
    assert not reader.is_within_frame


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(frames(), min_size=1, max_size=3))
def test_one_byte_at_a_time_the_same_frames(sent: list[Frame]) -> None:
    data = b"".join(encode(frame.command, frame.headers.items(), frame.body) for frame in sent)
    reader, got = parser(), []
    for index in range(len(data)):
        got += reader.feed(data[index : index + 1])
    assert sent == [without_length(frame) for frame in got]


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=400), st.lists(st.integers(min_value=0), max_size=6))
def test_any_bytes_at_all_give_frames_or_a_violation_independent_of_the_split(data: bytes, cuts: list[int]) -> None:
    """Garbage never raises anything else, and never hides behind an unlucky split."""

    def outcome(pieces: list[bytes]) -> tuple[int, bool]:
        reader, count = parser(), 0
        try:
            for piece in pieces:
                count += len(reader.feed(piece))
        except ProtocolViolation:
            return count, True
        return count, False

    whole, cut = outcome([data]), outcome(in_pieces(data, cuts))
    assert whole[1] == cut[1]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"RECEIPT\nreceipt-id:1\n\n\0", Frame("RECEIPT", {"receipt-id": "1"}, b"")),
        (b"RECEIPT\r\nreceipt-id:1\r\n\r\n\0", Frame("RECEIPT", {"receipt-id": "1"}, b"")),
        (b"RECEIPT\n\n\0", Frame("RECEIPT", {}, b"")),
        (b"\n\r\n\nRECEIPT\n\n\0\n", Frame("RECEIPT", {}, b"")),
        (b"MESSAGE\na:1\na:2\n\nbody\0", Frame("MESSAGE", {"a": "1"}, b"body")),
        (b"MESSAGE\na:\\c\\n\\r\\\\c\n\n\0", Frame("MESSAGE", {"a": ":\n\r\\c"}, b"")),
        (b"MESSAGE\na\\cb:x\n\n\0", Frame("MESSAGE", {"a:b": "x"}, b"")),
        (b"MESSAGE\na:b:c\n\n\0", Frame("MESSAGE", {"a": "b:c"}, b"")),
        (b"MESSAGE\na: padded \n\n\0", Frame("MESSAGE", {"a": " padded "}, b"")),
        (b"MESSAGE\na:\n\n\0", Frame("MESSAGE", {"a": ""}, b"")),
        (b"MESSAGE\ncontent-length:3\n\n\0\0\0\0", Frame("MESSAGE", {"content-length": "3"}, b"\0\0\0")),
        (b"MESSAGE\r\na:1\r\n\r\nx\n\ny\0", Frame("MESSAGE", {"a": "1"}, b"x\n\ny")),
        (b"CONNECTED\nserver:a\\b\n\n\0", Frame("CONNECTED", {"server": "a\\b"}, b"")),
    ],
)
def test_frame_as_the_protocol_says(data: bytes, expected: Frame) -> None:
    assert [expected] == parsed(data)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",  # a TLS alert
        b"MESS\n",
        b"message\na:1\n\n\0",
        b"RECEIPT\nno colon\n\n\0",
        b"RECEIPT\na:\xff\n\n\0",
        b"ERROR\ncontent-length:-1\n\n\0",
        b"ERROR\ncontent-length:x\n\n\0",
        b"MESSAGE\ncontent-length:2\n\nabc\0",
        b"ERROR\ncontent-length:%d\n\n" % (LIMIT + 1),
        b"MESSAGE\ncontent-length:%d\n\n" % (LONGEST_BODY_BYTES + 1),
        b"ERROR\na:" + b"x" * HEADER_BLOCK_BYTES_LIMIT,
        b"ERROR\n\n" + b"x" * (LIMIT + 1),
    ],
)
def test_what_is_not_stomp_is_refused_before_it_ends(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        parsed(data)


LONG_LINES = b"".join(b"h-%d:%s\n" % (number, b"a" * 9_000) for number in range(30))


def test_who_sent_a_message_is_kept_however_many_headers_stand_before_it() -> None:
    """Law 12: the quota of the parking and the breaker go by it."""
    lines = b"".join(b"h-%d:%s\n" % (number, b"a" * 2_000) for number in range(100))
    (frame,) = parsed(b"MESSAGE\n" + lines + b"JMSXUserID:buoy\n\n\0")
    assert frame.fault is not None
    assert "buoy" == frame.headers["JMSXUserID"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"MESSAGE\nno colon\na:1\n\nbody\0", Frame("MESSAGE", {"a": "1"}, b"body", "a header without a colon")),
        (b"MESSAGE\na:\\t\nx\\e:\\\n\n\0", Frame("MESSAGE", {"a": "\\t", "x\\e": "\\"}, b"")),
        (b"MESSAGE\na:\xff\n\n\0", Frame("MESSAGE", {"a": "\ufffd"}, b"", "headers that are not UTF-8")),
        (
            b"MESSAGE\ncontent-length:-1\n\nbody\0",
            Frame("MESSAGE", {"content-length": "-1"}, b"body", "content-length '-1'"),
        ),
        (b"MESSAGE\ncontent-length:x\n\n\0", Frame("MESSAGE", {"content-length": "x"}, b"", "content-length 'x'")),
        (b"MESSAGE\ncontent-length:+1\n\n\0\0", Frame("MESSAGE", {"content-length": "+1"}, b"\0")),
        (
            b"MESSAGE\n" + LONG_LINES + b"content-length:3\nack:4\n\n\n\0b\0",
            Frame(
                "MESSAGE",
                {**{f"h-{number}": "a" * (KEPT_LINE_BYTES - len(f"h-{number}:")) for number in range(30)}}
                | {"content-length": "3", "ack": "4"},
                b"\n\0b",
                f"headers of more than {HEADER_BLOCK_BYTES_LIMIT} bytes",
            ),
        ),
        (
            b"MESSAGE\r\n" + b"x" * HEADER_BLOCK_BYTES_LIMIT + b"\r\na:1\r\n\r\n\r\n\0",
            Frame("MESSAGE", {"a": "1"}, b"\r\n", f"headers of more than {HEADER_BLOCK_BYTES_LIMIT} bytes"),
        ),
        (
            b"MESSAGE\na:1\n\n" + b"x" * (LIMIT + 1) + b"\0",
            Frame("MESSAGE", {"a": "1"}, b"x" * KEPT_BODY_BYTES, f"a body of {LIMIT + 1} bytes"),
        ),
        (
            b"MESSAGE\ncontent-length:%d\n\n" % (LIMIT + 1) + b"\0" * (LIMIT + 2),
            Frame("MESSAGE", {"content-length": str(LIMIT + 1)}, b"\0" * KEPT_BODY_BYTES, f"a body of {LIMIT + 1} bytes"),
        ),
    ],
    ids=["colon", "escape", "utf-8", "negative", "word", "plus", "headers", "line", "body", "body-with-length"],
)
@pytest.mark.parametrize("cut", [7, 4_096, 10_000_000])
def test_message_that_cannot_be_read_is_read_to_its_end_and_kept_in_part(data: bytes, expected: Frame, cut: int) -> None:
    """Law 13: a dropped connection would not help: the broker sends the same frame again on the next one, for ever."""
    follower = encode("MESSAGE", [("a", "2")], b"behind")
    stream, reader = b"RECEIPT\n\n\0" + data + b"\n" + follower, parser()
    got = [frame for start in range(0, len(stream), cut) for frame in reader.feed(stream[start : start + cut])]
    assert Frame("RECEIPT", {}, b"") == got[0]
    assert expected == got[1]
    assert [b"behind"] == [frame.body for frame in got[2:]]
    assert not reader.is_within_frame


header_bytes = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from([b"Content-Length:7", b" content-length:7", b"a\\e:\\", b"\xff", b"a:b\r", b"\r\r"]),
        st.integers(min_value=1, max_value=40).map(lambda kilobytes: b"x:" + b":" * 4096 * kilobytes),
    ),
    max_size=8,
)


@settings(deadline=None)  # a busy machine is no failure
@given(header_bytes, st.binary(max_size=60), st.lists(st.integers(min_value=0), max_size=8))
def test_any_bytes_in_the_headers_of_a_message_lose_no_frame_beside_it(
    lines: list[bytes], body: bytes, cuts: list[int]
) -> None:
    """Law 13, for all headers: a message costs no other message, whatever its sender wrote."""
    lines = [line.replace(b"\n", b"") for line in lines]
    lines = [line for line in lines if line not in (b"", b"\r") and not line.startswith(b"content-length")]
    before, behind = encode("MESSAGE", [("n", "1")], b"before"), encode("MESSAGE", [("n", "3")], b"behind")
    block = b"\n".join([b"MESSAGE", *lines, b"content-length:%d" % len(body)])
    reader, got = parser(), []
    for piece in in_pieces(before + block + b"\n\n" + body + b"\0" + behind, cuts):
        got += reader.feed(piece)
    assert [b"before", body, b"behind"] == [frame.body for frame in got]


@pytest.mark.parametrize("text", ["+2", "-0", "0" * 6_000 + "2", "\\r 2\t", "\u0662", "\u0967\u0968"])
def test_length_is_read_as_the_broker_reads_it(text: str) -> None:
    """A sender of a text message chooses how its length is written. Read otherwise, its body would be taken for frames."""
    body = b"\0" * {"-0": 0, "\u0967\u0968": 12}.get(text, 2)
    stream = f"MESSAGE\ncontent-length:{text}\n\n".encode() + body + b"\0" + encode("MESSAGE", [("a", "2")], b"behind")
    assert [(body, None), (b"behind", None)] == [(frame.body, frame.fault) for frame in parsed(stream)]
    assert [body, b"behind"] == [frame.body for frame in parsed(stream.replace(b"\n", b"\n" + LONG_LINES, 1))]


def test_endless_headers_are_not_kept_and_end_the_connection_in_the_end() -> None:
    """Memory is bounded while they are read, and no broker sends so many."""
    reader = parser()
    reader.feed(b"MESSAGE\n")
    lines = b"".join(b"%d:%s\n" % (number, b"x" * 2_000) for number in range(500))
    for _ in range(HEADERS_BYTES_LIMIT // len(lines) - 1):
        assert [] == reader.feed(lines)
    with pytest.raises(ProtocolViolation, match="headers of more than"):
        reader.feed(lines * 3)


def test_body_of_many_reads_is_put_together_once() -> None:
    """A large body in small pieces costs one copy, not one for every piece."""
    body = bytes(range(256)) * 200
    reader = FrameParser(body_bytes_limit=len(body))
    data = encode("MESSAGE", [("a", "1")], body)
    got = [frame for start in range(0, len(data), 100) for frame in reader.feed(data[start : start + 100])]
    assert [body] == [frame.body for frame in got]


def test_frame_without_its_end_is_known_to_be_incomplete() -> None:
    reader = parser()
    assert [] == reader.feed(b"MESSAGE\na:1\n\nhalf")
    assert reader.is_within_frame


def test_connect_is_sent_as_it_is_and_refuses_line_breaks() -> None:
    """The login is not escaped, by the protocol, so nothing in it may end a header."""
    assert b"CONNECT\npasscode:a:b\\c\n\n\0" == encode("CONNECT", [("passcode", "a:b\\c")])
    with pytest.raises(ValueError, match="passcode"):
        encode("CONNECT", [("passcode", "a\nlogin:root")])


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(names, values, max_size=5), st.binary(min_size=1, max_size=60))
def test_stomp_py_reads_our_frames_the_same(headers: dict[str, str], body: bytes) -> None:
    """An independent reader of STOMP 1.2 agrees, where it reads the whole of the protocol."""
    utils = pytest.importorskip("stomp.utils")
    if any(not name.strip() or "\\" in name for name in headers) or any(
        "\r" in text for pair in headers.items() for text in pair
    ):
        return  # it splits header lines by pattern before it unescapes them
    frame = utils.parse_frame(encode("SEND", headers.items(), body)[:-1])
    assert ("SEND", body) == (frame.cmd, frame.body)
    assert headers == {name: value for name, value in frame.headers.items() if name != "content-length"}


@pytest.mark.parametrize("cut", [1, 40, 1_000], ids=["byte by byte", "in reads", "in one read"])
def test_body_above_the_limit_is_refused_however_it_is_cut(cut: int) -> None:
    """Law: parsing is independent of the cuts. Without a length, a body that came whole in one read was taken."""
    reader = FrameParser(body_bytes_limit=64)
    data = b"ERROR\nmessage:no\n\n" + b"x" * 65 + b"\0"
    pieces = [data[start : start + cut] for start in range(0, len(data), cut)]
    with pytest.raises(ProtocolViolation, match="a body of more than 64 bytes"):
        list(map(reader.feed, pieces))
    (frame,) = FrameParser(body_bytes_limit=65).feed(data)
    assert len(frame.body) == 65
