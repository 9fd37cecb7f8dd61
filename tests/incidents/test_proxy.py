"""A network whose machines reach the world through a proxy alone: the trial message of a target, as an operator sends it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from reefmesh_components.certificates import ServerCertificate, make_server_certificate
from reefmesh_components.forward_proxy import ForwardProxy, HookReceiver
from reefmesh_components.reefmesh_command import Ended, ReefmeshCommand

PUBLIC = "192.88.99.1"
"""A public address that nothing answers at; the proxy takes it for the receiver's."""


@pytest.fixture
def certificate(tmp_path: Path) -> ServerCertificate:
    return make_server_certificate(tmp_path, names=(PUBLIC,))


@pytest.fixture
async def receiver(certificate: ServerCertificate) -> AsyncIterator[HookReceiver]:
    async with HookReceiver(certificate) as receiver:
        yield receiver


@pytest.fixture
async def proxy(receiver: HookReceiver) -> AsyncIterator[ForwardProxy]:
    async with ForwardProxy(hosts={PUBLIC: receiver.port}, credentials=("mesh", "wave-and-wind")) as proxy:
        yield proxy


@pytest.mark.row(10)
@pytest.mark.incidents
async def test_webhook_takes_the_proxy_where_the_setting_says_so_and_only_there(
    tmp_path: Path,
    certificate: ServerCertificate,
    proxy: ForwardProxy,
    receiver: HookReceiver,
    measured: Callable[[str], None],
) -> None:
    address = f"http://mesh:wave-and-wind@127.0.0.1:{proxy.port}"
    subscriptions = tmp_path / "subscriptions.toml"
    subscriptions.write_text(
        f'[[target]]\nname = "hook"\ntype = "webhook"\nurl = "https://{PUBLIC}/hook"\nca_file = "{certificate.ca_file}"\n'
        'secret = "env:HOOK_SECRET"\ntimeout_seconds = 3\n'
        '[[subscription]]\nname = "harbour"\ntargets = ["hook"]\n'
    )
    environment = {"HOOK_SECRET": "a secret of both sides", "HTTPS_PROXY": address, "https_proxy": address}
    command = ReefmeshCommand(home=tmp_path / "home", environment=environment)

    async def trial(setting: str | None) -> tuple[Ended, int]:
        before = len(proxy.asked)
        more = {} if setting is None else {"REEFMESH_ALERTS_PROXY": setting}
        ended = await asyncio.to_thread(command, "alerts", "test", "hook", "--file", subscriptions, environment=more)
        return ended, len(proxy.asked) - before

    unset, unset_asked = await trial(None)
    by_environment, environment_asked = await trial("environment")
    wrong, wrong_asked = await trial(address.replace("wave-and-wind", "no-wind-at-all"))

    assert ((1, 0), (0, 1), (1, 0)) == (
        (unset.code, unset_asked),
        (by_environment.code, environment_asked),
        (wrong.code, wrong_asked),
    )
    assert 1 == len(receiver.bodies)
    assert f"through the proxy 127.0.0.1:{proxy.port}: ProxyError: 407" in wrong.out
    assert "wind" not in "".join(each.out + each.err for each in (unset, by_environment, wrong))
    measured(
        "with HTTPS_PROXY in the environment and no setting the proxy was not asked;"
        f" with REEFMESH_ALERTS_PROXY=environment the message came through it ({len(receiver.bodies)} of 1);"
        " with a wrong password in its address the reason is the proxy's 407 with its name, and no password was shown"
    )
