"""What the brokers of this run have to say, for the report of a test that failed.

A broker's folder is deleted with it. So its story (whether it still runs, how it ended, the last lines of its log) is told
while it is there: in each report of a failure, and once more in the next such report when a failure ended the broker's context.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

KEPT_LIMIT: Final = 4
"""Stories of brokers that are gone."""


class Storyteller(Protocol):
    """The process of a broker."""

    def story(self) -> str:
        """Return whether it runs, how it ended, and the last lines of its log."""
        ...


_here: Final[list[Storyteller]] = []
_gone: Final[list[str]] = []


@contextmanager
def told(process: Storyteller) -> Iterator[None]:
    """The broker's story is part of every failure's report until the context ends."""
    _here.append(process)
    try:
        yield
    except BaseException:
        _gone.append(process.story())
        del _gone[:-KEPT_LIMIT]
        raise
    finally:
        _here.remove(process)


def take_stories() -> Sequence[str]:
    """Return the story of each broker that is here, and of those whose context a failure has ended since the last call."""
    stories = [*_gone, *(process.story() for process in _here)]
    _gone.clear()
    return stories
