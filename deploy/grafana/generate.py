"""Writes the Grafana dashboards beside this file: dashboards/services.json, broker.json and reefs.json.

  python deploy/grafana/generate.py            write them
  python deploy/grafana/generate.py --check    write nothing; exit 1 when one is not current

Metrics are named by the rows of ``reefmesh.observability.table`` alone.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from boards.broker import broker
from boards.reefs import reefs
from boards.services import services

FOLDER: Final = Path(__file__).parent / "dashboards"
DASHBOARDS: Final = {"services": services, "broker": broker, "reefs": reefs}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a dashboard is not current")
    options = parser.parse_args(arguments)
    stale = []
    for name, make in DASHBOARDS.items():
        file = FOLDER / f"{name}.json"
        wanted = JSONEncoder(sort_keys=True, indent=2).encode(make().build()) + "\n"
        if not options.check:
            file.write_text(wanted)
        elif not file.exists() or file.read_text() != wanted:
            stale.append(file.name)
    if stale:
        sys.stderr.write(f"not current: {', '.join(stale)}; write them anew with `make docs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
