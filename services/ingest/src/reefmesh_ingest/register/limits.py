"""Operators' overrides of quality control's limits, one quantity of one reef at a time."""

from dataclasses import replace
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from reefmesh.contracts.contract import Contract
from reefmesh_ingest.domain.quality.limits import QuantityLimits, Span

Test = Literal["suspect_span", "climatology", "spike", "rate_of_change", "flat_line"]

_FIELDS_OF: Final[dict[Test, tuple[str, ...]]] = {
    "suspect_span": ("suspect_span",),
    "climatology": ("climatology_by_month",),
    "spike": ("spike_suspect", "spike_fail"),
    "rate_of_change": ("rate_suspect_per_hour", "rate_fail_per_hour"),
    "flat_line": ("flat_line_tolerance", "flat_line_suspect_seconds", "flat_line_fail_seconds"),
}


class LimitsEntry(Contract):
    """A stated limit replaces the default, the others stay; ``without`` names the QARTOD tests that are switched off.

    The fields are those of ``domain.quality.limits.QuantityLimits``, with its units. Whether they make sense together
    with the defaults is checked where a reef's limits are stated.
    """

    fail_span: Span | None = None
    suspect_span: Span | None = None
    climatology_by_month: tuple[Span | None, ...] | None = None
    spike_suspect: float | None = None
    spike_fail: float | None = None
    rate_suspect_per_hour: float | None = None
    rate_fail_per_hour: float | None = None
    flat_line_tolerance: float | None = None
    flat_line_suspect_seconds: int | None = None
    flat_line_fail_seconds: int | None = None
    neighbour_gap_seconds: int | None = Field(default=None, ge=1, le=366 * 86400)
    without: list[Test] = Field(default_factory=list)

    @model_validator(mode="after")
    def _twelve_months(self) -> Self:
        if self.climatology_by_month is not None and len(self.climatology_by_month) != 12:
            raise ValueError(f"climatology_by_month must have 12 spans, not {len(self.climatology_by_month)}")
        return self

    def over(self, defaults: QuantityLimits) -> QuantityLimits:
        """Return the limits in force.

        Raises:
            ValueError: they contradict each other, or the defaults.
        """
        stated: dict[str, Any] = {name: None for test in self.without for name in _FIELDS_OF[test]}
        for name in type(self).model_fields:
            if name != "without" and (value := getattr(self, name)) is not None:
                stated[name] = value
        return replace(defaults, **stated)
