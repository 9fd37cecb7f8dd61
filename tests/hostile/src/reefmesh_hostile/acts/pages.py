"""Row 13: the pages of a service, held open by one peer that never ends a request; others and the container's check go on."""

import urllib.error
import urllib.request
from typing import Final

from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.attacked_broker import SERVICES
from reefmesh_hostile.attacker import half_open_requests

HALF_OPEN: Final = 70
PATIENCE_SECONDS: Final = 5.0


def _half_open(scene: Scene) -> Deed:
    findings = []
    for service in SERVICES:
        process = scene.stage.process(service)
        with half_open_requests(process.port, HALF_OPEN):
            for page in ("/health/live", "/metrics"):
                if (answer := _status(f"{process.url}{page}")) != "200":
                    text = f"{service} answers {answer} to {page} while {HALF_OPEN} requests are half open"
                    findings.append(Finding(kind="page", text=text))
            if code := process.check_health():
                text = f"the container's check of {service} ends with {code} while {HALF_OPEN} requests are half open"
                findings.append(Finding(kind="page", text=text))
    return Deed(findings=findings)


def _status(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - an address of ours
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return f"nothing ({error})"


ACTS: Final = (
    Act(
        name="70-half-open-requests", row=13, what=f"{HALF_OPEN} HTTP requests to each service that never end", does=_half_open
    ),
)
