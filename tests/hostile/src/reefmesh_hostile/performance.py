"""One act on a stage, from a mesh that is well to what the checker says; the mesh is made new when it was not left well."""

import time
from dataclasses import dataclass
from typing import Final

from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.checker import Checker
from reefmesh_hostile.mqtt_wire import MqttCut
from reefmesh_hostile.stage import Stage
from reefmesh_hostile.stomp_wire import StompCut


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What became of one act. ``lasted_seconds``: the act and its check, without making the mesh new."""

    act: Act
    deed: Deed
    findings: list[Finding]
    lasted_seconds: float


HARMLESS: Final = frozenset({"unaccounted", "uncounted", "above-bound", "page", "not-held"})
"""After these the mesh works on as before."""


class Theatre:
    """Plays acts on one stage, one after the other. ``is_hasty`` is the checker's."""

    def __init__(self, stage: Stage, *, is_hasty: bool = True) -> None:
        self._stage = stage
        self._is_hasty = is_hasty
        self._is_well = False

    def play(self, act: Act) -> Performance:
        if not (self._is_well and self._stage.is_up):
            self._stage.renew()
        self._is_well = False  # until the checker says so
        checker = Checker(self._stage, is_hasty=self._is_hasty)
        before = checker.snapshot()
        scene = Scene(stage=self._stage, attacker=self._stage.attacker(act.user))
        began = time.monotonic()
        try:
            deed = act.does(scene)
        except (StompCut, MqttCut, TimeoutError) as cut:
            deed = Deed(note=f"the broker cut the attacker off: {cut}")
        findings = checker.findings(before, act, scene, deed)
        self._is_well = all(finding.kind in HARMLESS for finding in findings)
        return Performance(act=act, deed=deed, findings=findings, lasted_seconds=time.monotonic() - began)
