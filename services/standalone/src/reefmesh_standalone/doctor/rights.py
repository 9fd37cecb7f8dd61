"""Checks that this user may publish and consume as the services do, and that the broker's clock agrees with ours."""

from collections.abc import Sequence
from typing import Final

from reefmesh.broker.probe import Probe
from reefmesh.contracts.services import ServiceEntry
from reefmesh_standalone.doctor.channel import CHANNEL, OWN
from reefmesh_standalone.doctor.finding import Finding, fail, ok, warn

OFFSET_WARN_SECONDS: Final = 2.0
OFFSET_FAIL_SECONDS: Final = 60.0


async def examine_own_rights(probe: Probe) -> list[Finding]:
    """Check the rights on the doctor's own channel: all other checks need them."""
    refusals = [refusal for refusal in (await probe.may_publish(CHANNEL), await probe.may_consume(OWN)) if refusal]
    if refusals:
        return [fail("own channel", refusals[0], f"give this user read, write and admin on {CHANNEL}, or use the operator's")]
    return [ok("own channel", f"this user may publish to {CHANNEL} and consume from it")]


async def examine_rights(probe: Probe, services: Sequence[ServiceEntry]) -> list[Finding]:
    """Check that this user may do what each service does: publish, consume, and park on its own subscriptions."""
    findings = []
    for service in services:
        answers = [await probe.may_publish(channel.name) for channel in service.publishes]
        for subscription in service.subscriptions:
            answers += [await probe.may_consume(subscription), await probe.may_park(subscription)]
        refusals = [answer for answer in answers if answer]
        if refusals:
            mend = f"give it that right in the broker's configuration (deploy/), or check as another user (--service {service})"
            findings.append(fail(f"rights: {service}", "; ".join(refusals), mend))
        else:
            findings.append(ok(f"rights: {service}", _rights_of(service)))
    return findings


def _rights_of(service: ServiceEntry) -> str:
    rights = []
    if service.publishes:
        rights.append(f"publish to {', '.join(map(str, service.publishes))}")
    if service.subscriptions:
        rights.append(f"consume {', '.join(map(str, service.subscriptions))} and park")
    return f"may {', '.join(rights)}"


async def examine_broker_clock(probe: Probe) -> list[Finding]:
    return [judge_offset("broker clock", "the broker's clock", await probe.clock_offset_seconds(OWN))]


def judge_offset(check: str, whose: str, seconds: float) -> Finding:
    """Judge how far another clock is ahead of ours."""
    said = f"{whose} is {abs(seconds):.3f} s {'ahead of' if seconds >= 0 else 'behind'} ours"
    if abs(seconds) <= OFFSET_WARN_SECONDS:
        return ok(check, said)
    mend = "let both machines follow one time server (chrony, or the cloud's)"
    return (fail if abs(seconds) > OFFSET_FAIL_SECONDS else warn)(check, said, mend)
