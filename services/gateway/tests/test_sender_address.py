"""Under which address a request is counted."""

import pytest

from reefmesh_gateway.domain.sender_address import networks_of, sender_address

PROXIES = networks_of("10.0.0.0/8, ::1")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("198.51.100.1", "", "198.51.100.1"),
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),  # no proxy of ours: anybody can write that header
        ("10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "203.0.113.7, 203.0.113.9", "203.0.113.9"),  # the sender wrote the first
        ("10.1.2.3", "203.0.113.9, 10.9.9.9", "203.0.113.9"),  # two proxies of ours
        ("10.1.2.3", "nonsense", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9, nonsense, 10.9.9.9", "10.9.9.9"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.1", "", "198.51.100.1"),
        ("::1", "2001:db8:1:2::7", "2001:db8:1:2::/64"),
        (None, "203.0.113.9", "unknown"),
        ("a socket", "", "unknown"),
    ],
)
def test_address_is_the_nearest_one_that_no_trusted_proxy_has(peer: str | None, forwarded_for: str, address: str) -> None:
    assert address == sender_address(peer, forwarded_for, PROXIES)


def test_chain_of_any_length_is_read_in_bounded_steps() -> None:
    chain = ", ".join(["203.0.113.9", *["10.0.0.1"] * 100_000])
    assert "10.0.0.1" == sender_address("10.1.2.3", chain, PROXIES)
