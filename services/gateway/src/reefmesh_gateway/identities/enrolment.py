"""What an operator does with devices: enroll, certify, list, rotate, revoke. Running gateways follow within seconds."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reefmesh.errors import ConfigurationError
from reefmesh.store.port import Store, Write
from reefmesh_gateway.domain.token import Token
from reefmesh_gateway.identities.certificates import (
    CertificateLine,
    RefusedLine,
    put_certificate,
    read_certificates,
    read_refused,
    revoke_certificate,
)
from reefmesh_gateway.identities.device import EnrolledDevice, instant_of, us_of

CREDENTIALS_LIMIT: Final = 4
"""Valid tokens, and valid certificates, of one device at a time: two for a rotation, and room for one that was begun again."""

_BUMP: Final = "UPDATE gateway_version SET version = version + 1 WHERE id = 1"
_PUT_DEVICE: Final = (
    "INSERT INTO gateway_device (device, version, reef_id, names_json, report_interval_seconds, enrolled_us)"
    " SELECT ?, version, ?, ?, ?, ? FROM gateway_version WHERE id = 1"
    " ON CONFLICT (device) DO UPDATE SET version = excluded.version, reef_id = excluded.reef_id,"
    " names_json = excluded.names_json, report_interval_seconds = excluded.report_interval_seconds"
)
_PUT_CREDENTIAL: Final = (
    "INSERT INTO gateway_credential (credential_id, device, version, secret_sha256, created_us)"
    " SELECT ?, ?, version, ?, ? FROM gateway_version WHERE id = 1"
)
_EXPIRE: Final = (
    "UPDATE gateway_credential SET expires_us = ?, version = (SELECT version FROM gateway_version WHERE id = 1)"
    " WHERE credential_id = ?"
)
_REVOKE: Final = (
    "UPDATE gateway_credential SET revoked_us = ?, version = (SELECT version FROM gateway_version WHERE id = 1)"
    " WHERE credential_id = ?"
)
_DEVICES: Final = "SELECT device, reef_id, names_json, report_interval_seconds FROM gateway_device ORDER BY device"
_CREDENTIALS: Final = (
    "SELECT c.credential_id, c.device, c.created_us, c.expires_us, c.revoked_us, u.used_us"
    " FROM gateway_credential AS c LEFT JOIN gateway_last_use AS u ON u.credential_id = c.credential_id"
    " ORDER BY c.device, c.created_us, c.credential_id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialLine:
    """One token of one device, without its secret."""

    credential_id: str
    device: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLine:
    """One enrolled device with all of its tokens and certificates, the oldest first."""

    device: EnrolledDevice
    credentials: Sequence[CredentialLine]
    certificates: Sequence[CertificateLine] = ()

    @property
    def last_used_at(self) -> datetime | None:
        uses = [*(each.last_used_at for each in self.credentials), *(each.last_used_at for each in self.certificates)]
        return max((each for each in uses if each is not None), default=None)


class Enrolment:
    """The operator's side of the gateway's database. Every method may raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def devices(self) -> Sequence[DeviceLine]:
        """Return every device that was ever enrolled, in order of its name."""
        credentials: dict[str, list[CredentialLine]] = {}
        for credential_id, device, created_us, expires_us, revoked_us, used_us in await self._store.fetch(_CREDENTIALS):
            line = CredentialLine(
                credential_id=credential_id,
                device=device,
                created_at=instant_of(created_us),
                expires_at=None if expires_us is None else instant_of(expires_us),
                revoked_at=None if revoked_us is None else instant_of(revoked_us),
                last_used_at=None if used_us is None else instant_of(used_us),
            )
            credentials.setdefault(device, []).append(line)
        certificates: dict[str, list[CertificateLine]] = {}
        for each in await read_certificates(self._store):
            certificates.setdefault(each.device, []).append(each)
        return [
            DeviceLine(
                device=device_of_row(device, reef_id, names, interval),
                credentials=credentials.get(device, ()),
                certificates=certificates.get(device, ()),
            )
            for device, reef_id, names, interval in await self._store.fetch(_DEVICES)
        ]

    async def refused(self) -> Sequence[RefusedLine]:
        """Return what was refused over MQTT, where no answer could say so."""
        return await read_refused(self._store)

    async def enroll(self, device: EnrolledDevice, *, now: datetime) -> Token:
        """Give a device its first token, or one after all of its tokens ended.

        Raises:
            ConfigurationError: it has a valid token, or another device has one of its names.
        """
        known = await self._known(device)
        if known is not None and any(each.is_valid(now) for each in known.credentials):
            raise ConfigurationError(f"{device.device} is enrolled already; 'reefmesh devices rotate' gives it another token")
        return await self._issue(device, now, ends=[])

    async def certify(self, device: EnrolledDevice, certificate: CertificateLine, *, now: datetime) -> None:
        """Note a certificate that was issued to a device, beside what it has already.

        Raises:
            ConfigurationError: another device has one of its names, or it has too many valid certificates.
        """
        known = await self._known(device)
        valid = [] if known is None else [each for each in known.certificates if each.is_valid(now)]
        if len(valid) >= CREDENTIALS_LIMIT:
            detail = f"revoke one with 'reefmesh devices revoke {device.device} --certificate SERIAL'"
            raise ConfigurationError(f"{device.device} has {len(valid)} valid certificates; {detail}")
        await self._write([_put(device, us_of(now)), put_certificate(certificate)])

    async def revoke_certificates(self, device: str, *, serial: str | None = None, now: datetime) -> Sequence[str]:
        """End one valid certificate of a device, or all of them, at once; return which.

        Raises:
            ConfigurationError: the device is not enrolled, or has no such certificate.
        """
        line = await self._line(device)
        if serial is not None and serial not in {each.serial for each in line.certificates}:
            detail = "'reefmesh devices list' shows those that it has"
            raise ConfigurationError(f"{device} has no certificate {serial}; {detail}")
        ended = [each.serial for each in line.certificates if each.revoked_at is None and serial in (None, each.serial)]
        if ended:
            await self._write([revoke_certificate(each, now) for each in ended])
        return ended

    async def rotate(self, device: str, *, overlap: timedelta, now: datetime) -> tuple[Token, datetime]:
        """Give a device a further token; return it, and until when its tokens before it stay valid.

        Raises:
            ConfigurationError: the device is not enrolled, has no valid token, or has too many.
        """
        line = await self._line(device)
        valid = [each for each in line.credentials if each.is_valid(now)]
        if not valid:
            raise ConfigurationError(f"{device} has no valid token; 'reefmesh devices enroll {device}' gives it one")
        if len(valid) >= CREDENTIALS_LIMIT:
            raise ConfigurationError(
                f"{device} has {len(valid)} valid tokens; revoke one with 'reefmesh devices revoke {device} --token ID'"
            )
        until = now + overlap
        ends = [(each.credential_id, until) for each in valid if each.expires_at is None or each.expires_at > until]
        return await self._issue(line.device, now, ends=ends), until

    async def revoke(self, device: str, *, credential_id: str | None = None, now: datetime) -> Sequence[str]:
        """End one valid token of a device, or all of them, at once; return which.

        Raises:
            ConfigurationError: the device is not enrolled, or has no such token.
        """
        line = await self._line(device)
        valid = [each.credential_id for each in line.credentials if each.is_valid(now)]
        if credential_id is not None and credential_id not in {each.credential_id for each in line.credentials}:
            raise ConfigurationError(f"{device} has no token {credential_id}; 'reefmesh devices list' shows those that it has")
        ended = [each for each in valid if credential_id in (None, each)]
        if ended:
            await self._write([Write(_REVOKE, (us_of(now), each)) for each in ended])
        return ended

    async def follow(self, devices: Iterable[EnrolledDevice]) -> Sequence[str]:
        """Take over what the register says of devices that are enrolled; return which of them changed."""
        known = {line.device.device: line.device for line in await self.devices()}
        by_name = {name: device for device in devices for name in device.names}
        changed = []
        for name, before in known.items():
            after = by_name.get(name)
            if after is None:
                continue
            now = EnrolledDevice(
                device=name,
                reef_id=after.reef_id,
                names=after.names,
                report_interval_seconds=after.report_interval_seconds,
            )
            if now != before:
                changed.append(now)
        if changed:
            await self._write([_put(device, 0) for device in changed])
        return [device.device for device in changed]

    async def _known(self, device: EnrolledDevice) -> DeviceLine | None:
        """Return what there is of a device. Raises ConfigurationError: another one has one of its names."""
        known = None
        for line in await self.devices():
            name = line.device.device
            if name == device.device:
                known = line
            elif line.device.names & device.names:
                raise ConfigurationError(f"{device.device} is enrolled already, as {name}; rotate or revoke that one")
        return known

    async def _line(self, device: str) -> DeviceLine:
        for line in await self.devices():
            if device in line.device.names:
                return line
        raise ConfigurationError(f"{device} is not enrolled; 'reefmesh devices list' shows those that are")

    async def _issue(self, device: EnrolledDevice, now: datetime, *, ends: Sequence[tuple[str, datetime]]) -> Token:
        token = Token.new()
        await self._write(
            [
                _put(device, us_of(now)),
                Write(_PUT_CREDENTIAL, (token.credential_id, device.device, token.secret_sha256, us_of(now))),
                *(Write(_EXPIRE, (us_of(at), credential_id)) for credential_id, at in ends),
            ]
        )
        return token

    async def _write(self, writes: Sequence[Write]) -> None:
        await self._store.write([Write(_BUMP, ()), *writes])


def device_of_row(device: str, reef_id: str, names_json: str, report_interval_seconds: int) -> EnrolledDevice:
    return EnrolledDevice(
        device=device,
        reef_id=reef_id,
        names=frozenset(json.loads(names_json)),
        report_interval_seconds=report_interval_seconds,
    )


def _put(device: EnrolledDevice, enrolled_us: int) -> Write:
    """``enrolled_us`` counts at the first time alone."""
    names_json = json.dumps(sorted(device.names))
    return Write(_PUT_DEVICE, (device.device, device.reef_id, names_json, device.report_interval_seconds, enrolled_us))
