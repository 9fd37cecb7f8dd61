"""The buoy's clocks: the wall clock, which may be set later, and the time since the boot, which only goes forward."""

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR: Final = 5
"""What adjtimex(2) returns while nothing has set the clock."""
_TIMEX_BYTES: Final = 512
"""More than the kernel's struct timex has."""

ClockSource = Literal["set", "unset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """Both clocks at one instant, in microseconds. ``is_set``: NTP or GPS had set the wall clock."""

    wall_us: int
    since_boot_us: int
    boot_id: str
    is_set: bool

    @property
    def boot_at_us(self) -> int:
        """When this boot began, by the wall clock."""
        return self.wall_us - self.since_boot_us


class BuoyClock(Protocol):
    def read(self) -> ClockReading: ...


class KernelClock:
    """The clocks of Linux. ``trusted``: a real-time clock or a program of the operator's keeps the wall clock right, although
    the kernel does not know it."""

    def __init__(self, *, trusted: bool) -> None:
        self._trusted = trusted
        self._boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
        self._libc = ctypes.CDLL(None, use_errno=True)

    def read(self) -> ClockReading:
        is_set = self._trusted or self._is_synchronised()
        return ClockReading(
            wall_us=time.time_ns() // 1000,
            since_boot_us=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000,
            boot_id=self._boot_id,
            is_set=is_set,
        )

    def _is_synchronised(self) -> bool:
        state = int(self._libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
        return 0 <= state < _TIME_ERROR
