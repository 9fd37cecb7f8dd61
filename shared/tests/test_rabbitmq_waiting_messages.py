"""The messages of a reef that wait for a lane: their order, whatever comes late, and that it is had without looking at all."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from reefmesh.broker.rabbitmq.inbound_message import InboundMessage
from reefmesh.broker.rabbitmq.tenure import Tenure
from reefmesh.broker.rabbitmq.waiting_messages import WaitingMessages

TENURES = [cast("Tenure", object()) for _ in range(2)]


class CountedMessage(InboundMessage):
    """Counts how often one was compared with another."""

    comparisons = 0

    def comes_before(self, other: InboundMessage, *, by_number: bool) -> bool:
        CountedMessage.comparisons += 1
        return super().comes_before(other, by_number=by_number)


def waiting(tag: int, *, event: str | None, follows: str | None = None, seq: int | None = None, **more: Any) -> InboundMessage:
    return CountedMessage(
        tenure=cast("Any", more.get("tenure", TENURES[0])),
        delivery_tag=tag,
        is_overflow=more.get("is_overflow", False),
        is_own_copy=False,
        headers={},
        body=b"work",
        identity=f"message-{tag}",
        user_id="operator",
        was_delivered=False,
        misplacement=None,
        reef_id="reef",
        seq=seq,
        event_id=event,
        follows=follows,
    )


EVENTS = st.one_of(st.none(), st.sampled_from("abcd"))
NUMBERS = st.one_of(st.none(), st.integers(0, 5))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "put back", "take", "remove", "take of", "drop"]),
        EVENTS,
        EVENTS,
        NUMBERS,
        st.sampled_from(TENURES),
        st.booleans(),
        st.integers(0, 9),
    ),
    max_size=20,
)


@given(STEPS, st.booleans())
def test_order_is_that_of_comparing_with_every_other(steps: list[tuple[Any, ...]], by_number: bool) -> None:
    messages, model = WaitingMessages(by_number=by_number), list[InboundMessage]()
    for tag, (step, event, follows, seq, tenure, is_overflow, index) in enumerate(steps):
        message = waiting(tag, event=event, follows=follows, seq=seq, tenure=tenure, is_overflow=is_overflow)
        if step == "add":
            behind = [at for at, other in enumerate(model) if message.comes_before(other, by_number=by_number)]
            model.insert(behind[0] if behind else len(model), message)
            messages.add(message)
        elif step == "put back":
            before = [at for at, other in enumerate(model) if other.comes_before(message, by_number=by_number)]
            assert messages.has_earlier(message) == bool(before)
            model.insert(before[-1] + 1 if before else 0, message)
            messages.put_back(message)
        elif step == "take" and model:
            assert messages.take_first() is model.pop(0)
        elif step == "remove":
            assert not messages.remove(message)
            if model:
                assert messages.remove(model.pop(index % len(model)))
        elif step == "take of":
            wanted = [each for each in model if each.tenure is tenure and not each.is_overflow]
            assert messages.take_of(tenure) == wanted
            model = [each for each in model if each not in wanted]
        elif step == "drop":
            messages.drop(tenure)
            model = [each for each in model if each.tenure is not tenure]
        assert list(messages.in_order) == model


def test_full_overflow_queue_that_comes_again_is_taken_in_without_comparing() -> None:
    """Ten thousand messages of one reef; each was compared with all before it once, which took longer than heart-beats wait."""
    for by_number in (True, False):
        messages, CountedMessage.comparisons = WaitingMessages(by_number=by_number), 0
        for number in range(10_000):
            messages.add(waiting(number, event=f"event-{number}", follows=f"event-{number - 1}", seq=number))
        assert CountedMessage.comparisons == 0
        assert len(messages.in_order) == 10_000
