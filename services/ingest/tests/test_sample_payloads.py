"""The samples in ``docs/payloads`` are what their format's decoder reads whole, of devices in the example register."""

from pathlib import Path

import pytest

from reefmesh_ingest.domain.decode import DECODERS, Report, decode
from reefmesh_ingest.register.file import read_register

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "docs" / "payloads"
OF_FORMATS = {
    "telemetry/1": SAMPLES / "telemetry.json",
    "nemopi-mqtt/1": SAMPLES / "nemopi-mqtt.jsonl",
    "nemopi-2021/1": SAMPLES / "nemopi-2021.json",
}


def test_every_format_has_a_sample_that_the_readme_links() -> None:
    assert DECODERS.keys() == OF_FORMATS.keys()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [] == [path.name for path in OF_FORMATS.values() if f"](docs/payloads/{path.name})" not in readme]


@pytest.mark.parametrize("schema_id", OF_FORMATS)
def test_sample_is_decoded_whole(schema_id: str) -> None:
    content = OF_FORMATS[schema_id].read_bytes()
    payloads = content.splitlines() if OF_FORMATS[schema_id].suffix == ".jsonl" else [content]
    register = read_register(ROOT / "services" / "ingest" / "register.example.toml")
    names = {name for buoy in register.buoy for name in (buoy.id, *buoy.aliases)}
    reports = [decode(schema_id, payload) for payload in payloads]
    devices = set()
    for report in reports:
        assert isinstance(report, Report), report
        assert report.refused == ()
        devices |= {report.device} - {None}
    assert devices
    assert devices <= names
