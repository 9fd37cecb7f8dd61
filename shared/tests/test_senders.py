"""The table of who may speak where: one row for each destination."""

from datetime import UTC, datetime, timedelta

import pytest

from reefmesh.contracts import channels
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import EXCLUSION_1, TELEMETRY_1
from reefmesh.contracts.senders import REPLAY_OF, UNAUTHENTICATED, BrokerUsers, device_senders, senders_to
from reefmesh.errors import ConfigurationError
from reefmesh.settings import ServiceSettings

SHIPPED = BrokerUsers()
GIVEN = {"REEFMESH_BROKER_URL": "stomp://scoring@broker", "REEFMESH_STORE_URL": "sqlite://"}


def settings(**variables: str) -> ServiceSettings:
    return ServiceSettings.load(environment=GIVEN | variables)


@pytest.mark.parametrize(
    ("channel", "speakers"),
    [
        (channels.TELEMETRY, {"publisher", "ingest", "operator", "gateway"}),
        (channels.READINGS, {"ingest"}),
        (channels.QUARANTINE, {"ingest"}),
        (channels.SCORES, {"scoring"}),
        (channels.ALERTS, {"alerts"}),
        (Channel("nobody.publishes.here", numbered=False), set()),
    ],
)
def test_channel_belongs_to_those_who_publish_to_it(channel: Channel, speakers: set[str]) -> None:
    """Law 12; nobody speaks on a channel without a publisher, and nobody without a login speaks on an engine with logins."""
    found = senders_to(Subscription("reader", channel), SHIPPED)
    assert (speakers, {"operator", "reader"}) == (set(found.speakers), set(found.replayers))
    assert UNAUTHENTICATED not in found.speakers | found.replayers


def test_users_of_other_names_are_set_and_the_shipped_names_mean_nothing_then() -> None:
    users = settings(
        REEFMESH_BROKER_USERS="ingest=reef-in,operator=admin,ingest=reef-in-2,buoy=nemo",
        REEFMESH_TELEMETRY_SENDERS="gateway,partner",
    ).users_of_broker(["scoring"])
    assert {"reef-in", "reef-in-2"} == senders_to(channels.SCORING, users).speakers
    assert {"admin", "scoring"} == senders_to(channels.SCORING, users).replayers
    assert {"gateway", "partner", "admin", "reef-in", "reef-in-2"} == senders_to(channels.INGEST, users).speakers
    assert {"nemo", "admin"} == device_senders(users)


def test_devices_and_direct_publishers_are_believed_each_where_they_come_in() -> None:
    """Law 12: the bridge publishes for devices, so telemetry in their user's name on the channel itself is forged."""
    assert {"buoy", "operator"} == device_senders(SHIPPED)
    assert "buoy" not in senders_to(channels.INGEST, SHIPPED).speakers
    assert "buoy" not in senders_to(channels.INGEST, SHIPPED).replayers


def test_exclusions_are_believed_of_operators_and_of_ingest_alone() -> None:
    """Whoever may send telemetry of a device must not take values of another out of the scores."""
    users = BrokerUsers(renamed={"operator": frozenset({"admin"})}, telemetry=frozenset({"publisher", "gateway"}))
    senders = senders_to(channels.INGEST, users)
    exclusion, telemetry = message(EXCLUSION_1), message(TELEMETRY_1)
    assert {"admin", "ingest"} == {user for user in (*senders.speakers, "buoy", None) if senders.speaks(user, exclusion)}
    assert {"admin", "gateway", "ingest", "publisher"} == {user for user in senders.speakers if senders.speaks(user, telemetry)}


def test_exclusion_is_sent_again_from_parking_and_never_from_quarantine() -> None:
    """An older ingest keeps it in quarantine, whoever sent it; an operator who replays that must not make it true."""
    senders = senders_to(channels.INGEST, SHIPPED)
    parked, quarantined = message(EXCLUSION_1, replayed="true"), message(EXCLUSION_1, **{REPLAY_OF: "another"})
    assert [False, False] == [senders.speaks("operator", each) for each in (parked, quarantined)]
    assert [True, False] == [senders.may_replay("operator", each) for each in (parked, quarantined)]
    assert not senders.may_replay("operator", message(EXCLUSION_1, replayed="true", **{REPLAY_OF: "another"}))
    assert not senders.may_replay("publisher", parked)


def message(schema_id: str, **headers: str) -> Envelope:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Envelope(event_id="e", reef_id="a", schema_id=schema_id, produced_at=at, body=b"", headers=headers)


def test_own_login_has_the_own_role_alone() -> None:
    users = settings(REEFMESH_BROKER_URL="stomp://eu%2Dscoring@broker").users_of_broker(["scoring"])
    assert {"scoring", "eu-scoring"} == senders_to(channels.ALERTING, users).speakers
    assert {"ingest"} == senders_to(channels.SCORING, users).speakers


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REEFMESH_BROKER_USERS", "ingest"),
        ("REEFMESH_BROKER_USERS", "ingest=a,,b=c"),
        ("REEFMESH_TELEMETRY_SENDERS", ""),
        ("REEFMESH_TELEMETRY_SENDERS", "buoy, gateway"),
        ("REEFMESH_ACCEPT_UNSTAMPED_UNTIL", "soon"),
        ("REEFMESH_ACCEPT_UNSTAMPED_UNTIL", "2026-12-24T00:00:00"),
        ("REEFMESH_ACCEPT_UNSTAMPED_UNTIL", "9999-12-24T00:00:00Z"),
    ],
)
def test_wrong_setting_is_one_line_that_names_it(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable}.*set it to [^\n]+$"):
        settings(**{variable: value})


def test_messages_without_a_sender_are_believed_until_the_instant_that_is_set() -> None:
    at = datetime.now(UTC) + timedelta(days=29)
    until = settings(REEFMESH_ACCEPT_UNSTAMPED_UNTIL=at.isoformat()).accept_unstamped_until
    senders = senders_to(channels.SCORING, SHIPPED, unstamped_until=until)
    assert senders.accepts_unstamped(at - timedelta(seconds=1))
    assert not senders.accepts_unstamped(at)
    assert not senders_to(channels.SCORING, SHIPPED).accepts_unstamped(at)
