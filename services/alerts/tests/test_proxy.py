"""The proxy of targets over HTTP: which one the setting means, and that requests take it and no other; with real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts.channels import ALERTING, SCORES
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import SCORES_2
from reefmesh.errors import ConfigurationError
from reefmesh.service.assembly import assemble
from reefmesh_alerts.bootstrap import blueprint
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_alerts.targets.apprise import AppriseTarget
from reefmesh_alerts.targets.entries import AppriseEntry, WebhookEntry
from reefmesh_alerts.targets.port import Notice, SendResult, Sent, TryAgain
from reefmesh_alerts.targets.proxy import DIRECT, Proxies, Proxy, proxies_of
from reefmesh_alerts.targets.trial import SUBJECT, trial_alert
from reefmesh_alerts.targets.webhook import WebhookTarget
from reefmesh_components.certificates import ServerCertificate, make_server_certificate
from reefmesh_components.forward_proxy import ForwardProxy, HookReceiver

if TYPE_CHECKING:
    from services.alerts.tests.conftest import Samples

HOST = "hook.reefmesh.invalid"
"""A name that nobody resolves but the proxy."""
PUBLIC = "93.184.216.34"
PASSWORD = "p:ss/w%rd"
WRITTEN = "p%3Ass%2Fw%25rd"


@pytest.fixture
def certificate(tmp_path: Path) -> ServerCertificate:
    return make_server_certificate(tmp_path, names=(HOST, "127.0.0.1"))


@pytest.fixture
async def receiver(certificate: ServerCertificate) -> AsyncIterator[HookReceiver]:
    async with HookReceiver(certificate) as receiver:
        yield receiver


@pytest.fixture
async def proxy(receiver: HookReceiver) -> AsyncIterator[ForwardProxy]:
    async with ForwardProxy(hosts={HOST: receiver.port}, credentials=("mesh", PASSWORD)) as proxy:
        yield proxy


@pytest.fixture
def notice(samples: type[Samples]) -> Notice:
    alert = trial_alert(samples.START + timedelta(hours=1))
    return Notice(idempotency_key="k", recipient="harbour", who="", to=[], digest=False, alerts=[alert], subject=SUBJECT)


def through(proxy: ForwardProxy, *, password: str = WRITTEN) -> Proxy:
    return Proxy(url=SecretStr(f"http://mesh:{password}@127.0.0.1:{proxy.port}"))


async def post(
    notice: Notice,
    certificate: ServerCertificate,
    proxy: Proxy | None,
    *,
    addresses: Sequence[str] | None = (PUBLIC,),
    **changes: Any,
) -> SendResult:
    async def resolver(_: str, __: int) -> Sequence[str]:
        if addresses is None:
            raise OSError("no such name")
        return addresses

    given = {"url": f"https://{HOST}/hook", "ca_file": str(certificate.ca_file), "secret": "a secret of both sides", **changes}
    entry = WebhookEntry.model_validate({"type": "webhook", "name": "hook", "timeout_seconds": 10, **given})
    target = WebhookTarget(entry, resolver=resolver, proxy=proxy)
    try:
        return await target.send(notice, at=notice.alerts[0].raised_at)
    finally:
        await target.close()


async def test_webhook_goes_through_the_proxy_and_its_certificate_is_checked_against_the_name(
    notice: Notice, certificate: ServerCertificate, proxy: ForwardProxy, receiver: HookReceiver
) -> None:
    assert Sent() == await post(notice, certificate, through(proxy))

    assert [f"CONNECT {HOST}:443"] == proxy.asked
    assert 1 == len(receiver.bodies)
    assert isinstance(await post(notice, certificate, through(proxy), ca_file=None), TryAgain)
    assert 1 == len(receiver.bodies)


async def test_proxy_may_be_asked_by_https(notice: Notice, certificate: ServerCertificate, receiver: HookReceiver) -> None:
    async with ForwardProxy(hosts={HOST: receiver.port}, certificate=certificate) as proxy:
        assert Sent() == await post(notice, certificate, Proxy(url=SecretStr(f"https://127.0.0.1:{proxy.port}")))

    assert ([f"CONNECT {HOST}:443"], 1) == (proxy.asked, len(receiver.bodies))


@pytest.mark.parametrize("addresses", [("10.0.0.7",), (PUBLIC, "169.254.169.254"), ("::1",)])
async def test_name_with_an_address_that_is_not_public_is_not_asked_of_the_proxy(
    notice: Notice, certificate: ServerCertificate, proxy: ForwardProxy, addresses: Sequence[str]
) -> None:
    result = await post(notice, certificate, through(proxy), addresses=addresses)

    assert isinstance(result, TryAgain)
    assert "is no public address; set allow_private = true" in result.reason
    assert [] == proxy.asked
    assert Sent() == await post(notice, certificate, through(proxy), addresses=addresses, allow_private=True)


async def test_name_that_only_the_proxy_resolves_needs_to_be_allowed(
    notice: Notice, certificate: ServerCertificate, proxy: ForwardProxy
) -> None:
    result = await post(notice, certificate, through(proxy), addresses=None)

    assert isinstance(result, TryAgain)
    assert "behind a proxy, too, we resolve it" in result.reason
    assert [] == proxy.asked
    assert Sent() == await post(notice, certificate, through(proxy), addresses=None, allow_private=True)


async def test_refusing_proxy_is_named_without_its_password(
    notice: Notice, certificate: ServerCertificate, proxy: ForwardProxy, receiver: HookReceiver
) -> None:
    result = await post(notice, certificate, through(proxy, password="wrongpassword"))

    assert isinstance(result, TryAgain)
    assert f"through the proxy 127.0.0.1:{proxy.port}: ProxyError: 407" in result.reason
    assert "wrongpassword" not in result.reason
    assert [] == receiver.bodies


async def test_messenger_goes_through_the_proxy_and_never_through_one_of_the_environment(
    notice: Notice, certificate: ServerCertificate, proxy: ForwardProxy, receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.ca_file))
    entry = AppriseEntry(
        type="apprise", name="phone", url=SecretStr(f"ntfys://{HOST}/reefs"), allow_private=True, timeout_seconds=5
    )

    async def send(proxies: Proxies) -> SendResult:
        target = AppriseTarget(entry, proxies=proxies)
        try:
            return await target.send(notice, at=notice.alerts[0].raised_at)
        finally:
            await target.close()

    chosen = through(proxy)
    assert Sent() == await send(Proxies(https=chosen, http=chosen))
    assert ([f"CONNECT {HOST}:443"], 1) == (proxy.asked, len(receiver.bodies))

    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, chosen.url.get_secret_value())
    assert isinstance(await send(DIRECT), TryAgain)
    wrong = Proxies(https=through(proxy, password="wrongpassword"))
    refused = await send(wrong)
    assert isinstance(refused, TryAgain)
    assert "wrongpassword" not in refused.reason
    assert ([f"CONNECT {HOST}:443"], 1) == (proxy.asked, len(receiver.bodies))


async def test_webhook_without_the_setting_does_not_use_the_environments_proxy(
    notice: Notice, certificate: ServerCertificate, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", through(proxy).url.get_secret_value())

    result = await post(notice, certificate, DIRECT.to(f"https://{HOST}/hook"), allow_private=True)

    assert isinstance(result, TryAgain)
    assert [] == proxy.asked


ENVIRONMENT = {
    "HTTPS_PROXY": "http://mesh:secret@proxy.example:3128",
    "http_proxy": "other.example:8080",
    "NO_PROXY": "localhost, .inside.example,10.0.0.0/8,*.lab.example,[fd00::1]",
}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://hook.example/x", "proxy.example:3128"),
        ("http://hook.example/x", "other.example:8080"),
        ("https://inside.example", None),
        ("https://a.b.inside.example", None),
        ("https://notinside.example", "proxy.example:3128"),
        ("https://x.lab.example", None),
        ("https://10.1.2.3/hook", None),
        ("https://11.1.2.3/hook", "proxy.example:3128"),
        ("https://[fd00::1]/hook", None),
        ("https://127.0.0.1/hook", None),
        ("https://[::1]/hook", None),
    ],
)
def test_environment_says_which_proxy_and_which_hosts_go_without(url: str, name: str | None) -> None:
    chosen = proxies_of(SecretStr("environment"), ENVIRONMENT).to(url)

    assert name == (None if chosen is None else chosen.name)
    assert "secret" not in repr(chosen)


def test_none_is_the_default_and_the_environment_is_not_read() -> None:
    settings = AlertsSettings(broker_url="embedded://", store_url="sqlite:////x")

    assert DIRECT == proxies_of(settings.proxy, ENVIRONMENT)
    everywhere = proxies_of(SecretStr("http://p.example:1"), {"NO_PROXY": "*"})
    assert "p.example:1" == (everywhere.to("https://hook.example") or Proxy(url=SecretStr(""))).name
    assert everywhere.to("https://localhost:8443/hook") is None


@pytest.mark.parametrize(
    "value", ["socks5://me:hunter2@p.example:1", "proxy", "https://", "http://me:hunter2@p:x", "http://p/x"]
)
def test_setting_that_is_no_proxy_is_one_line_without_the_value(value: str) -> None:
    environment = {"REEFMESH_BROKER_URL": "embedded://", "REEFMESH_STORE_URL": "sqlite:////x", "REEFMESH_ALERTS_PROXY": value}

    with pytest.raises(ConfigurationError) as mistake:
        AlertsSettings.load(environment=environment)

    assert "REEFMESH_ALERTS_PROXY is not valid" in str(mistake.value)
    assert "http://user:password@proxy.example.org:3128" in str(mistake.value)
    assert "hunter2" not in str(mistake.value)


def test_variable_of_the_environment_that_is_no_proxy_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY: write a proxy's address like") as mistake:
        proxies_of(SecretStr("environment"), {"HTTPS_PROXY": "socks5://me:hunter2@p.example:1"})

    assert "hunter2" not in str(mistake.value)


async def test_service_delivers_through_the_proxy_of_its_setting(
    tmp_path: Path, samples: type[Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXY_TEST_HOOK", "a secret of both sides")
    certificate = make_server_certificate(tmp_path, names=(PUBLIC,))
    subscriptions = tmp_path / "subscriptions.toml"
    async with HookReceiver(certificate) as receiver, ForwardProxy(hosts={PUBLIC: receiver.port}) as proxy:
        subscriptions.write_text(
            f'[[target]]\nname = "hook"\ntype = "webhook"\nurl = "https://{PUBLIC}/hook"\nsecret = "env:PROXY_TEST_HOOK"\n'
            f'ca_file = "{certificate.ca_file}"\n[[subscription]]\nname = "harbour"\ntargets = ["hook"]\n'
        )
        clock = ManualClock(samples.START)
        broker = open_broker("embedded://", clock=clock)
        await broker.connect()
        await broker.declare([ALERTING])
        settings = AlertsSettings(
            broker_url="embedded://",
            store_url=f"sqlite:///{tmp_path}/alerts.db",
            subscriptions_file=subscriptions,
            delivery_poll_seconds=0.01,
            proxy=SecretStr(f"http://127.0.0.1:{proxy.port}"),
        )
        stop = asyncio.Event()
        async with assemble(blueprint(settings), settings, broker=broker, clock=clock) as assembled:
            running = asyncio.create_task(assembled.service.run(stop))
            score = samples.score(days=[samples.day(-1, 0), samples.day(0, 3)])
            body = score.model_dump_json().encode()
            message = Envelope(
                event_id="e-1", reef_id=score.reef_id, schema_id=SCORES_2, produced_at=clock.now(), seq=1, body=body
            )
            await broker.publish([Publication(channel=SCORES.name, message=message)])
            async with asyncio.timeout(60):
                while not receiver.bodies:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0)
            stop.set()
            assert await running
        await broker.close()
    assert f"CONNECT {PUBLIC}:443" in proxy.asked
