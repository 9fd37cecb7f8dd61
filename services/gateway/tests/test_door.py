"""The HTTP door: what a request gets for an answer, and that 202 means that the broker has it."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from reefmesh.broker.port import BrokerUnavailable, PublishRefused
from reefmesh.observability import table
from reefmesh.store.port import Write

NEMO_PI = {"msg_type": "diagnosis", "vbat": 3.9}
NEMO_PI_2021 = {"serial_number": "agent-1", "measurements": []}


def lines(*reports: Any) -> bytes:
    return b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in reports)


def bomb(megabytes: int) -> bytes:
    return gzip.compress(bytes(megabytes * 1024 * 1024))


async def test_report_is_confirmed_and_arrives_as_it_was_sent_with_who_sent_it_and_when(stage: Any) -> None:
    body = json.dumps(stage.report(), indent=3).encode()
    answer = await stage.post(body)
    (message,) = await stage.arrived()
    assert (202, {"device": "agent-1"}) == (answer.status_code, {"device": answer.json()["device"]})
    assert [{"index": 0, "outcome": "accepted", "event_id": message.event_id, "format": "telemetry/1"}] == answer.json()[
        "reports"
    ]
    assert (body, "telemetry/1", "menjangan") == (message.body, message.schema_id, message.reef_id)
    assert stage.clock.now() == message.produced_at
    stamps = {name: message.headers[name] for name in ("device", "sent-by", "received-at")}
    assert {"device": "agent-1", "sent-by": "agent-1", "received-at": stage.clock.now().isoformat()} == stamps


async def test_each_format_is_told_by_its_fields(stage: Any) -> None:
    for document in (NEMO_PI, NEMO_PI_2021, stage.report()):
        await stage.post(document)
    assert ["nemopi-mqtt/1", "nemopi-2021/1", "telemetry/1"] == [each.schema_id for each in await stage.arrived()]


async def test_report_of_2021_in_utf_16_arrives_byte_by_byte(stage: Any) -> None:
    body = json.dumps(NEMO_PI_2021).encode("utf-16")
    answer = await stage.post(body)
    assert (202, body) == (answer.status_code, (await stage.arrived())[0].body)


async def test_batch_says_of_each_report_what_became_of_it(stage: Any) -> None:
    body = lines(stage.report(1), b"no json", stage.report(2, buoy="agent-2"), b"", {"a": 1}, stage.report(3))
    answer = await stage.post(body, content_type="application/x-ndjson")
    outcomes = [(each["index"], each["outcome"], each.get("reason")) for each in answer.json()["reports"]]
    assert 202 == answer.status_code
    assert [
        (0, "accepted", None),
        (1, "refused", "not-json"),
        (2, "spoofed", "spoofed"),
        (3, "refused", "unknown-format"),
        (4, "accepted", None),
    ] == outcomes
    assert [1, 2, 3] == [json.loads(each.body)["seq"] for each in await stage.arrived()]
    counted = {outcome: stage.metrics.value(table.GATEWAY_REPORTS, outcome) for outcome in ("accepted", "refused", "spoofed")}
    assert {"accepted": 2, "refused": 2, "spoofed": 1} == counted


async def test_messages_of_a_reef_are_linked_in_the_order_of_their_confirmation(stage: Any) -> None:
    """So that ingest sees one that is missing before them."""
    await stage.post(lines(stage.report(1), stage.report(2)), content_type="application/x-ndjson")
    await stage.post(stage.report(3))
    messages = await stage.arrived()
    assert [None, messages[0].event_id, messages[1].event_id] == [each.headers.get("follows") for each in messages]


async def test_gzip_is_unpacked(stage: Any) -> None:
    body = json.dumps(stage.report()).encode()
    answer = await stage.post(gzip.compress(body[:20]) + gzip.compress(body[20:]), content_encoding="gzip")
    assert (202, body) == (answer.status_code, (await stage.arrived())[0].body)


async def test_report_that_names_another_device_is_refused_and_goes_to_quarantine_under_its_sender(stage: Any) -> None:
    """Law 12; ingest sees by ``sent-by`` that the names do not agree."""
    answer = await stage.post(stage.report(buoy="agent-2"))
    (message,) = await stage.arrived()
    assert (403, "spoofed") == (answer.status_code, answer.json()["reason"])
    assert ("agent-1", "agent-1", "menjangan") == (message.headers["device"], message.headers["sent-by"], message.reef_id)


async def test_report_under_another_name_of_the_same_buoy_is_accepted(stage: Any) -> None:
    assert 202 == (await stage.post(stage.report(buoy="867740030000003"))).status_code


TOO_LARGE = b'{"schema": "telemetry/1", "filling": "' + b"a" * 256 * 1024 + b'"}'
REFUSED: list[tuple[str, Any, dict[str, str], int, str]] = [
    ("nothing", b"", {}, 400, "empty"),
    ("no json", b"{", {}, 400, "not-json"),
    ("a number that is none", b'{"schema": "telemetry/1", "a": NaN}', {}, 400, "not-json"),
    ("brackets in brackets", b"[" * 200_000, {}, 400, "not-json"),
    ("bytes that are no text", b'{"a": "\xff"}', {}, 400, "not-json"),
    ("half of a character", b"\xff\xfe{", {}, 400, "not-json"),
    ("a list", b"[1]", {}, 422, "unknown-format"),
    ("another format", {"a": 1}, {}, 422, "unknown-format"),
    ("a version to come", {"schema": "telemetry/2"}, {}, 422, "unknown-format"),
    ("a report that is too large", TOO_LARGE, {}, 413, "too-large"),
    ("a body that is too large", b"a" * 600 * 1024, {}, 413, "too-large"),
    ("a batch of too many", b"{}\n" * 501, {"content_type": "application/x-ndjson"}, 413, "too-many-reports"),
    ("a bomb", bomb(300), {"content_encoding": "gzip"}, 413, "too-large"),
    ("a bomb in parts", bomb(1) * 3, {"content_encoding": "gzip"}, 413, "too-large"),
    ("many parts of nothing", gzip.compress(b"") * 17, {"content_encoding": "gzip"}, 400, "not-gzip"),
    ("half a gzip", bomb(1)[:40], {"content_encoding": "gzip"}, 400, "not-gzip"),
    ("no gzip", b"{}", {"content_encoding": "gzip"}, 400, "not-gzip"),
    ("another encoding", b"{}", {"content_encoding": "br"}, 415, "content-encoding"),
    ("gzip in gzip", b"{}", {"content_encoding": "gzip, gzip"}, 415, "content-encoding"),
    ("another type", b"{}", {"content_type": "text/plain"}, 415, "content-type"),
    ("no type", b"{}", {"content_type": ""}, 415, "content-type"),
    ("another charset", b"{}", {"content_type": "application/json; charset=latin-1"}, 415, "content-type"),
    ("a key with a blank", b"{}", {"idempotency_key": "a b"}, 400, "idempotency-key"),
    ("a long key", b"{}", {"idempotency_key": "a" * 129}, 400, "idempotency-key"),
    ("no token", b"{}", {"authorization": ""}, 401, "unauthenticated"),
    ("another scheme", b"{}", {"authorization": "Basic YTpi"}, 401, "unauthenticated"),
    ("no such token", b"{}", {"authorization": "Bearer rmt_" + "0" * 12 + "_" + "a" * 43}, 401, "unauthenticated"),
    ("a long token", b"{}", {"authorization": "Bearer " + "a" * 10_000}, 401, "unauthenticated"),
]


async def test_what_cannot_be_taken_is_refused_as_a_problem_document_and_publishes_nothing(stage: Any) -> None:
    """One door for all of them: none harms those that come after it."""
    for name, body, headers, status, reason in REFUSED:
        answer = await stage.post(body, **headers)
        problem = answer.json()
        assert (name, status, reason) == (name, answer.status_code, problem["reason"])
        assert (name, "application/problem+json") == (name, answer.headers["content-type"])
        assert (name, status, f"urn:reefmesh:problem:{reason}") == (name, problem["status"], problem["type"])
        assert all(problem[part] for part in ("title", "detail")), name
    expected = Counter(str(each[3]) for each in REFUSED)
    assert expected == {status: stage.metrics.value(table.GATEWAY_REQUESTS, status) for status in expected}
    assert [] == await stage.arrived()
    assert 202 == (await stage.post(stage.report())).status_code


async def test_secret_of_another_token_opens_nothing(stage: Any) -> None:
    other = await stage.enrolment.enroll(stage.other, now=stage.clock.now())
    mixed = f"{stage.token[:17]}{other.text[17:]}"
    assert (401, len(stage.token)) == ((await stage.post(stage.report(), token=mixed)).status_code, len(mixed))


async def test_other_pages_and_methods_are_problem_documents_too(stage: Any) -> None:
    """The door shows nothing of the service's own pages."""
    for method, path, status in (("GET", "/v1/telemetry", 405), ("POST", "/", 404), ("GET", "/metrics", 404)):
        answer = await stage.client.request(method, f"{stage.url}{path}")
        assert (path, status, "application/problem+json") == (path, answer.status_code, answer.headers["content-type"])


@pytest.mark.parametrize("failure", [BrokerUnavailable("it is away"), PublishRefused("it is full")], ids=["away", "full"])
async def test_broker_that_confirms_nothing_is_503_and_the_repeat_has_the_same_event_id(stage: Any, failure: Exception) -> None:
    """Law 3: nothing is confirmed to a device that the broker has not confirmed."""
    stage.broker.failure = failure
    refused = await stage.post(stage.report(), idempotency_key="one")
    assert (503, "5", []) == (refused.status_code, refused.headers["retry-after"], await stage.arrived())
    stage.broker.failure = None
    accepted = await stage.post(stage.report(), idempotency_key="one")
    again = await stage.post(stage.report(), idempotency_key="one")
    (message,) = await stage.arrived()
    assert 202 == accepted.status_code == again.status_code
    assert accepted.json() == again.json()
    assert (None, "true") == tuple(each.headers.get("idempotent-replayed") for each in (accepted, again))
    assert message.event_id == accepted.json()["reports"][0]["event_id"]


async def test_same_request_has_the_same_event_ids_although_its_answer_was_lost(stage: Any) -> None:
    """The gateway died between the broker's confirmation and its own: ingest recognises the repeat by its event id."""
    await stage.post(stage.report(), idempotency_key="one")
    await stage.store.write([Write("DELETE FROM gateway_answer", ())])
    await stage.post(stage.report(), idempotency_key="one")
    first, second = stage.broker.published
    assert first.event_id == second.event_id


async def test_two_reports_of_one_content_without_a_key_are_two(stage: Any) -> None:
    """A Nemo-Pi's report has neither number nor time: ingest alone can tell a repeat from a calm sea."""
    await stage.post(NEMO_PI)
    await stage.post(NEMO_PI)
    assert 2 == len({each.event_id for each in await stage.arrived()})


async def test_key_with_another_body_is_409_for_a_day_and_for_its_device_alone(stage: Any) -> None:
    other = await stage.enrolment.enroll(stage.other, now=stage.clock.now())
    await stage.post(stage.report(1), idempotency_key="one")
    conflict = await stage.post(stage.report(2), idempotency_key="one")
    elsewhere = await stage.post(stage.report(2, buoy="agent-2"), idempotency_key="one", token=other.text)
    stage.clock.advance(timedelta(days=1))
    later = await stage.post(stage.report(2), idempotency_key="one")
    assert [409, 202, 202] == [each.status_code for each in (conflict, elsewhere, later)]


async def test_broker_that_is_silent_is_503_after_the_time_for_its_confirmation(open_stage: Callable[..., Any]) -> None:
    async with open_stage(publish_timeout_seconds=0.05) as stage:
        stage.broker.hangs = True
        assert 503 == (await stage.post(stage.report())).status_code


async def test_request_in_hand_is_answered_when_the_gateway_stops(open_stage: Callable[..., Any]) -> None:
    """Law 6."""
    async with open_stage() as stage:
        stage.broker.hangs = True
        sending = asyncio.create_task(stage.post(stage.report()))
        await stage.broker.begun.wait()
        stage.stop.set()
        stage.broker.released.set()
        assert 202 == (await sending).status_code


async def test_database_that_is_away_lets_known_tokens_in_for_eight_seconds_and_nobody_after(stage: Any) -> None:
    """Whose token may be revoked by now is nobody."""
    await stage.post(stage.report())
    stage.store.is_away = True
    stage.monotonic.seconds += 7.9
    known = await stage.post(stage.report())
    stage.monotonic.seconds += 0.2
    unknown = await stage.post(stage.report())
    assert [202, 503] == [known.status_code, unknown.status_code]


async def test_revoked_token_opens_nothing_within_ten_seconds(stage: Any) -> None:
    await stage.post(stage.report())
    await stage.enrolment.revoke("agent-1", now=stage.clock.now())
    stage.monotonic.seconds += 2.0
    assert 401 == (await stage.post(stage.report())).status_code


async def test_both_tokens_are_valid_until_the_overlap_of_a_rotation_ends(stage: Any) -> None:
    new, until = await stage.enrolment.rotate("agent-1", overlap=timedelta(days=7), now=stage.clock.now())
    stage.monotonic.seconds += 2.0
    before = [(await stage.post(stage.report(), token=token)).status_code for token in (stage.token, new.text)]
    stage.clock.set(until)
    after = [(await stage.post(stage.report(), token=token)).status_code for token in (stage.token, new.text)]
    assert ([202, 202], [401, 202]) == (before, after)


async def test_device_that_was_enrolled_a_moment_ago_is_let_in(stage: Any) -> None:
    await stage.post(stage.report())
    other = await stage.enrolment.enroll(stage.other, now=stage.clock.now())
    stage.monotonic.seconds += 1.0
    assert 202 == (await stage.post(stage.report(buoy="agent-2"), token=other.text)).status_code


async def test_device_that_sends_too_often_is_told_when_to_come_again_and_no_other_is(stage: Any) -> None:
    other = await stage.enrolment.enroll(stage.other, now=stage.clock.now())
    answers = [await stage.post(stage.report()) for _ in range(31)]
    assert [202] * 30 + [429] == [each.status_code for each in answers]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 600
    assert 202 == (await stage.post(stage.report(buoy="agent-2"), token=other.text)).status_code
    stage.monotonic.seconds += int(answers[-1].headers["retry-after"])
    assert 202 == (await stage.post(stage.report())).status_code


async def test_device_has_its_bytes_of_a_day_counted_unpacked(open_stage: Callable[..., Any]) -> None:
    async with open_stage(bytes_a_day_limit=4096) as stage:
        packed = gzip.compress(json.dumps(stage.report()).encode() + b" " * 3000)
        statuses = [(await stage.post(packed, content_encoding="gzip")).status_code for _ in range(2)]
        assert ([202, 429], 1) == (statuses, stage.metrics.value(table.GATEWAY_LIMITED, "device_bytes"))


async def test_address_with_too_many_refused_requests_locks_out_no_device_that_shows_its_token(
    open_stage: Callable[..., Any],
) -> None:
    """Not even behind the same address, and not when the refused requests were made in its name."""
    async with open_stage(address_requests_limit=3) as stage:
        wrong = f"{stage.token[:-1]}{'a' if stage.token[-1] != 'a' else 'b'}"
        refused = [await stage.post(stage.report(), token=wrong) for _ in range(4)]
        assert [401, 401, 401, 429] == [each.status_code for each in refused]
        assert 1 <= int(refused[-1].headers["retry-after"]) <= 600
        assert 202 == (await stage.post(stage.report())).status_code


async def test_address_behind_a_trusted_proxy_is_the_one_that_the_proxy_names(open_stage: Callable[..., Any]) -> None:
    async with open_stage(address_requests_limit=1, trusted_proxies="127.0.0.1") as stage:
        addresses = ("198.51.100.1", "203.0.113.9, 198.51.100.1", "198.51.100.2")
        answers = [await stage.post(b"", token="wrong", x_forwarded_for=address) for address in addresses]
        assert [401, 429, 401] == [each.status_code for each in answers]


async def test_description_names_every_status_that_the_door_answers_telemetry_with(stage: Any) -> None:
    document = (await stage.client.get(f"{stage.url}/v1/openapi.json")).json()
    responses = document["paths"]["/v1/telemetry"]["post"]["responses"]
    assert {"202", "503", "429", "409", "403"} | {str(each[3]) for each in REFUSED} == set(responses)
