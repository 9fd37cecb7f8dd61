"""The command ``reefmesh-buoy``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from reefmesh_buoy.agent import BuoyAgent
from reefmesh_buoy.bootstrap import make_source, make_spool, make_transport
from reefmesh_buoy.clock import KernelClock
from reefmesh_buoy.failures import SpoolLost, WrongSetting
from reefmesh_buoy.health import health_of
from reefmesh_buoy.journal_line import say
from reefmesh_buoy.notify import ServiceManager
from reefmesh_buoy.sender import SpoolSender
from reefmesh_buoy.settings import DEFAULT_FILE, AgentSettings, read_settings
from reefmesh_buoy.simulate import print_measurements

EXIT_SPOOL: Final = 74
EXIT_SETTINGS: Final = 78
EXAMPLES: Final = """examples:
  reefmesh-buoy check --settings agent.toml
  reefmesh-buoy run --settings agent.toml
  reefmesh-buoy status --json
  reefmesh-buoy simulate --interval 1 --count 10
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.task == "simulate":
            print_measurements(options.seed, interval_seconds=options.interval, count=options.count)
            return 0
        settings = read_settings(options.settings)
        return {"run": _run, "check": _check, "status": _status}[options.task](settings, options)
    except WrongSetting as error:
        say("3", f"reefmesh-buoy: {error}")
        return EXIT_SETTINGS
    except SpoolLost as error:
        say("3", f"reefmesh-buoy: the spool cannot be used: {error}")
        return EXIT_SPOOL
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _run(settings: AgentSettings, _: argparse.Namespace) -> int:
    transport = make_transport(settings)
    clock = KernelClock(trusted=settings.is_clock_trusted)
    spool = make_spool(settings)
    sender = SpoolSender(spool, transport, clock, interval_seconds=settings.interval_seconds)
    agent = BuoyAgent(spool, [make_source(each) for each in settings.sources], sender, clock)
    agent.run(ServiceManager())
    spool.close()
    return 0


def _check(settings: AgentSettings, _: argparse.Namespace) -> int:
    make_transport(settings).close()
    sys.stdout.write(f"{settings.device}: {len(settings.sources)} sources, sends by {settings.send.transport}\n")
    return 0


def _status(settings: AgentSettings, options: argparse.Namespace) -> int:
    if not settings.spool.exists():
        raise SpoolLost(f"{settings.spool} is not there; the agent has not run yet")
    spool = make_spool(settings)
    health = {"device": settings.device, **health_of(spool, KernelClock(trusted=settings.is_clock_trusted).read())}
    spool.close()
    lines = [json.dumps(health)] if options.json else [f"{name.replace('_', ' ')}: {value}" for name, value in health.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reefmesh-buoy",
        description="The agent on a buoy: keeps measurements on its disk and sends them until they are confirmed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for name, words in (
        ("run", "take measurements and send them, until SIGTERM or Ctrl-C"),
        ("check", "read the settings and say what is wrong with them"),
        ("status", "show the spool, the clock and the last contact; the agent may run meanwhile"),
    ):
        task = tasks.add_parser(name, help=words, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
        task.add_argument("--settings", type=Path, default=DEFAULT_FILE, help=f"the settings file ({DEFAULT_FILE})")
        if name == "status":
            task.add_argument("--json", action="store_true", help="one JSON document")
    simulate = tasks.add_parser(
        "simulate", help="print measurements of simulated sensors", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    simulate.add_argument("--interval", type=float, default=1800.0, help="seconds between two measurements (1800)")
    simulate.add_argument("--count", type=int, help="so many measurements, then end")
    simulate.add_argument("--seed", type=int, default=1, help="the same seed gives the same measurements (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
