"""All services may be given one file of variables: each accepts what its siblings read, and refuses typos of what it reads."""

from random import Random

import pytest

from reefmesh.contracts.services import EVERY_SERVICE, ServiceEntry
from reefmesh.errors import ConfigurationError
from reefmesh.service.program import load_program
from reefmesh.settings import Settings
from reefmesh.variables import PREFIX
from reefmesh_standalone.settings import StandaloneSettings

BY_NAME: dict[str, type[Settings]] = {entry.name: load_program(entry).settings for entry in EVERY_SERVICE}
READ_BY_ANYBODY = StandaloneSettings.variables().union(*(settings.variables() for settings in BY_NAME.values()))


TYPOS = 6
"""Of each variable, of the ninety or so that it has: to compare them all takes a minute."""


def typos(name: str) -> set[str]:
    """The name with one letter left out, doubled, or changed for its neighbour, as far as nobody reads that."""
    word = name.removeprefix(PREFIX)
    changed = {
        f"{word[:place]}{other}{word[place + 1 :]}"
        for place, letter in enumerate(word)
        for other in ("", letter * 2, "X")
        if letter != "_"
    } | {f"{word[:place]}{word[place + 1]}{word[place]}{word[place + 2 :]}" for place in range(len(word) - 1)}
    return {f"{PREFIX}{each}" for each in changed} - READ_BY_ANYBODY


@pytest.mark.parametrize("service", EVERY_SERVICE, ids=lambda entry: entry.name)
def test_service_accepts_what_its_siblings_and_the_command_read(service: ServiceEntry) -> None:
    for name in sorted(READ_BY_ANYBODY):
        BY_NAME[service.name].refuse_misspelt_variables({name: "x"})


@pytest.mark.parametrize("service", EVERY_SERVICE, ids=lambda entry: entry.name)
def test_service_refuses_a_typo_of_whatever_it_reads_and_names_what_was_meant(service: ServiceEntry) -> None:
    settings = BY_NAME[service.name]
    others = tuple(f"{PREFIX}{name.upper()}_" for name in (*BY_NAME, StandaloneSettings.SECTION) if name != service.name)
    chance = Random(service.name)
    for name in sorted(settings.variables()):
        for typo in chance.sample(sorted(typos(name)), TYPOS):
            if not typo.startswith(others):
                with pytest.raises(ConfigurationError, match=f"^{typo} is read by nobody; is {PREFIX}"):
                    settings.refuse_misspelt_variables({typo: "x"})
