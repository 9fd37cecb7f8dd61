"""The limits of the doors: of an address for requests that are refused, of a device for all of its own.

Requests of a device that showed its token never count against an address, nor does anybody's failed attempt in a device's name
count against that device: nobody can lock an honest device out.
"""

import time
from collections.abc import Callable
from typing import Final

from reefmesh_gateway.domain.rate import SlidingCounts
from reefmesh_gateway.identities.device import EnrolledDevice

WINDOW_SECONDS: Final = 300.0
DAY_SECONDS: Final = 86_400.0
REQUESTS_MINIMUM: Final = 30
"""Requests in five minutes that every device has: for its batches after a time without a link."""
REQUESTS_PER_INTERVAL: Final = 10


def requests_limit(report_interval_seconds: int) -> int:
    """Return how many requests a device may make in five minutes: ten for each report that is due in that time, 30 at least."""
    return max(REQUESTS_MINIMUM, int(REQUESTS_PER_INTERVAL * WINDOW_SECONDS / max(1, report_interval_seconds)))


class DoorLimits:
    """Each process counts for itself. ``now`` is a monotonic clock in seconds."""

    def __init__(self, *, address_requests: int, bytes_a_day: int, now: Callable[[], float] = time.monotonic) -> None:
        self._address_requests = address_requests
        self._device_bytes_a_day = bytes_a_day
        self._now = now
        self._addresses = SlidingCounts(window_seconds=WINDOW_SECONDS)
        self._requests = SlidingCounts(window_seconds=WINDOW_SECONDS)
        self._bytes = SlidingCounts(window_seconds=DAY_SECONDS)

    @property
    def addresses(self) -> int:
        """How many addresses are counted now."""
        return len(self._addresses)

    def refuse(self, address: str) -> int:
        """Count a refused request of an address; return 0, or after how many seconds the next one is answered in full."""
        return self._addresses.add(address, limit=self._address_requests, now_seconds=self._now())

    def request(self, device: EnrolledDevice) -> int:
        """Count a request of a device; return 0, or after how many seconds it may come again."""
        limit = requests_limit(device.report_interval_seconds)
        return self._requests.spend(device.device, 1, limit=limit, now_seconds=self._now())

    def content(self, device: EnrolledDevice, length_bytes: int) -> int:
        """Count what a device sent, unpacked; return as ``request``."""
        return self._bytes.spend(device.device, length_bytes, limit=self._device_bytes_a_day, now_seconds=self._now())
