"""The instants of one factor of the dive verdict as text: one that is later than all before is appended, old ones are cut off,
and nothing of the rest is touched. A state has dozens of them, and is written with every score.

An instant is ``observed_us buoy_id value severities;``, the severities being those of best, verdict and worst.
"""

from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator

END: Final = ";"


class JudgedValue(NamedTuple):
    """A value of one buoy, with its verdict and those within the margin as severities."""

    observed_us: int
    buoy_id: str
    value: float
    best: int
    verdict: int
    worst: int


def text_of(instant: JudgedValue) -> str:
    """Return an instant as text. Ids of buoys have neither a blank nor a semicolon, severities one digit."""
    observed_us, buoy_id, value, best, verdict, worst = instant
    return f"{observed_us} {buoy_id} {value!r} {best}{verdict}{worst};"


def instants_of(text: str) -> list[JudgedValue]:
    return [_instant_of(each) for each in text.split(END)[:-1]]


def first_us(text: str) -> int | None:
    """Return when the first instant of a text was observed; None if there is none."""
    return int(text[: text.index(" ")]) if text else None


def without_first(text: str) -> tuple[JudgedValue, str]:
    """Return the first instant of a text that is not empty, and the text of the others."""
    first, _, others = text.partition(END)
    return _instant_of(first), others


def _instant_of(text: str) -> JudgedValue:
    observed_us, buoy_id, value, severities = text.split(" ")
    best, verdict, worst = map(int, severities)
    return JudgedValue(int(observed_us), buoy_id, float(value), best, verdict, worst)


def _from_list(stored: Any) -> Any:
    """Return the text of instants that an earlier version stored as a list of lists."""
    return "".join(text_of(JudgedValue(*each)) for each in stored) if isinstance(stored, list) else stored


KeptInstants = Annotated[str, BeforeValidator(_from_list)]
"""Instants as text, in the order of their instant and buoy."""
