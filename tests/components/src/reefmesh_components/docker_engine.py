"""Whether containers can be had here."""

import os
import socket
from typing import Final

ENGINE_TIMEOUT_SECONDS: Final = 5.0


def docker_engine_failure() -> str | None:
    """Return why no Docker engine can be used, None when one answers.

    Asked by hand: the client library is slow to import and leaves its socket open when nobody answers.
    """
    kind, _, place = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    try:
        if kind == "unix":
            with socket.socket(socket.AF_UNIX) as engine:
                engine.settimeout(ENGINE_TIMEOUT_SECONDS)
                engine.connect(place)
                engine.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                answers = b" 200 " in engine.recv(64)
        else:
            host, _, port = place.rpartition(":")
            socket.create_connection((host, int(port)), timeout=ENGINE_TIMEOUT_SECONDS).close()
            answers = True
    except (OSError, ValueError):
        answers = False
    return None if answers else f"no Docker engine answers at {kind}://{place}"
