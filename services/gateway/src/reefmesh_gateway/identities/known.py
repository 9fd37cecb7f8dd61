"""The identities as a running gateway knows them: kept in memory, read anew every two seconds, and believed for eight.

A token or a certificate that was revoked opens nothing ten seconds later, in every process: a gateway that cannot read its
database for that long lets nobody in, rather than somebody whose token may be revoked.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from reefmesh.store.port import Store, StoreUnavailable
from reefmesh_gateway.domain.token import Token
from reefmesh_gateway.identities.device import EnrolledDevice, us_of
from reefmesh_gateway.identities.enrolment import device_of_row

REFRESH_SECONDS: Final = 2.0
REFRESH_UNKNOWN_SECONDS: Final = 1.0
"""How soon after a read a token that was not in it is looked for again: it may be of this moment."""
STALE_SECONDS: Final = 8.0
READ_TIMEOUT_SECONDS: Final = 2.0

_VERSION: Final = "SELECT version FROM gateway_version WHERE id = 1"
_DEVICES: Final = "SELECT device, reef_id, names_json, report_interval_seconds FROM gateway_device WHERE version > ?"
_CREDENTIALS: Final = (
    "SELECT credential_id, device, secret_sha256, expires_us, revoked_us FROM gateway_credential WHERE version > ?"
)
_CERTIFICATES: Final = "SELECT serial, name, device, expires_us, revoked_us FROM gateway_certificate WHERE version > ?"


class Stranger(Enum):
    """Of a sender that an MQTT broker let in: nobody enrolled it here, or none of its certificates is valid any more."""

    UNKNOWN = "unknown"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSender:
    """An authenticated sender: its device, and by which token it was known."""

    device: EnrolledDevice
    credential_id: str


@dataclass(frozen=True, slots=True)
class _Credential:
    device: str
    secret_sha256: str
    expires_us: int | None


@dataclass(frozen=True, slots=True)
class _Certificate:
    device: str
    expires_us: int
    is_revoked: bool


class KnownIdentities:
    """``now`` is a monotonic clock in seconds."""

    def __init__(self, store: Store, *, now: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._now = now
        self._read_at: float | None = None
        self._version = -1
        self._refreshing = asyncio.Lock()
        self._devices: dict[str, EnrolledDevice] = {}
        self._credentials: dict[str, _Credential] = {}
        self._certificates: dict[str, dict[str, _Certificate]] = {}
        """By name, and then by serial."""

    @property
    def devices(self) -> int:
        """How many devices have a token or a certificate that was not revoked."""
        certified = {each.device for named in self._certificates.values() for each in named.values() if not each.is_revoked}
        return len({each.device for each in self._credentials.values()} | certified)

    @property
    def age_seconds(self) -> float | None:
        """Since the database was read; None: it never was."""
        return None if self._read_at is None else self._now() - self._read_at

    async def identify(self, token: Token, *, at: datetime) -> KnownSender | None:
        """Return whose token this is; None: nobody's, or it has ended.

        Raises:
            StoreUnavailable: nothing that can be believed is known, because the database is away.
        """
        await self._refresh(REFRESH_SECONDS)
        if token.credential_id not in self._credentials:
            await self._refresh(REFRESH_UNKNOWN_SECONDS)
        known = self._credentials.get(token.credential_id)
        if known is None or not token.opens(known.secret_sha256):
            return None
        if known.expires_us is not None and us_of(at) >= known.expires_us:
            return None
        device = self._devices.get(known.device)
        return None if device is None else KnownSender(device=device, credential_id=token.credential_id)

    async def device_over_mqtt(self, name: str, *, at: datetime) -> EnrolledDevice | Stranger:
        """Return whose name this is, which an MQTT broker took from a certificate.

        Raises:
            StoreUnavailable: nothing that can be believed is known, because the database is away.
        """
        await self._refresh(REFRESH_SECONDS)
        if name not in self._certificates:
            await self._refresh(REFRESH_UNKNOWN_SECONDS)
        certificates = self._certificates.get(name)
        if certificates is None:
            return Stranger.UNKNOWN
        valid = [each for each in certificates.values() if not each.is_revoked and us_of(at) < each.expires_us]
        device = self._devices.get(valid[0].device) if valid else None
        return Stranger.REVOKED if device is None else device

    async def _refresh(self, after_seconds: float) -> None:
        if self._is_newer_than(after_seconds):
            return
        async with self._refreshing:  # many requests wait for one read
            if self._is_newer_than(after_seconds):
                return
            try:
                async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                    await self._read()
            except (StoreUnavailable, TimeoutError) as error:
                if not self._is_newer_than(STALE_SECONDS):
                    raise StoreUnavailable(f"the identities of devices cannot be read: {error or 'no answer'}") from error

    def _is_newer_than(self, seconds: float) -> bool:
        return self._read_at is not None and self._now() - self._read_at < seconds

    async def _read(self) -> None:
        begun_at = self._now()
        ((version,),) = await self._store.fetch(_VERSION)
        if version != self._version:
            devices = await self._store.fetch(_DEVICES, (self._version,))
            credentials = await self._store.fetch(_CREDENTIALS, (self._version,))
            certificates = await self._store.fetch(_CERTIFICATES, (self._version,))
            for device, reef_id, names_json, interval in devices:
                self._devices[device] = device_of_row(device, reef_id, names_json, interval)
            for credential_id, device, secret_sha256, expires_us, revoked_us in credentials:
                self._credentials.pop(credential_id, None)
                if revoked_us is None:
                    self._credentials[credential_id] = _Credential(device, secret_sha256, expires_us)
            for serial, name, device, expires_us, revoked_us in certificates:
                certificate = _Certificate(device, expires_us, revoked_us is not None)
                self._certificates.setdefault(name, {})[serial] = certificate
            self._version = int(version)
        self._read_at = begun_at
