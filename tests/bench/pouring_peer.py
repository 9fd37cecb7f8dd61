"""A peer that pours STOMP frames as fast as they are taken: what a client can do when the broker is no limit.

usage: python tests/bench/pouring_peer.py MESSAGES  (prints its port, serves one connection, ends)
"""

import re
import socket
import sys
import threading
from typing import Final

HOST: Final = "127.0.0.1"
TIMEOUT_SECONDS: Final = 120.0
MESSAGES_PER_WRITE: Final = 100
BODY: Final = b"x" * 250
RECEIPT: Final = re.compile(rb"receipt:(\d+)")
CONNECTED: Final = b"CONNECTED\nversion:1.2\nheart-beat:0,0\nsession:ID:peer-40001-1700000000000-3:1\n\n\0\n"


def message(number: int) -> bytes:
    """Return a frame with the headers that ActiveMQ gives it."""
    return (
        b"MESSAGE\nack:ID\\cpeer-40001-1700000000000-5\\c%d\nexpires:0\ndestination:/queue/bench.client\n"
        b"subscription:client\npriority:4\nmessage-id:ID\\cpeer-40001-1700000000000-3\\c1\\c-1\\c1\\c%d\npersistent:true\n"
        b"timestamp:1700000000000\ncontent-length:%d\n\n%b\0\n" % (number, number, len(BODY), BODY)
    )


def serve(connection: socket.socket, messages: int) -> None:
    _confirm(connection, b"CONNECT")
    connection.sendall(CONNECTED)
    _confirm(connection, b"SUBSCRIBE")
    ended = threading.Thread(target=_confirm, args=(connection, b"UNSUBSCRIBE"))  # takes the acknowledgements meanwhile
    ended.start()
    for first in range(0, messages, MESSAGES_PER_WRITE):
        connection.sendall(b"".join(map(message, range(first, min(first + MESSAGES_PER_WRITE, messages)))))
    ended.join()


def _confirm(connection: socket.socket, command: bytes) -> None:
    """Take what comes until this command is complete, and confirm it where that is asked for."""
    rest = b""
    while True:
        data = connection.recv(1 << 18)
        if not data:
            raise EOFError(f"the client left before {command.decode()}")
        rest = (rest + data)[-4096:] if command == b"UNSUBSCRIBE" else rest + data
        start = rest.find(b"\0" + command if command == b"UNSUBSCRIBE" else command)
        if start >= 0 and (end := rest.find(b"\0", start + 1)) >= 0:
            if receipt := RECEIPT.search(rest, start, end):
                connection.sendall(b"RECEIPT\nreceipt-id:%b\n\n\0\n" % receipt[1])
            return


def main() -> None:
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(TIMEOUT_SECONDS)
        print(listener.getsockname()[1], flush=True)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(TIMEOUT_SECONDS)
            serve(connection, int(sys.argv[1]))


if __name__ == "__main__":
    main()
