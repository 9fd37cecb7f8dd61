"""Installs one service into /opt/reefmesh, in the build stage of its image: by hash, and nothing that it does not need.

    python install.py dependencies SERVICE    what its pyproject.toml and shared's ask for, by the hashes of constraints.txt
    python install.py packages SERVICE...     the service itself and shared; built here with the pinned build tools

Two steps, so that a change of code reuses the layer of dependencies. Runs in a folder that holds constraints.txt, shared/ and
services/, with the standard library alone. EXTRAS names what is optional and wanted, of shared and of any service:
postgresql,rabbitmq,otel,charts,apprise
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

TARGET: Final = Path("/opt/reefmesh")
TOOLS: Final = Path("tools").absolute()
EXTRAS: Final = os.environ.get("EXTRAS", "postgresql,rabbitmq,charts,apprise")
CONSTRAINTS: Final = Path("constraints.txt")
PIN: Final = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==")


def main(arguments: Sequence[str]) -> None:
    match arguments:
        case ["dependencies", *services] if services:
            install_dependencies(services)
        case ["packages", *services] if services:
            install_packages(services)
        case _:
            sys.exit(__doc__)


def install_dependencies(services: Sequence[str]) -> None:
    run(sys.executable, "-m", "venv", TOOLS)
    run(sys.executable, "-m", "venv", "--without-pip", TARGET)
    install_pinned(TOOLS, ["hatchling"])
    members = [Path("shared"), *(Path("services") / service for service in services)]
    install_pinned(TARGET, ["--no-build-isolation", *(with_extras(member, EXTRAS.split(",")) for member in members)])


def install_packages(services: Sequence[str]) -> None:
    members = ["./shared", *(f"./services/{service}" for service in services)]
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "wheels", *members)
    pip("--python", python_of(TARGET), "install", "--no-deps", "--no-index", *sorted(Path("wheels").glob("*.whl")))


def install_pinned(environment: Path, requirements: Sequence[str]) -> None:
    """Let pip say what the requirements come to within constraints.txt, then install exactly that, each file by its hash."""
    pins = list(pinned(CONSTRAINTS.read_text(encoding="utf-8")))
    bare = Path("pins.txt")  # with hashes in it, pip would ask them of our own packages too
    bare.write_text("".join(lines[0].rstrip(" \\\n") + "\n" for _, lines in pins), encoding="utf-8")
    plan = Path("plan.json")
    pip("install", "--dry-run", "--ignore-installed", "--report", plan, "--constraint", bare, *requirements)
    planned = json.loads(plan.read_text(encoding="utf-8"))["install"]
    names = {normal(each["metadata"]["name"]) for each in planned if not each["is_direct"]}
    if missing := sorted(names - {name for name, _ in pins}):
        sys.exit(f"constraints.txt does not pin {', '.join(missing)}; run make lock")
    needed = Path("needed.txt")  # one name may have several pins, with markers
    needed.write_text("".join("".join(lines) for name, lines in pins if name in names), encoding="utf-8")
    exactly = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement", needed)
    pip("--python", python_of(environment), "install", *exactly)


def with_extras(member: Path, wanted: Sequence[str]) -> str:
    """Return the requirement of a member with those of the wanted extras that it has."""
    project = tomllib.loads((member / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [extra for extra in wanted if extra in project.get("optional-dependencies", {})]
    return f"./{member}[{','.join(extras)}]" if extras else f"./{member}"


def pinned(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, its lines) for each pin of a file with hashes."""
    block: list[str] = []
    for line in (*text.splitlines(keepends=True), "end==\n"):
        found = PIN.match(line)
        if found and block:
            yield normal(block[0].partition("==")[0]), block
        if found:
            block = [line]
        elif block and not line.startswith("#"):
            block.append(line)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def python_of(environment: Path) -> Path:
    return environment / "bin" / "python"


def pip(*arguments: str | Path) -> None:
    run(python_of(TOOLS), "-m", "pip", "--quiet", *arguments)


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], check=False)  # noqa: S603 - our own words and paths
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
