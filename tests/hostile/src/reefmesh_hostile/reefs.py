"""The reefs and buoys of the stage: honest people's, one with the attacker's own device, one of which nothing came yet."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Reef:
    """``honest``: the buoy of honest people there; ``imei``: whether it is a Nemo-Pi, which speaks MQTT."""

    id: str
    honest: str
    imei: bool = False
    attacker: str | None = None


ATTACKER_DEVICE: Final = "867740039999999"
"""Registered at ``shared``: what the attacker may speak for."""

VICTIM_DEVICE: Final = "867740030000001"
"""An honest Nemo-Pi: a user of its own at the broker too, so that commands to it can be answered by it alone."""

SHARED: Final = Reef(id="shared", honest="shared-1", attacker=ATTACKER_DEVICE)
VICTIM: Final = Reef(id="victim", honest="victim-1")
BYSTANDER: Final = Reef(id="bystander", honest="bystander-1")
PI: Final = Reef(id="pi", honest=VICTIM_DEVICE, imei=True)
HONEST: Final = (SHARED, VICTIM, BYSTANDER, PI)

UNHEARD: Final = "unheard"
"""A registered reef of which nobody has reported anything yet: no cursor says which number comes next."""

REGISTERED: Final = frozenset({*(reef.id for reef in HONEST), UNHEARD})


def register_file() -> str:
    """Return the register as ``reefmesh reefs load`` takes it."""
    tables = []
    for place, reef_id in enumerate(sorted(REGISTERED)):
        tables.append(
            f'[[reef]]\nid = "{reef_id}"\nname = "Reef {reef_id}"\nlatitude_degrees = -8.0\n'
            f"longitude_degrees = {115 + place}.0\nmmm_celsius = 29.0\n"
        )
    for reef in HONEST:
        tables += [f'[[buoy]]\nid = "{buoy}"\nreef = "{reef.id}"\n' for buoy in (reef.honest, reef.attacker) if buoy]
    tables.append(f'[[buoy]]\nid = "{UNHEARD}-1"\nreef = "{UNHEARD}"\n')
    return "\n".join(tables)
