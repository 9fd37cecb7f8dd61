"""Writes docs/openapi.json (OpenAPI 3.1): the dashboard's API, from the code that answers.

python tools/openapi.py            write the document
python tools/openapi.py --check    write nothing; exit 1 when it is not current
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from reefmesh.clock import SystemClock
from reefmesh.store.connect import open_store
from reefmesh_dashboard.api.app import make_api
from reefmesh_dashboard.queries.reading import Reader

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs" / "openapi.json"


def document() -> str:
    """Return the text of the document; no database is opened for it."""
    reader = Reader(open_store("sqlite://", migrations=()), timeout_seconds=1.0)
    return json.dumps(make_api(reader, clock=SystemClock()).openapi(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/openapi.json.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when it is not current")
    text = document()
    if not parser.parse_args().check:
        DOCUMENT.write_text(text, encoding="utf-8")
        return 0
    if DOCUMENT.is_file() and DOCUMENT.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("docs/openapi.json is not what the code answers; run make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
