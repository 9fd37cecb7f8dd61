"""ActiveMQ Classic from upstream: found in a cache folder, or fetched there through Maven.

By default 5.18.3, of the line that Amazon MQ runs. ``REEFMESH_ACTIVEMQ_VERSION=6.1.8`` names what others run today: of that no
whole distribution can be fetched, so it is put together from its parts.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VERSION: Final = "5.18.3"
VERSION_IN_PARTS: Final = "6.1.8"
VERSION_VARIABLE: Final = "REEFMESH_ACTIVEMQ_VERSION"
ARCHIVE: Final = f"apache-activemq-{VERSION}-bin.tar.gz"
COORDINATES: Final = f"org.apache.activemq:apache-activemq:{VERSION}:tar.gz:bin"
SHA512: Final = (
    "61abc4a08b9e1db6a5b1062bb1c839171e93bcb571817fd81744dd19874d7138"
    "40bba99c7979d45bcb832d13ea01986b76fb11720f5ec63a0283e7d1934a33cc"
)
PARTS: Final = (
    *(
        ("org.apache.activemq", f"activemq-{part}", VERSION_IN_PARTS)
        for part in ("spring", "kahadb-store", "stomp", "mqtt", "console", "jaas")
    ),
    ("org.springframework", "spring-context", "6.1.14"),
    ("org.apache.xbean", "xbean-spring", "4.26"),
    ("org.apache.logging.log4j", "log4j-slf4j2-impl", "2.24.3"),
    # what writes advisories as JSON
    ("com.thoughtworks.xstream", "xstream", "1.4.21"),
    ("org.codehaus.jettison", "jettison", "1.5.4"),
)
CACHE_VARIABLE: Final = "REEFMESH_CACHE"
FETCH_TIMEOUT_SECONDS: Final = 180.0


class DistributionMissing(Exception):
    """It is neither in the cache nor can it be fetched; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """``launch``: the arguments of java that name the program."""

    version: str
    home: Path
    launch: Sequence[str]


def cache_folder() -> Path:
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "reefmesh")


def distribution() -> Distribution:
    """Return the one that is asked for, ready to run, fetching and unpacking it where that has not been done yet.

    Raises:
        DistributionMissing: no Java, no Maven, no network, a version we do not know, or a file that is not the one we know.
    """
    if shutil.which("java") is None:
        raise DistributionMissing("no java on PATH")
    version = os.environ.get(VERSION_VARIABLE) or VERSION
    cache = cache_folder()
    home = cache / f"apache-activemq-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    if version == VERSION:
        if not home.exists():
            _unpack(cache, home)
        return Distribution(version=version, home=home, launch=("-jar", str(home / "bin" / "activemq.jar")))
    if version == VERSION_IN_PARTS:
        if not home.exists():
            _put_together(cache, home)
        launch = ("-cp", str(home / "lib" / "*"), "org.apache.activemq.console.Main")
        return Distribution(version=version, home=home, launch=launch)
    raise DistributionMissing(f"{VERSION_VARIABLE} is {version!r}: name {VERSION} or {VERSION_IN_PARTS}")


def _unpack(cache: Path, home: Path) -> None:
    archive = cache / ARCHIVE
    if not archive.exists():
        _fetch(archive)
    _verify(archive)
    with tempfile.TemporaryDirectory(dir=cache, prefix="unpacking-") as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        _move(Path(folder) / home.name, home)


def _put_together(cache: Path, home: Path) -> None:
    """Maven verifies each part by the checksum that is published with it."""
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as folder:
        parts = "".join(
            f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
            for group, name, version in PARTS
        )
        (Path(folder) / "pom.xml").write_text(
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            "<groupId>reefmesh</groupId><artifactId>activemq</artifactId><version>1</version>"
            f"<dependencies>{parts}</dependencies></project>",
            encoding="utf-8",
        )
        gathered = Path(folder) / "gathered"
        _maven(folder, f"ActiveMQ {VERSION_IN_PARTS}", "dependency:copy-dependencies", f"-DoutputDirectory={gathered / 'lib'}")
        _move(gathered, home)


def _move(made: Path, home: Path) -> None:
    try:
        made.rename(home)
    except OSError:
        if not home.exists():  # else another run was first
            raise


def _fetch(archive: Path) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="fetching-") as folder:
        _maven(folder, COORDINATES, "dependency:copy", f"-Dartifact={COORDINATES}", f"-DoutputDirectory={folder}")
        fetched = Path(folder) / ARCHIVE
        if not fetched.exists():
            raise DistributionMissing(f"Maven did not bring {ARCHIVE}")
        fetched.rename(archive)


def _maven(folder: str, what: str, *goal: str) -> None:
    if shutil.which("mvn") is None:
        raise DistributionMissing(f"no {what} in {cache_folder()} and no mvn on PATH to fetch it")
    command = ["mvn", "-q", "-B", *goal]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise DistributionMissing(f"Maven did not fetch {what} in {FETCH_TIMEOUT_SECONDS:.0f} s") from None
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[:1]
        raise DistributionMissing(f"Maven could not fetch {what}: {''.join(last)[:200]}")


def _verify(archive: Path) -> None:
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").hexdigest()
    if digest != SHA512:
        raise DistributionMissing(f"{archive} is not ActiveMQ {VERSION} (its SHA-512 is {digest[:16]}..): remove it")
