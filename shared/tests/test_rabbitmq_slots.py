"""The slot of a reef is the same for ever, and every slot belongs to one shard."""

from hypothesis import given
from hypothesis import strategies as st

from reefmesh.broker.rabbitmq.slots import SLOTS, ShardSlots, routing_key_of, slot_of
from reefmesh.broker.rabbitmq.topology import Topology, shard_queue, subscription_exchange
from reefmesh.broker.rabbitmq.url import SHARDS_LIMIT
from reefmesh.contracts.channels import SCORING

REEFS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
SHARDS = st.integers(1, SHARDS_LIMIT)


def test_routing_key_is_what_sha256sum_says() -> None:
    """Programs of others compute it too; ``printf %s menjangan | sha256sum`` begins with these digits."""
    keys = ["25.menjangan", "c8.coral-bay.1", "d7.unregistered"]
    assert keys == [routing_key_of(key.partition(".")[2]) for key in keys]


@given(reef_id=REEFS, shards=SHARDS)
def test_reef_belongs_to_one_shard_and_is_misplaced_in_every_other(reef_id: str, shards: int) -> None:
    """Law 1."""
    key = routing_key_of(reef_id)
    right = [index for index in range(shards) if ShardSlots(index=index, shards=shards).misplacement_of(reef_id, key) is None]
    assert [ShardSlots.of(reef_id, shards=shards).index] == right


@given(shards=SHARDS)
def test_each_slot_is_bound_to_one_shard_and_each_shard_has_some(shards: int) -> None:
    keys = [ShardSlots(index=index, shards=shards).binding_keys for index in range(shards)]
    assert sorted(key for own in keys for key in own) == [f"{slot:02x}.#" for slot in range(SLOTS)]
    assert {SLOTS // shards, -(-SLOTS // shards)} >= {len(own) for own in keys}


@given(reef_id=REEFS, other=REEFS)
def test_key_of_another_reef_is_misplaced_in_the_reefs_own_shard(reef_id: str, other: str) -> None:
    own = ShardSlots.of(reef_id, shards=4)
    assert (reef_id == other) == (own.misplacement_of(reef_id, routing_key_of(other)) is None)


@given(reef_id=REEFS, shards=SHARDS)
def test_topology_leads_a_reef_to_its_shard(reef_id: str, shards: int) -> None:
    slot = f"{slot_of(reef_id):02x}.#"
    bindings = Topology.of(SCORING, shards=shards).bindings
    led = [each.destination for each in bindings if each.source == subscription_exchange(SCORING) and each.key == slot]
    assert [shard_queue(SCORING, ShardSlots.of(reef_id, shards=shards).index)] == led
