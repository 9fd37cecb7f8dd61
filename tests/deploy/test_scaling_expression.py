"""The scaling expression of ``deploy/aws`` on queue sizes as they come: what a target-tracking policy would see.

CloudWatch cannot be asked here. The evaluator below reads the part of its metric math that the template uses; what it does with
gaps is from its documentation of FILL.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path

import pytest
import yaml

TEMPLATE = Path(__file__).parents[2] / "deploy" / "aws" / "service.yaml"
Series = Sequence[float | None]
"""A value a period; None: no data."""
MINIMUM_TASKS, MAXIMUM_TASKS, TARGET, COOL_DOWN_PERIODS = 2, 10, 500, 5

RECORDED: Series = (
    0,
    0,
    0,
    0,
    0,
    3798,
    3958,
    3907,
    3889,
    3846,
    3655,
    3455,
    3341,
    3173,
    2997,
    2800,
    2673,
    2432,
    2264,
    2178,
    2128,
    2086,
    2026,
)
"""Messages that waited for ingest, of a real run: 4,000 of one reef sent at once to ``reefmesh up`` on a busy machine, until
half were handled; looks 1 to 3 s apart, every fourth from the ninth on. Taken here as one a minute."""


def evaluate(expression: str, metrics: Mapping[str, Series]) -> list[float | None]:
    """Return the expression's series. Where an operand has no data, neither has the result; x / 0 has none.

    Raises:
        ValueError: the expression has something that is not known here.
    """
    (length,) = {len(each) for each in metrics.values()}
    tree = ast.parse(expression, mode="eval").body
    return [_at(tree, metrics, place) for place in range(length)]


def _at(node: ast.expr, metrics: Mapping[str, Series], place: int) -> float | None:
    match node:
        case ast.Name(id=name):
            return metrics[name][place]
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            above, below = _at(left, metrics, place), _at(right, metrics, place)
            return None if above is None or not below else above / below
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, ast.Constant(value=int() | float() as by)], keywords=[]):
            value = _at(filled, metrics, place)
            return float(by) if value is None else value
        case ast.Call(func=ast.Name(id="MAX"), args=[ast.List(elts=several)], keywords=[]):
            values = [value for each in several if (value := _at(each, metrics, place)) is not None]
            return max(values, default=None)
    raise ValueError(f"not known here: {ast.unparse(node)}")


def expressions(node: object) -> Iterator[tuple[str, str]]:
    match node:
        case {"Id": str(name), "Expression": str(expression)}:
            yield name, expression
        case dict():
            for each in node.values():
                yield from expressions(each)
        case list():
            for each in node:
                yield from expressions(each)


class _Loader(yaml.SafeLoader):
    """Takes CloudFormation's short forms for what they hold."""


_Loader.add_multi_constructor(
    "!", lambda loader, _, node: loader.construct_mapping(node) if isinstance(node, yaml.MappingNode) else str(node.value)
)


@pytest.fixture(scope="module")
def backlog() -> str:
    """The template's own."""
    found = dict(expressions(yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Loader)))  # noqa: S506 - a SafeLoader
    return found["backlog"]


def test_whichever_broker_is_active_its_queue_counts(backlog: str) -> None:
    """Only the active one has data; in the minute of the failover both may have, or neither."""
    seen: dict[str, Series] = {"q1": [800, 900, None, None, 0], "q2": [None, 0, 1200, None, 900], "running": [2, 2, 3, 3, 3]}
    assert [400, 450, 400, 0, 300] == evaluate(backlog, seen)


def test_without_a_count_of_tasks_one_is_taken(backlog: str) -> None:
    """So a missing metric scales out, not in."""
    assert [600] == evaluate(backlog, {"q1": [600], "q2": [None], "running": [None]})


@pytest.mark.parametrize("expression", ["MIN([q1,q2])", "q1 * 2", "FILL(q1, REPEAT)", "RATE(q1)"])
def test_expression_that_is_not_known_here_is_refused(expression: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        evaluate(expression, {"q1": [1], "q2": [1]})


def test_tasks_follow_the_recorded_queue_out_and_in_again(backlog: str) -> None:
    """Target tracking wants tasks x (metric / target), out at once and in after five minutes below; never fewer than two."""
    tasks, below, followed = MINIMUM_TASKS, 0, list[int]()
    for size in RECORDED:
        (value,) = evaluate(backlog, {"q1": [None], "q2": [size], "running": [float(tasks)]})
        assert value is not None
        wanted = min(MAXIMUM_TASKS, max(MINIMUM_TASKS, ceil(tasks * value / TARGET)))
        below = below + 1 if wanted < tasks else 0
        if wanted > tasks or below >= COOL_DOWN_PERIODS:
            tasks, below = wanted, 0
        followed.append(tasks)
    began = next(place for place, size in enumerate(RECORDED) if size)
    assert {MINIMUM_TASKS} == set(followed[:began])
    assert ceil(RECORDED[began] or 0) // TARGET + 1 == followed[began]
    assert followed[began] == max(followed)  # out at once, and in only when the queue has been shorter for a while
    assert ceil((RECORDED[-1] or 0) / TARGET) <= followed[-1] < max(followed)
    assert followed[began:] == sorted(followed[began:], reverse=True)
