"""May this user publish and consume what the services need, and is the broker's clock ours?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.broker.probe import Probe
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh_standalone.doctor.channel import CHANNEL, OWN
from reefmesh_standalone.doctor.finding import Finding, fail, ok, warn

OFFSET_WARN_SECONDS: Final = 2.0
OFFSET_FAIL_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a service does at the broker; it parks on its own subscription too."""

    consumes: Subscription
    publishes: tuple[channels.Channel, ...]


NEEDS: Final = {
    "ingest": Need(consumes=channels.INGEST, publishes=(channels.READINGS, channels.QUARANTINE, channels.TELEMETRY)),
    "scoring": Need(consumes=channels.SCORING, publishes=(channels.SCORES,)),
    "alerts": Need(consumes=channels.ALERTING, publishes=(channels.ALERTS,)),
}


async def examine_own_rights(probe: Probe) -> list[Finding]:
    """What the other checks need: without it they cannot be made."""
    refusals = [refusal for refusal in (await probe.may_publish(CHANNEL), await probe.may_consume(OWN)) if refusal]
    if refusals:
        return [fail("own channel", refusals[0], f"give this user read, write and admin on {CHANNEL}, or use the operator's")]
    return [ok("own channel", f"this user may publish to {CHANNEL} and consume from it")]


async def examine_rights(probe: Probe, services: Sequence[str]) -> list[Finding]:
    findings = []
    for service in services:
        need = NEEDS[service]
        answers = [await probe.may_publish(channel.name) for channel in need.publishes]
        answers += [await probe.may_consume(need.consumes), await probe.may_park(need.consumes)]
        refusals = [answer for answer in answers if answer]
        if refusals:
            mend = f"give it that right in the authorization plugin, or check as another user (--service {service})"
            findings.append(fail(f"rights: {service}", "; ".join(refusals), mend))
        else:
            said = f"may publish to {', '.join(map(str, need.publishes))}, consume {need.consumes} and park"
            findings.append(ok(f"rights: {service}", said))
    return findings


async def examine_broker_clock(probe: Probe) -> list[Finding]:
    return [judge_offset("broker clock", "the broker's clock", await probe.clock_offset_seconds(OWN))]


def judge_offset(check: str, whose: str, seconds: float) -> Finding:
    """Judge how far another clock is ahead of ours."""
    said = f"{whose} is {abs(seconds):.3f} s {'ahead of' if seconds >= 0 else 'behind'} ours"
    if abs(seconds) <= OFFSET_WARN_SECONDS:
        return ok(check, said)
    mend = "let both machines follow one time server (chrony, or the cloud's)"
    return (fail if abs(seconds) > OFFSET_FAIL_SECONDS else warn)(check, said, mend)
