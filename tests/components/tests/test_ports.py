"""Test processes beside each other never choose the same port."""

import socket
import subprocess
import sys

from reefmesh_components.ports import HOST, free_port

CHOOSE = "from reefmesh_components.ports import free_port; print(*(free_port() for _ in range(150)), flush=True); input()"


def test_processes_beside_each_other_choose_different_ports() -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", CHOOSE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    chosen = [process.stdout.readline().split() for process in started if process.stdout is not None]
    for process in started:
        process.communicate("\n")
    own = {str(free_port()) for _ in range(150)}
    assert [len(set(ports)) for ports in chosen] == [150, 150]
    assert not set(chosen[0]) & set(chosen[1])
    assert len(own) == 150


def test_port_that_somebody_listens_on_is_not_chosen() -> None:
    following = free_port() + 1
    with socket.create_server((HOST, following)):
        assert free_port() != following
