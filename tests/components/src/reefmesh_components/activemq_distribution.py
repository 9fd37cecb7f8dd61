"""The upstream binary distribution of ActiveMQ Classic: found in a cache folder, or fetched there through Maven."""

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

VERSION: Final = "5.18.3"
ARCHIVE: Final = f"apache-activemq-{VERSION}-bin.tar.gz"
COORDINATES: Final = f"org.apache.activemq:apache-activemq:{VERSION}:tar.gz:bin"
SHA512: Final = (
    "61abc4a08b9e1db6a5b1062bb1c839171e93bcb571817fd81744dd19874d7138"
    "40bba99c7979d45bcb832d13ea01986b76fb11720f5ec63a0283e7d1934a33cc"
)
CACHE_VARIABLE: Final = "REEFMESH_CACHE"
FETCH_TIMEOUT_SECONDS: Final = 180.0


class DistributionMissing(Exception):
    """It is neither in the cache nor can it be fetched; the text says why."""


def cache_folder() -> Path:
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "reefmesh")


def distribution() -> Path:
    """Return the unpacked distribution, fetching, verifying and unpacking it where that has not been done yet.

    Raises:
        DistributionMissing: no Java, no Maven, no network, or a file that is not the one we know.
    """
    if shutil.which("java") is None:
        raise DistributionMissing("no java on PATH")
    cache = cache_folder()
    home = cache / f"apache-activemq-{VERSION}"
    if (home / "bin" / "activemq.jar").exists():
        return home
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / ARCHIVE
    if not archive.exists():
        _fetch(archive)
    _verify(archive)
    with tempfile.TemporaryDirectory(dir=cache, prefix="unpacking-") as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        try:
            (Path(folder) / home.name).rename(home)
        except OSError:
            if not (home / "bin" / "activemq.jar").exists():  # else another run was first
                raise
    return home


def _fetch(archive: Path) -> None:
    if shutil.which("mvn") is None:
        raise DistributionMissing(f"no {archive.name} in {archive.parent} and no mvn on PATH to fetch it")
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="fetching-") as folder:
        command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={COORDINATES}", f"-DoutputDirectory={folder}"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=FETCH_TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise DistributionMissing(f"Maven did not fetch {COORDINATES} in {FETCH_TIMEOUT_SECONDS:.0f} s") from None
        fetched = Path(folder) / ARCHIVE
        if done.returncode != 0 or not fetched.exists():
            last = (done.stdout + done.stderr).strip().splitlines()[:1]
            raise DistributionMissing(f"Maven could not fetch {COORDINATES}: {''.join(last)[:200]}")
        fetched.rename(archive)


def _verify(archive: Path) -> None:
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").hexdigest()
    if digest != SHA512:
        raise DistributionMissing(f"{archive} is not ActiveMQ {VERSION} (its SHA-512 is {digest[:16]}..): remove it")
