#!/usr/bin/env python3
"""Complete the definitions of RabbitMQ with passwords and devices: ``definitions.py FILE [DEVICES] < passwords``.

The input has a line ``user password`` for each user of definitions.json. DEVICES is a file with a line for each device: its
name (of a Nemo-Pi its IMEI) and, unless it shows a certificate, its password. RabbitMQ reads FILE at each start
(``load_definitions``), or takes it over its management API, as Amazon MQ does. FILE holds salted hashes, no password, and is
its owner's to read.
"""

import base64
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

TEMPLATE: Final = Path(__file__).with_name("definitions.json")
ALGORITHM: Final = "rabbit_password_hashing_sha256"
SALT_BYTES: Final = 4
"""What this algorithm of RabbitMQ reads before the hash."""
EXIT_CONFIGURATION: Final = 78
DEVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""No dot: the broker cannot tell one in a topic's level from the end of that level. Nothing that a pattern would read."""
DEVICES_EXCHANGE: Final = "reef.devices"
NO_PASSWORD: Final = ""
"""In place of a hash: no password lets this user in."""


class Unusable(Exception):
    """In one line, what is wrong with the input."""


def main(arguments: Sequence[str]) -> int:
    if len(arguments) not in (1, 2):
        sys.stderr.write("usage: definitions.py FILE [DEVICES] < passwords (lines of: user password)\n")
        return EXIT_CONFIGURATION
    file, *devices_files = map(Path, arguments)
    try:
        passwords = read_passwords(sys.stdin.read())
        devices = read_devices(devices_files[0]) if devices_files else {}
        write_private(file, completed(TEMPLATE.read_text(encoding="utf-8"), passwords, devices))
    except Unusable as why:
        sys.stderr.write(f"definitions.py: {why}; {file} is as it was\n")
        return EXIT_CONFIGURATION
    except OSError as error:
        sys.stderr.write(f"definitions.py: {error.filename or file}: {error.strerror}\n")
        return EXIT_CONFIGURATION
    return 0


def read_passwords(text: str) -> dict[str, str]:
    """Raises Unusable for a line without a password, and for a user that stands twice."""
    passwords = _lines(text)
    for user, password in passwords.items():
        if not password:
            raise Unusable(f"{user} has no password")
    return passwords


def read_devices(file: Path) -> dict[str, str]:
    """Return the password of each device; an empty one: it shows a certificate. Raises Unusable for a name that is none."""
    devices = _lines(file.read_text(encoding="utf-8"))
    for device in devices:
        if not DEVICE.fullmatch(device):
            raise Unusable(f"{device[:80]!a} cannot be a device's name: letters, digits, dash and underscore, at most 64")
    return devices


def _lines(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, rest = line.strip().partition(" ")
        if not name or name.startswith("#"):
            continue
        if name in found:
            raise Unusable(f"{name} stands twice")
        found[name] = rest.strip()
    return found


def completed(template: str, passwords: Mapping[str, str], devices: Mapping[str, str]) -> str:
    """Return the definitions with a hash for each user, and with the devices.

    Raises:
        Unusable: a user has no password, which would be a user without a login; a password is for nobody; or a device has the
            name of a user.
    """
    definitions: dict[str, Any] = json.loads(template)
    users = {user["name"] for user in definitions["users"]}
    if missing := sorted(users - set(passwords)):
        raise Unusable(f"no password for {', '.join(missing)}")
    if strange := sorted(set(passwords) - users):
        raise Unusable(f"there is no user {', '.join(strange)}; there are {', '.join(sorted(users))}")
    if both := sorted(users & set(devices)):
        raise Unusable(f"{', '.join(both)} is a user, and cannot be a device")
    for user in definitions["users"]:
        user |= {"password_hash": password_hash(passwords[user["name"]]), "hashing_algorithm": ALGORITHM}
    for device, password in devices.items():
        hashed = password_hash(password) if password else NO_PASSWORD
        definitions["users"].append({"name": device, "tags": "", "password_hash": hashed, "hashing_algorithm": ALGORITHM})
        definitions["permissions"].append(device_rights(device))
        definitions["topic_permissions"].append(device_topics(device))
    return json.dumps(definitions, indent=1) + "\n"


def device_rights(device: str) -> dict[str, str]:
    """Return the rights to publish, and to make and read the queue of its own session, whose client id is its name."""
    session = f"mqtt-subscription-{device}qos[01]"
    both = f"^(reef\\.devices|{session})$"
    return {"user": device, "vhost": "/", "configure": f"^{session}$", "write": both, "read": both}


def device_topics(device: str) -> dict[str, str]:
    """Return the topics of its own name. Without these it could write and read every topic."""
    return {
        "user": device,
        "vhost": "/",
        "exchange": DEVICES_EXCHANGE,
        "write": r"^buoys\.{username}\.d2c(\.[^.]+)*$",
        "read": r"^buoys\.{username}\.c2d(\.[^.]+)*$",
    }


def password_hash(password: str) -> str:
    salt = secrets.token_bytes(SALT_BYTES)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def write_private(file: Path, text: str) -> None:
    """Write whole or not at all: RabbitMQ may read at any moment."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    new.replace(file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
