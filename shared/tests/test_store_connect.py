"""From a URL to a store."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefmesh.errors import ConfigurationError
from reefmesh.store.connect import open_store
from reefmesh.store.port import Write
from reefmesh.store.qmark import numbered
from reefmesh.store.write_order import merged


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("", "no scheme"),
        ("/var/lib/store.db", "no scheme"),
        ("mysql://u:s3cr3t@h/d", "no store for 'mysql://'"),
        ("sqlite://store.db", "names no file"),
        ("sqlite:///", "names no file"),
        ("postgresql://u:s3cr/3t@h/d", "percent-encode"),
        ("postgresql://u:s3cr3t@h:port/d", "cannot be understood"),
        ("postgresql://u:s3cr3t@h/d?schema=Robert'); DROP", "cannot be a schema's name"),
    ],
)
def test_wrong_url_is_told_in_one_line_without_its_password(url: str, part: str) -> None:
    with pytest.raises(ConfigurationError, match=part) as refusal:
        open_store(url, migrations=())
    assert "s3cr" not in f"{refusal.value} {refusal.value.__cause__}"
    assert "\n" not in str(refusal.value)


def test_missing_driver_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['asyncpg'] = None\n"  # as if it were not installed
        "from reefmesh.store.connect import open_store\n"
        "open_store('sqlite://', migrations=())\n"
        "open_store(sys.argv[1], migrations=())\n"  # not in the script: newer tracebacks quote its lines
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "postgresql://u:s3cr3t@h/d"], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1].endswith("not installed: pip install 'reefmesh-shared[postgresql]'")
    assert "s3cr3t" not in done.stderr


async def test_relative_and_absolute_sqlite_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///relative.db", f"sqlite:///{tmp_path}/absolute.db"):
        store = open_store(url, migrations=())
        await store.open()
        await store.close()
    assert {name for name in os.listdir(tmp_path) if name.endswith(".db")} == {"relative.db", "absolute.db"}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT ?, ?", "SELECT $1, $2"),
        (
            "SELECT '?', ?, 'it''s ?' , \"a?\", ? -- ?\n, ? /* ?\n */",
            "SELECT '?', $1, 'it''s ?' , \"a?\", $2 -- ?\n, $3 /* ?\n */",
        ),
        ("SELECT 1 - ?, 2 / ?", "SELECT 1 - $1, 2 / $2"),
    ],
)
def test_question_marks_are_numbered_outside_quotes_and_comments(sql: str, expected: str) -> None:
    assert numbered(sql) == expected


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=6), max_size=6))
def test_merged_statements_keep_each_units_order_and_lose_none(texts: list[list[str]]) -> None:
    units = [[Write(sql, (unit, position)) for position, sql in enumerate(each)] for unit, each in enumerate(texts)]

    executed = [(sql, row) for sql, rows in merged(units) for row in rows]

    for unit, each in enumerate(texts):
        assert [(sql, row[1]) for sql, row in executed if row[0] == unit] == [(sql, n) for n, sql in enumerate(each)]
    assert len(executed) == sum(map(len, texts))


def test_equal_lists_of_statements_are_executed_text_by_text() -> None:
    units = [[Write("a", (n,)), Write("b", (n,)), Write("b", (-n,))] for n in range(3)]
    assert list(merged(units)) == [("a", [(0,), (1,), (2,)]), ("b", [(0,), (0,), (1,), (-1,), (2,), (-2,)])]
