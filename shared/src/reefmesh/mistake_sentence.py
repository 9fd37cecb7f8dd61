"""Says in our own words what pydantic refused: one table, for settings, files, payloads and the command line."""

from collections.abc import Mapping
from typing import Final

from pydantic_core import ErrorDetails

NO_SUCH_FIELD: Final = "there is no such field"

_NUMBER: Final = "must be a number"
_WHOLE: Final = "must be a whole number"
_BOOLEAN: Final = "must be true or false"
_TEXT: Final = "must be text"
_BYTES: Final = "must be bytes"
_TABLE: Final = "must be a table of fields with their values"
_LIST: Final = "must be a list"
_DATE: Final = "must be a date like 2026-12-24"
_TIME: Final = "must be a time of the day like 06:30"
_INSTANT: Final = "must be an instant with its offset from UTC, like 2026-12-24T06:30:00Z"
_SPAN: Final = "must be a span of time"
_ADDRESS: Final = "must be an address like https://example.org"
_ID: Final = "must be a UUID"
_JSON: Final = "must be a JSON document"
_MISSING: Final = "is missing"
_EXACT_NUMBER: Final = "must be a decimal number of that many digits"
_REEF_CHARACTERS: Final = "lower-case letters, digits, dot, dash and underscore"
_CHARACTERS: Final = "letters, digits, dot, dash and underscore"

_PATTERNS: Final[Mapping[str, str]] = {
    r"^[a-z0-9][a-z0-9._-]{0,63}$": f"must be 1 to 64 {_REEF_CHARACTERS}, the first a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": f"must be 1 to 64 {_CHARACTERS}, the first a letter or digit",
    r"^[a-z0-9._*?\[\]!-]{1,64}$": f"must be the name of a reef ({_REEF_CHARACTERS}), with * and ? for any characters",
    r"^[!-~]{1,128}$": "must be 1 to 128 printable ASCII characters without blanks",
    r"^[^\x00-\x1f\x7f]*$": "must have no control characters",
}
"""In place of a regular expression that a person would have to read."""

SENTENCES: Final[Mapping[str, str]] = {
    "missing": _MISSING,
    "missing_argument": _MISSING,
    "missing_keyword_only_argument": _MISSING,
    "missing_positional_only_argument": _MISSING,
    "extra_forbidden": NO_SUCH_FIELD,
    "unexpected_keyword_argument": NO_SUCH_FIELD,
    "unexpected_positional_argument": NO_SUCH_FIELD,
    "invalid_key": "must have text as its names",
    "none_required": "must be left out",
    "json_invalid": _JSON,
    "json_type": _JSON,
    "recursion_loop": "is nested in itself",
    "recursion_depth_exceeded": "is nested too deep",
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "dataclass_type": _TABLE,
    "dataclass_exact_type": _TABLE,
    "dict_type": _TABLE,
    "frozen_dict_type": _TABLE,
    "ordered_dict_type": _TABLE,
    "counter_type": _TABLE,
    "mapping_type": _TABLE,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "named_tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "deque_type": _LIST,
    "iterable_type": _LIST,
    "iteration_error": _LIST,
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "finite_number": "must be a finite number",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "decimal_max_digits": _EXACT_NUMBER,
    "decimal_max_places": _EXACT_NUMBER,
    "decimal_whole_digits": _EXACT_NUMBER,
    "fraction_type": _NUMBER,
    "fraction_parsing": _NUMBER,
    "complex_type": _NUMBER,
    "complex_str_parsing": _NUMBER,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "string_type": _TEXT,
    "string_unicode": "must be text in UTF-8",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must be written like {pattern}",
    "string_not_ascii": "must be ASCII text",
    "bytes_type": _BYTES,
    "bytes_too_short": "must have at least {min_length} bytes",
    "bytes_too_long": "must have at most {max_length} bytes",
    "bytes_invalid_encoding": "must be bytes in the encoding of the format",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "its {discriminator} must be one of {expected_tags}",
    "union_tag_not_found": "its {discriminator} is missing",
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "date_past": "must be a date in the past",
    "date_future": "must be a date in the future",
    "time_type": _TIME,
    "time_parsing": _TIME,
    "datetime_type": _INSTANT,
    "datetime_parsing": _INSTANT,
    "datetime_object_invalid": _INSTANT,
    "datetime_from_date_parsing": _INSTANT,
    "datetime_past": "must be in the past",
    "datetime_future": "must be in the future",
    "timezone_naive": "must have no offset from UTC",
    "timezone_aware": _INSTANT,
    "timezone_offset": _INSTANT,
    "time_delta_type": _SPAN,
    "time_delta_parsing": _SPAN,
    "url_type": _ADDRESS,
    "url_parsing": _ADDRESS,
    "url_syntax_violation": _ADDRESS,
    "url_too_long": "must be an address of at most {max_length} characters",
    "url_scheme": "must be an address that begins with {expected_schemes}",
    "uuid_type": _ID,
    "uuid_parsing": _ID,
    "uuid_version": _ID,
}
"""By pydantic's type of error. The rest (Python objects, frozen models) cannot come from outside: ``is not valid``."""

_OURS: Final = {"value_error": "Value error, ", "assertion_error": "Assertion failed, "}
"""Errors that our own validators raise, and what pydantic writes before them."""


def sentence_of(error: ErrorDetails) -> str:
    """Return what is wrong, on one line, to stand behind the field's name: ``must be at most 90``, ``is missing``."""
    kind = error["type"]
    if kind in _OURS:
        text = error["msg"].removeprefix(_OURS[kind])
        return " ".join((text[:1].lower() + text[1:]).split())
    facts = error.get("ctx", {})
    if kind == "string_pattern_mismatch" and facts.get("pattern") in _PATTERNS:
        return _PATTERNS[facts["pattern"]]
    if kind in SENTENCES:
        return _filled(SENTENCES[kind], facts)
    # A field's own kind of error (``custom_error_type``) has a message of our own.
    return "is not valid" if kind in PYTHONS_OWN else error["msg"]


PYTHONS_OWN: Final = frozenset(
    {
        "no_such_attribute",
        "needs_python_object",
        "frozen_field",
        "frozen_instance",
        "get_attribute_error",
        "default_factory_not_called",
        "set_item_not_hashable",
        "missing_sentinel_error",
        "ellipsis_error",
        "is_instance_of",
        "is_subclass_of",
        "callable_type",
        "arguments_type",
        "multiple_argument_values",
    }
)


def _filled(template: str, facts: Mapping[str, object]) -> str:
    try:
        return template.format_map({name: f"{fact:g}" if isinstance(fact, float) else fact for name, fact in facts.items()})
    except KeyError:  # facts were left out, lest they show a secret
        return "is not valid"
