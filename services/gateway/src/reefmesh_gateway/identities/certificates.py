"""Certificates in the gateway's database: which were issued to whom, which were revoked, and when each device came last."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reefmesh.store.port import Store, Write
from reefmesh_gateway.identities.device import instant_of, us_of
from reefmesh_gateway.identities.last_use import use_over_mqtt

_SELECT: Final = (
    "SELECT serial, name, device, created_us, expires_us, revoked_us FROM gateway_certificate"
    " ORDER BY device, created_us, serial"
)
_LAST_USES: Final = "SELECT credential_id, used_us FROM gateway_last_use WHERE credential_id LIKE 'mqtt/%'"
_REFUSED: Final = "SELECT name, reports, last_us, reason FROM gateway_refused ORDER BY name"
_PUT: Final = (
    "INSERT INTO gateway_certificate (serial, name, device, version, created_us, expires_us)"
    " SELECT ?, ?, ?, version, ?, ? FROM gateway_version WHERE id = 1"
)
_REVOKE: Final = (
    "UPDATE gateway_certificate SET revoked_us = ?, version = (SELECT version FROM gateway_version WHERE id = 1)"
    " WHERE serial = ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateLine:
    """``serial``: in lower-case hex. ``name``: the common name, under which the device sends. ``last_used_at``: when the device
    of that name last sent over MQTT, by whichever of its certificates: the broker does not say."""

    serial: str
    name: str
    device: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedLine:
    """How many reports of one name were refused over MQTT since the first, and why the last was."""

    name: str
    reports: int
    last_at: datetime
    reason: str


async def read_certificates(store: Store) -> list[CertificateLine]:
    """Return all of them, in order of their devices, the oldest first. Raises StoreUnavailable."""
    used = {str(credential_id): int(us) for credential_id, us in await store.fetch(_LAST_USES)}
    lines = []
    for serial, name, device, created_us, expires_us, revoked_us in await store.fetch(_SELECT):
        used_us = used.get(use_over_mqtt(name))
        line = CertificateLine(
            serial=serial,
            name=name,
            device=device,
            created_at=instant_of(created_us),
            expires_at=instant_of(expires_us),
            revoked_at=None if revoked_us is None else instant_of(revoked_us),
            last_used_at=None if used_us is None else instant_of(used_us),
        )
        lines.append(line)
    return lines


async def read_refused(store: Store) -> list[RefusedLine]:
    """Return what was refused over MQTT, by name. Raises StoreUnavailable."""
    return [
        RefusedLine(name=name, reports=int(reports), last_at=instant_of(last_us), reason=reason)
        for name, reports, last_us, reason in await store.fetch(_REFUSED)
    ]


def put_certificate(line: CertificateLine) -> Write:
    parameters = (line.serial, line.name, line.device, us_of(line.created_at), us_of(line.expires_at))
    return Write(_PUT, parameters)


def revoke_certificate(serial: str, at: datetime) -> Write:
    return Write(_REVOKE, (us_of(at), serial))
