"""Nobody reads pydantic's words: each type of its errors has a sentence of ours."""

import re
from typing import get_args

import pytest
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from reefmesh.contracts.contract import BuoyId, Instant, ReefId
from reefmesh.mistake_sentence import PYTHONS_OWN, SENTENCES, sentence_of

OF_PYDANTIC = re.compile(
    r"\b(input|inputs|value error|assertion failed|field required|should|pydantic|validation|NoneType)\b", re.IGNORECASE
)
OURS = ("value_error", "assertion_error")


class Sample(BaseModel):
    reef: ReefId = "a"
    buoy: BuoyId = "b"
    at: Instant | None = None
    share: float = Field(default=0.5, ge=0.0, le=1.0)


@pytest.mark.parametrize("kind", [kind for kind in get_args(ErrorType) if kind not in OURS])
def test_each_type_of_error_has_a_sentence(kind: str) -> None:
    """A type that a newer pydantic adds fails here."""
    assert kind in SENTENCES or kind in PYTHONS_OWN
    error = ErrorDetails(type=kind, loc=("field",), msg="Input should be something else", input=None)
    assert not OF_PYDANTIC.search(sentence_of(error))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("share", 2, "must be at most 1"),
        ("share", "x", "must be a number"),
        (
            "reef",
            "Amed Wall",
            "must be 1 to 64 lower-case letters, digits, dot, dash and underscore, the first a letter or digit",
        ),
        ("buoy", "a b", "must be 1 to 64 letters, digits, dot, dash and underscore, the first a letter or digit"),
        ("at", "soon", "must be an instant with its offset from UTC"),
    ],
)
def test_sentence_says_what_is_allowed(field: str, value: object, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Sample.model_validate({field: value})
    assert [sentence] == [sentence_of(each) for each in refused.value.errors()][-1:]
