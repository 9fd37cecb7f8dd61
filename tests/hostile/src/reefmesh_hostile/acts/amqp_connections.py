"""RabbitMQ, the door itself: bytes that are no AMQP, logins that come to nothing, connections that stay half open, a crowd."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from reefmesh_components.ports import HOST
from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.amqp_wire import PROTOCOL, AmqpConnection
from reefmesh_hostile.odd_amqp import BYTES, FRAMES
from reefmesh_hostile.reefs import ATTACKER_DEVICE
from reefmesh_hostile.wire_cut import WireCut

HALF_OPEN: Final = 150
LOGINS: Final = 150
ANSWER_SECONDS: Final = 0.3
WRONG: Final = (
    ("guest", "guest"),
    ("operator", ""),
    ("operator", "x" * 5_000),
    ("\n", "\r"),
    ("", ""),
    ("ingest", "wrong"),
)


@contextmanager
def half_open(port: int, count: int) -> Iterator[None]:
    """Hold connections that stop in the middle of a login: nothing said, a protocol header, half a frame."""
    with ExitStack() as stack:
        for number in range(count):
            place = stack.enter_context(socket.create_connection((HOST, port), timeout=5.0))
            with suppress(OSError):  # one too many, which the broker closes at once
                place.sendall((b"", PROTOCOL, PROTOCOL + b"\x01\x00\x00\x00\x00\x10")[number % 3])
        yield


def thrown(port: int, data: bytes) -> None:
    """Write bytes without a login, and wait a moment for what comes."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=ANSWER_SECONDS) as place:
        place.sendall(data)
        place.recv(1 << 16)


def _bytes(scene: Scene) -> Deed:
    for data in BYTES:
        thrown(scene.stage.broker.port, data)
    return Deed()


def _frames(scene: Scene) -> Deed:
    for data in FRAMES:
        with scene.attacker.amqp() as connection, suppress(WireCut):
            connection.write(data)
            connection.next_method(ANSWER_SECONDS)
    return Deed()


def _half_open(scene: Scene) -> Deed:
    with half_open(scene.stage.broker.port, HALF_OPEN):
        scene.stage.traffic().until_a_round_is_handled(10.0)
    return Deed()


def _comes_and_goes(scene: Scene) -> Deed:
    for _ in range(LOGINS):
        scene.attacker.amqp().close()
    return Deed()


def _wrong_logins(scene: Scene) -> Deed:
    findings = []
    for user, password in WRONG:
        with suppress(WireCut):
            AmqpConnection(scene.stage.broker.port, user=user, password=password, answer_seconds=ANSWER_SECONDS).close()
            findings.append(Finding(kind="not-held", text=f"{user!r} logged in with a wrong password"))
    return Deed(refused=len(WRONG) - len(findings), findings=findings)


ACTS: Final = (
    Act(name="bytes-that-are-no-amqp", row=0, what="other protocols, broken handshakes", does=_bytes),
    Act(name="frames-out-of-place", row=0, what="frames with wrong lengths, ends, channels and orders", does=_frames),
    Act(
        name="150-half-open-logins", row=13, what=f"{HALF_OPEN} connections that stop in the middle of a login", does=_half_open
    ),
    Act(name="150-logins-that-leave", row=8, what=f"{LOGINS} logins, each gone without a word", does=_comes_and_goes),
    Act(
        name="150-logins-of-a-device-that-leave",
        row=8,
        user=ATTACKER_DEVICE,
        what="the same with a device's password, at the port for AMQP",
        does=_comes_and_goes,
    ),
    Act(name="logins-with-wrong-passwords", row=0, what="guest, empty, long and no text", does=_wrong_logins),
)
