"""One act on a stage, from a mesh that is well to what the checker says; the mesh is made new when it was not left well."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.checker import Checker
from reefmesh_hostile.stage import Stage
from reefmesh_hostile.wire_cut import WireCut


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What became of one act. ``lasted_seconds``: the act and its check, without making the mesh new."""

    act: Act
    deed: Deed
    findings: list[Finding]
    lasted_seconds: float


HARMLESS: Final = frozenset({"unaccounted", "uncounted", "above-bound", "page", "not-held"})
"""After these the mesh works on as before."""
RECOVERED_WITHIN_SECONDS: Final = 5.0
"""After a link was lost once."""


class Theatre:
    """Plays acts on one stage, one after the other. ``is_hasty`` is the checker's."""

    def __init__(self, stage: Stage, *, is_hasty: bool = True) -> None:
        self._stage = stage
        self._is_hasty = is_hasty
        self._is_well = False

    def play(self, act: Act) -> Performance:
        if not (self._is_well and self._stage.is_up) or self._stage.is_nearly_full():
            self._stage.renew()
        self._is_well = False  # until the checker says so
        checker = Checker(self._stage, is_hasty=self._is_hasty, judged=act.judged)
        before = checker.snapshot()
        scene = Scene(stage=self._stage, attacker=self._stage.attacker(act.user))
        began = time.monotonic()
        try:
            deed = act.does(scene)
        except (WireCut, TimeoutError) as cut:
            deed = Deed(note=f"the broker cut the attacker off: {cut}")
        findings = checker.findings(before, act, scene, deed)
        self._is_well = self._is_left_well(findings)
        return Performance(act=act, deed=deed, findings=findings, lasted_seconds=time.monotonic() - began)

    def _is_left_well(self, findings: Sequence[Finding]) -> bool:
        kinds = {finding.kind for finding in findings}
        if not kinds - HARMLESS:
            return True
        if kinds - HARMLESS != {"link-lost"}:
            return False
        before = Checker(self._stage).snapshot()
        self._stage.traffic().until_a_round_is_handled(RECOVERED_WITHIN_SECONDS)
        late = self._stage.traffic().late(RECOVERED_WITHIN_SECONDS, since_seconds=before.taken_seconds)
        return not late and not Checker(self._stage).at_once(before, Deed())
