"""``?`` parameters to PostgreSQL's ``$1``: SQL is written once for both databases."""

import re
from functools import lru_cache
from itertools import count
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      '(?:[^']|'')*'      # a text
    | "(?:[^"]|"")*"      # a quoted name
    | --[^\n]*            # comments
    | /\*.*?\*/
    | \?
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=1024)
def numbered(sql: str) -> str:
    """Return ``sql`` with its question marks numbered, except inside quotes and comments. Cached: texts are constants."""
    numbers = count(1)
    return _TOKEN.sub(lambda match: f"${next(numbers)}" if match[0] == "?" else match[0], sql)
