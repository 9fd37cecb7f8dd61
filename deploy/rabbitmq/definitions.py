#!/usr/bin/env python3
"""Complete the definitions of RabbitMQ with passwords: ``definitions.py FILE < passwords``; FILE is its owner's to read.

The input has a line ``user password`` for each user of definitions.json. RabbitMQ reads FILE at each start
(``load_definitions``), or takes it over its management API, as Amazon MQ does. FILE holds salted hashes, no password.
"""

import base64
import hashlib
import json
import os
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


class Unusable(Exception):
    """In one line, what is wrong with the input."""


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: definitions.py FILE < passwords (lines of: user password)\n")
        return EXIT_CONFIGURATION
    try:
        text = completed(TEMPLATE.read_text(encoding="utf-8"), read_passwords(sys.stdin.read()))
        write_private(Path(arguments[0]), text)
    except Unusable as why:
        sys.stderr.write(f"definitions.py: {why}; {arguments[0]} is as it was\n")
        return EXIT_CONFIGURATION
    except OSError as error:
        sys.stderr.write(f"definitions.py: {arguments[0]}: {error.strerror}\n")
        return EXIT_CONFIGURATION
    return 0


def read_passwords(text: str) -> dict[str, str]:
    """Raises Unusable for a line without a password, and for a user that stands twice."""
    passwords: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        user, _, password = line.strip().partition(" ")
        if not user or user.startswith("#"):
            continue
        if not password:
            raise Unusable(f"line {number}: {user} has no password")
        if user in passwords:
            raise Unusable(f"line {number}: {user} stands twice")
        passwords[user] = password
    return passwords


def completed(template: str, passwords: Mapping[str, str]) -> str:
    """Return the definitions with a hash for each user.

    Raises:
        Unusable: a user has no password, which would be a user without a login, or a password is for nobody.
    """
    definitions: dict[str, Any] = json.loads(template)
    users = {user["name"] for user in definitions["users"]}
    if missing := sorted(users - set(passwords)):
        raise Unusable(f"no password for {', '.join(missing)}")
    if strange := sorted(set(passwords) - users):
        raise Unusable(f"there is no user {', '.join(strange)}; there are {', '.join(sorted(users))}")
    for user in definitions["users"]:
        user |= {"password_hash": password_hash(passwords[user["name"]]), "hashing_algorithm": ALGORITHM}
    return json.dumps(definitions, indent=1) + "\n"


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
