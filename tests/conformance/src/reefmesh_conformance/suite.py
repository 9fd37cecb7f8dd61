"""All laws together."""

from reefmesh_conformance.drain import DrainLaw
from reefmesh_conformance.durability import DurabilityLaw
from reefmesh_conformance.fan_out import FanOutLaw
from reefmesh_conformance.fidelity import FidelityLaw
from reefmesh_conformance.hand_over import HandOverLaw
from reefmesh_conformance.lifecycle import LifecycleLaw
from reefmesh_conformance.limits import LimitsLaw
from reefmesh_conformance.order import OrderLaw
from reefmesh_conformance.parallel import ParallelLaw
from reefmesh_conformance.parking import ParkingLaw
from reefmesh_conformance.redelivery import RedeliveryLaw
from reefmesh_conformance.senders import SendersLaw
from reefmesh_conformance.settlement import SettlementLaw
from reefmesh_conformance.statistics import StatisticsLaw
from reefmesh_conformance.stress import StressLaw


class BrokerConformance(
    OrderLaw,
    ParallelLaw,
    DurabilityLaw,
    SettlementLaw,
    RedeliveryLaw,
    DrainLaw,
    HandOverLaw,
    ParkingLaw,
    FanOutLaw,
    FidelityLaw,
    LimitsLaw,
    SendersLaw,
    StatisticsLaw,
    LifecycleLaw,
    StressLaw,
):
    """Every law an engine can hold. Override the fixture ``broker_under_test``."""
