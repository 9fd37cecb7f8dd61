"""Law 8: a poison message is parked with its reason; parked messages can be listed, shown and replayed in order. Law 14: what a
quota binds fills no parking, and everything beyond it is counted; what is old leaves it, counted."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from reefmesh.broker.parking_quota import SAMPLE_BYTES, ParkingQuota
from reefmesh.broker.port import PARKING_FOLDED, Broker, BrokerEvent, Consumer, Delivery, Publication
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.senders import OPERATOR, UNAUTHENTICATED
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage, number_of


class ParkingLaw(Law):
    async def _park(self, stage: Stage, client: Broker, subscription: Subscription, counts: dict[str, int]) -> list[Delivery]:
        """Publish ``counts`` and park them all; returns the deliveries in the order of parking."""
        await stage.publish(client, counts)
        parked = []
        async with stage.consuming(client, subscription) as consumer:
            lane = consumer.lanes[0]
            for index in range(sum(counts.values())):
                delivery = await stage.receive(lane)
                await lane.park(delivery, reason="bad-json", detail=f"Zeile {index}: über", attempts=index + 1)
                parked.append(delivery)
        return parked

    async def test_parked_next_of_its_reef_flows_and_the_parked_is_listed_in_full(self, stage: Stage) -> None:
        """Parking acknowledges: the reef goes on, the message is set aside with everything a person needs."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 2})
        async with stage.consuming(client, subscription) as consumer:
            lane = consumer.lanes[0]
            await lane.park(await stage.receive(lane), reason="bad-json", detail="line 1: 'ü'\nand more", attempts=3)
            assert number_of((await stage.receive(lane)).message) == 1
        (parked,) = await client.parking(subscription).list()
        assert stage.message("reef-a", 0) == parked.message
        assert (parked.reason, parked.detail, parked.attempts) == ("bad-json", "line 1: 'ü'\nand more", 3)
        assert subscription == parked.subscription
        assert datetime.fromisoformat(parked.parked_at).tzinfo is not None

    async def test_many_parked_listed_in_order_of_parking_by_reef_and_limit(self, stage: Stage) -> None:
        subscription = stage.subscription()
        client = await stage.client(subscription)
        deliveries = await self._park(stage, client, subscription, {"reef-a": 3, "reef-b": 3})
        other = await stage.client()
        parking = other.parking(subscription)
        in_order = [delivery.message.event_id for delivery in deliveries]
        assert in_order == [entry.message.event_id for entry in await parking.list()]
        assert in_order[:2] == [entry.message.event_id for entry in await parking.list(limit=2)]
        of_b = [entry.message.event_id for entry in await parking.list(reef_id="reef-b")]
        assert [event_id for event_id in in_order if "/reef-b/" in event_id] == of_b
        assert await parking.list(reef_id="reef-z") == []

    async def test_replayed_comes_oldest_first_to_its_subscription_alone_and_leaves_the_parking(self, stage: Stage) -> None:
        """Replay keeps ids and order, says so in a header, and reaches nobody else."""
        subscription, other = stage.subscription(), stage.subscription("beta")
        client = await stage.client(subscription, other)
        await self._park(stage, client, subscription, {"reef-a": 3})
        parking = client.parking(subscription)
        ids = [entry.parking_id for entry in await parking.list()]
        assert await parking.replay([ids[2], ids[0]]) == 2
        assert [ids[1]] == [entry.parking_id for entry in await parking.list()]
        async with stage.consuming(client, subscription) as consumer:
            assert await self._take(stage, consumer, 2) == [(0, "true"), (2, "true")]
        async with stage.consuming(client, other) as consumer:
            assert await self._take(stage, consumer, 3) == [(0, None), (1, None), (2, None)]
            await stage.publish(client, {"reef-a": 1}, first=3)  # the next in line shows that no replay came here
            assert await self._take(stage, consumer, 1) == [(3, None)]

    async def _take(self, stage: Stage, consumer: Consumer, messages: int) -> list[tuple[int, str | None]]:
        taken = []
        lane = consumer.lanes[0]
        for _ in range(messages):
            delivery = await stage.receive(lane)
            taken.append((number_of(delivery.message), delivery.message.headers.get("replayed")))
            await lane.settle(delivery, ())
        return taken

    async def test_replayed_message_parked_again_is_listed_again(self, stage: Stage) -> None:
        """A replay that fails again is not lost."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await self._park(stage, client, subscription, {"reef-a": 1})
        parking = client.parking(subscription)
        for attempts in (7, 8):
            (entry,) = await parking.list()
            assert await parking.replay([entry.parking_id]) == 1
            assert await parking.list() == []
            async with stage.consuming(client, subscription) as consumer:
                delivery = await stage.receive(consumer.lanes[0])
                await consumer.lanes[0].park(delivery, reason="still-bad", detail="", attempts=attempts)
            (again,) = await parking.list()
            assert ("still-bad", attempts) == (again.reason, again.attempts)
            assert f"{stage.channel}/reef-a/0" == again.message.event_id

    async def test_discarded_is_gone_and_unknown_ids_are_not_found(self, stage: Stage) -> None:
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await self._park(stage, client, subscription, {"reef-a": 2})
        parking = client.parking(subscription)
        ids = [entry.parking_id for entry in await parking.list()]
        assert await parking.discard([ids[0]]) == 1
        assert await parking.discard([ids[0]]) == 0
        assert await parking.replay([ids[0], "no-such-id"]) == 0
        assert await parking.replay([]) == 0
        assert [ids[1]] == [entry.parking_id for entry in await parking.list()]

    async def test_parkings_of_two_subscriptions_are_apart(self, stage: Stage) -> None:
        """One subscription's parking neither shows nor touches what another set aside."""
        subscription, other = stage.subscription(), stage.subscription("beta")
        client = await stage.client(subscription, other)
        await self._park(stage, client, subscription, {"reef-a": 1})
        assert await client.parking(other).list() == []
        (entry,) = await client.parking(subscription).list()
        assert await client.parking(other).replay([entry.parking_id]) == 0
        assert len(await client.parking(subscription).list()) == 1

    @pytest.mark.restarts
    async def test_parked_survives_its_client(self, stage: Stage) -> None:
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await self._park(stage, client, subscription, {"reef-a": 2})
        if stage.capabilities.restarts:
            await stage.restart()
        else:
            await client.close()
        later = await stage.client(subscription)
        assert [number_of(entry.message) for entry in await later.parking(subscription).list()] == [0, 1]

    async def _park_within(self, stage: Stage, quota: ParkingQuota, *, messages: int, body: bytes) -> tuple[Subscription, int]:
        """Park so many messages of one reef; return their subscription, and how many were only counted."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        events: list[BrokerEvent] = []
        client.on_event(events.append)
        for number in range(messages):
            message = stage.message("reef-a", number).model_copy(update={"body": body})
            await client.publish([Publication(channel=stage.channel, message=message)])
        async with stage.consuming(client, subscription, quota=quota) as consumer:
            lane = consumer.lanes[0]
            for number in range(messages):
                delivery = await stage.receive(lane)
                assert number_of(delivery.message) == number
                await lane.park(delivery, reason="bad-json", detail="", attempts=1)
        own = str(subscription)
        return subscription, sum(event.name == PARKING_FOLDED and event.facts["subscription"] == own for event in events)

    async def test_beyond_the_quota_messages_are_settled_and_counted_and_what_was_parked_stays(self, stage: Stage) -> None:
        """Nothing comes again, nothing waits, and kept and counted add up to all."""
        subscription, counted = await self._park_within(stage, ParkingQuota(messages_limit=6), messages=9, body=b"{}")
        later = await stage.client()
        parked = [number_of(entry.message) for entry in await later.parking(subscription).list()]
        assert parked == list(range(len(parked)))
        assert 1 <= len(parked) <= 6
        assert len(parked) + counted == 9
        await stage.publish(later, {"reef-a": 1}, first=9)
        async with stage.consuming(later, subscription) as consumer:
            assert await self._take(stage, consumer, 1) == [(9, None)]

    async def test_what_already_lies_in_the_parking_counts_for_a_later_client(self, stage: Stage) -> None:
        """A restart gives nobody a new quota."""
        subscription, _ = await self._park_within(stage, ParkingQuota(messages_limit=6), messages=7, body=b"{}")
        client = await stage.client()
        before = len(await client.parking(subscription).list())
        await stage.publish(client, {"reef-a": 2}, first=7)
        async with stage.consuming(client, subscription, quota=ParkingQuota(messages_limit=6)) as consumer:
            for _ in range(2):
                lane = consumer.lanes[0]
                await lane.park(await stage.receive(lane), reason="bad-json", detail="", attempts=1)
        assert before == len(await client.parking(subscription).list())

    async def test_first_of_its_reason_beyond_the_quota_is_kept_cut_and_never_replayed(self, stage: Stage) -> None:
        """A cut body must not come back as a message."""
        body = b"x" * (3 * SAMPLE_BYTES)
        subscription, counted = await self._park_within(stage, ParkingQuota(bytes_limit=1024), messages=3, body=body)
        client = await stage.client()
        (sample,) = await client.parking(subscription).list()
        assert (body[:SAMPLE_BYTES], 2) == (sample.message.body, counted)
        assert await client.parking(subscription).replay([sample.parking_id]) == 0
        assert await client.parking(subscription).discard([sample.parking_id]) == 1

    async def test_messages_of_whoever_is_kept_whole_have_no_quota(self, stage: Stage) -> None:
        """Law 3: of a service that owns a channel nothing is lost."""
        quota = ParkingQuota(messages_limit=1, whole_of=frozenset({OPERATOR, UNAUTHENTICATED}))
        subscription, counted = await self._park_within(stage, quota, messages=4, body=b"{}")
        client = await stage.client()
        assert (4, 0) == (len(await client.parking(subscription).list()), counted)

    async def _numbers(self, client: Broker, subscription: Subscription) -> list[int]:
        return [number_of(entry.message) for entry in await client.parking(subscription).list()]

    async def test_too_old_leaves_the_parking_oldest_first_counted_by_reason_and_nothing_else_does(self, stage: Stage) -> None:
        subscription, other = stage.subscription(), stage.subscription("beta")
        client = await stage.client(subscription, other)
        await self._park(stage, client, subscription, {"reef-a": 5})
        await self._park(stage, client, other, {"reef-b": 1})
        parking, quota = client.parking(subscription), ParkingQuota(age_limit=timedelta(days=30))
        now = datetime.now(UTC)
        assert {} == await parking.remove_old(quota, now=now + timedelta(days=29), limit=10)
        assert {} == await parking.remove_old(ParkingQuota(), now=now + timedelta(days=40_000), limit=10)
        late = now + timedelta(days=31)
        assert {"bad-json": 2} == await parking.remove_old(quota, now=late, limit=2)
        assert [2, 3, 4] == await self._numbers(client, subscription)
        assert {"bad-json": 3} == await parking.remove_old(quota, now=late, limit=10)
        assert {} == await parking.remove_old(quota, now=late, limit=10)
        assert ([], 1) == (await self._numbers(client, subscription), len(await self._numbers(client, other)))

    async def test_messages_of_whoever_is_kept_whole_have_an_age_of_their_own(self, stage: Stage) -> None:
        """Law 3: the mesh's own stay longer; law 14: not for ever, unless somebody says so."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await self._park(stage, client, subscription, {"reef-a": 2})
        parking, late = client.parking(subscription), datetime.now(UTC) + timedelta(days=31)
        own = frozenset({OPERATOR, UNAUTHENTICATED})
        for kept in (
            ParkingQuota(whole_of=own, age_limit=timedelta(days=30)),
            ParkingQuota(whole_of=own, age_limit=timedelta(days=30), whole_age_limit=timedelta(days=365)),
            ParkingQuota(whole_for=frozenset({"bad-json"}), age_limit=timedelta(days=30)),
        ):
            assert {} == await parking.remove_old(kept, now=late, limit=10)
        assert [0, 1] == await self._numbers(client, subscription)
        gone = ParkingQuota(whole_of=own, whole_age_limit=timedelta(days=30))
        assert {"bad-json": 2} == await parking.remove_old(gone, now=late, limit=10)

    async def test_clients_that_remove_at_once_count_each_message_once(self, stage: Stage) -> None:
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await self._park(stage, client, subscription, {"reef-a": 12})
        others = [await stage.client() for _ in range(2)]
        quota, late = ParkingQuota(age_limit=timedelta(days=30)), datetime.now(UTC) + timedelta(days=31)
        removed = await asyncio.gather(
            *(each.parking(subscription).remove_old(quota, now=late, limit=10) for each in (client, *others))
        )
        left = await self._numbers(client, subscription)
        assert 12 == sum(map(Counter.total, map(Counter, removed))) + len(left)
        assert left == list(range(12 - len(left), 12))
