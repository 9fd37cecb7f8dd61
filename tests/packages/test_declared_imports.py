"""Every package declares what it imports: what works here because a neighbour brought it would fail where it is alone."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMBERS = sorted(
    path.parent for pattern in ("shared", "services/*", "tests/*") for path in ROOT.glob(f"{pattern}/pyproject.toml")
)
# Editable installations do not tell which modules they bring: ours are read from the folders.
OWN = {
    package.name: [tomllib.loads((member / "pyproject.toml").read_text())["project"]["name"]]
    for member in MEMBERS
    for package in (member / "src").iterdir()
}
DISTRIBUTIONS = {**packages_distributions(), **OWN}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(member: Path) -> set[str]:
    """Return the distributions that a member may import: its own, its dependencies, its extras."""
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    requirements = [project["name"], *project["dependencies"], *(each for extra in extras for each in extra)]
    return {normalised(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]) for requirement in requirements}


def imported(source: str) -> Iterator[str]:
    """Yield the top-level modules that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def undeclared(source: str, allowed: set[str]) -> set[str]:
    strange = set()
    for module in set(imported(source)) - sys.stdlib_module_names:
        brought_by = {normalised(name) for name in DISTRIBUTIONS.get(module, [module])}
        if not brought_by & allowed:
            strange.add(module)
    return strange


def test_there_are_members_to_check() -> None:
    assert {"shared", "ingest", "scoring", "alerts", "standalone"} <= {member.name for member in MEMBERS}


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: str(member.relative_to(ROOT)))
def test_member_imports_only_what_it_declares(member: Path) -> None:
    allowed = declared(member)
    found = {
        str(path.relative_to(ROOT)): strange
        for path in sorted((member / "src").rglob("*.py"))
        if (strange := undeclared(path.read_text(), allowed))
    }
    assert found == {}


def test_undeclared_import_is_found_wherever_it_hides() -> None:
    source = "import os\nfrom pydantic import Field\ndef f():\n    import pytest\n    from reefmesh_ingest import domain\n"
    assert undeclared(source, {"pydantic"}) == {"pytest", "reefmesh_ingest"}
