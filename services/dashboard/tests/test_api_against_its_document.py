"""The API answers as its OpenAPI document says, whatever it is asked: schemathesis asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette

from reefmesh_dashboard.api.app import MOUNT, make_api
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.web.site import mounted
from reefmesh_dashboard.web.validators import EntityTags

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from services.dashboard.tests.conftest import Bench, Samples

# Not that every allowed question has an answer: a period may be allowed by its parts and be empty, a reef be unknown.
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
]
EXAMPLES = 10
"""Questions to each path, of each kind."""


async def _fill(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(*(samples.reading(-minutes, t=29.0) for minutes in range(0, 300, 30)))
    await bench.score(samples.score(carbonate=samples.carbonate((samples.START.date(), 3.2))))
    await bench.alert(samples.alert("a1"))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
@pytest.mark.parametrize("known", [True, False], ids=["a reef", "any reef"])
def test_every_answer_is_what_the_document_says(
    known: bool, mode: GenerationMode, benches: Callable[..., AbstractAsyncContextManager[Bench]], samples: type[Samples]
) -> None:
    with asyncio.Runner() as runner:
        opened = benches()
        bench = runner.run(opened.__aenter__())
        try:
            runner.run(_fill(bench, samples))
            asked = _ask_everything(bench, reef=samples.REEF if known else None, mode=mode)
        finally:
            runner.run(opened.__aexit__(None, None, None))
    if known and mode is GenerationMode.POSITIVE:
        assert dict.fromkeys(asked, 200) == {name: min(statuses) for name, statuses in asked.items()}


def _ask_everything(bench: Bench, *, reef: str | None, mode: GenerationMode) -> dict[str, set[int]]:
    """Return the statuses of the answers of each path."""
    api = make_api(Reader(bench.store, timeout_seconds=30.0), clock=bench.clock)
    document = api.openapi()
    if reef is not None:
        _name_reef(document, reef)
    app = Starlette(routes=[mounted(MOUNT, EntityTags(api))])
    described = schemathesis.openapi.from_dict(document).get_all_operations()
    operations = [result.ok() for result in described if isinstance(result, Ok)]
    assert len(document["paths"]) == len(operations)
    return {operation.label: _ask(operation, app, mode) for operation in operations}


def _ask(operation: APIOperation[Any, Any, Any, Any], app: Starlette, mode: GenerationMode) -> set[int]:
    statuses: set[int] = set()

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        answer = case.call_and_validate(checks=CHECKS, app=app, base_url=f"http://localhost{MOUNT}")
        statuses.add(answer.status_code)

    ask()
    return statuses


def _name_reef(document: dict[str, Any], reef: str) -> None:
    """Ask for this reef alone: any other has no rows to answer with."""
    for operations in document["paths"].values():
        for parameter in operations["get"].get("parameters", []):
            if parameter["in"] == "path":
                parameter["schema"] = {"enum": [reef], "type": "string"}
