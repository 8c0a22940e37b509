"""Nothing is lost, nothing changes places and, with deduplication, nothing comes twice, whatever happens to the topic,
the broker or the producer."""

from __future__ import annotations

import json
import threading
import time
from itertools import count

import pulsar
import pytest

from producer import Load, Message, Producer, Run, assert_receipts, assert_stored, assert_stored_once, numbered
from servers import Pulsar, wait_for
from test_crash import seeded
from topic import Reader


def more(run: Run, receipts: int) -> None:
    run.look()
    run.wait_receipts(len(run.receipts) + receipts)


def quota(broker: Pulsar, namespace: str, topic: str, policy: str) -> str:
    """A topic of which 20 kB may be unread, in a namespace of its own; its path in the admin API."""
    broker.create_namespace(namespace)
    limits = {"limitSize": 20_000, "limitTime": -1, "policy": policy}
    broker.admin("POST", f"namespaces/public/{namespace}/backlogQuota?backlogQuotaType=destination_storage", limits)
    path = f"persistent/public/{namespace}/{topic}"
    broker.admin("PUT", path)
    broker.admin("PUT", f"{path}/subscription/slow")
    return path


@pytest.mark.parametrize("partitions", [0, 3])
def test_a_topic_that_is_unloaded_under_load(
    producer: Producer, broker: Pulsar, client: pulsar.Client, name: str, partitions: int
) -> None:
    broker.create_topic(name, partitions)
    run = producer.start()
    with Load(run) as load:
        for unloads in range(1, 6):
            more(run, 200)
            broker.admin("PUT", f"persistent/public/default/{name}/unload")
            run.wait_for("the unload", lambda: len(run.all("disconnected")) >= unloads)
        more(run, 200)
    run.finish()
    stored = Reader(client, name, partitions).read_to_end()
    repetitions = assert_stored(load.messages, stored)
    assert_receipts(run, load.messages, stored)
    print(f"{repetitions} of {len(load.messages)} messages repeated after {len(run.all('disconnected'))} losses")


def test_a_topic_that_grows_under_load(
    producer: Producer, broker: Pulsar, client: pulsar.Client, name: str
) -> None:
    broker.create_topic(name, 3)
    run = producer.start(partitions_update=200)
    with Load(run, keys=50) as load:
        more(run, 300)
        broker.admin("POST", f"persistent/public/default/{name}/partitions", 5)
        run.event("grown", partitions=5)
        more(run, 300)
    run.finish()
    # One that is told to stay with three does, with the same keys on the same partitions as before.
    pinned = producer.send(numbered(0, 200, 50), partitions=3, partitions_update=50)

    assert run.event("ready")["partitions"] == 3
    place = {token: receipt.partition for token, receipt in run.receipts.items()}
    assert set(place.values()) == set(range(5))
    assert pinned.event("ready")["partitions"] == 3 and not pinned.all("grown")
    first_places = {load.messages[token]["key"]: place[token] for token in range(50)}
    for token, receipt in pinned.receipts.items():
        assert receipt.partition == first_places[f"key-{token % 50}"]

    stored = Reader(client, name, 5).read_to_end()
    assert_receipts(run, load.messages, stored)
    # A key moves once at most. On each side of that, its order is kept.
    for number in range(50):
        of_key = range(number, len(load.messages), 50)
        moved = [place[token] for token in of_key]
        assert len([None for a, b in zip(moved, moved[1:]) if a != b]) <= 1
        for partition in set(moved):
            there = [m for m in stored if m.key == f"key-{number}" and m.partition == partition]
            expected = [str(token) for token in of_key if place[token] == partition]
            assert [m.value.decode() for m in there[: len(expected)]] == expected


def test_a_topic_over_its_quota_holds_the_producer(
    producer: Producer, broker: Pulsar, client: pulsar.Client, name: str
) -> None:
    """Nobody reads, so that the backlog grows over the quota: messages wait. Then somebody has read: they go on."""
    path = quota(broker, "hold", name, "producer_request_hold")
    run = producer.start(topic=f"public/hold/{name}", pending_messages=200, backoff_max=500)
    with Load(run) as load:
        lost = run.event("disconnected", error="PULSAR_QUOTA")
        assert lost["class"] == "throttle"
        held = len(run.receipts)
        broker.admin("POST", f"{path}/subscription/slow/skip_all")
        broker.admin("DELETE", f"{path}/subscription/slow")
        run.wait_receipts(held + 500)
    run.finish()
    assert_stored(load.messages, Reader(client, f"public/hold/{name}").read_to_end())


def test_what_waits_too_long_is_undelivered_in_order(producer: Producer, broker: Pulsar, name: str) -> None:
    path = quota(broker, "late", name, "producer_request_hold")
    run = producer.start(topic=f"public/late/{name}", send_timeout=1_000, backoff_max=500)
    with Load(run) as load:
        assert "not acknowledged within 1000 ms" in run.event("undelivered")["text"]
        broker.admin("DELETE", f"{path}/subscription/slow?force=true")
        run.event("connected")
        more(run, 300)
    run.end()
    assert sorted([*run.receipts, *run.undelivered]) == list(range(len(load.messages)))
    assert list(run.undelivered) == sorted(run.undelivered)
    assert run.receipt_order[0] == sorted(run.receipt_order[0])


def test_closing_while_nobody_takes_messages_reports_what_is_left(
    producer: Producer, broker: Pulsar, name: str
) -> None:
    quota(broker, "closed", name, "producer_request_hold")
    run = producer.start(topic=f"public/closed/{name}", backoff_max=500)
    with Load(run):
        run.event("disconnected", error="PULSAR_QUOTA")
    run.send(numbered(run.given, 500, 20))
    run.command("close", timeout=300)
    assert run.wait() == 0
    assert run.event("closed")["given"] == run.given
    assert len(run.undelivered) >= 500
    assert sorted([*run.receipts, *run.undelivered]) == list(range(run.given))
    assert list(run.undelivered) == list(range(len(run.receipts), run.given))
    assert {event["error"] for event in run.undelivered.values()} == {"CANCELLED"}


def test_memory_is_bounded_while_nobody_takes_messages(
    producer: Producer, broker: Pulsar, client: pulsar.Client, name: str
) -> None:
    budget = 4 << 20
    path = quota(broker, "full", name, "producer_request_hold")
    run = producer.start(topic=f"public/full/{name}", memory_budget=budget, backoff_max=500)
    with Load(run, at_once=2, width=20_000) as load:
        run.event("disconnected", error="PULSAR_QUOTA")
        run.event("full")
        broker.admin("DELETE", f"{path}/subscription/slow?force=true")
        more(run, 200)
    run.finish()
    assert_stored(load.messages, Reader(client, f"public/full/{name}").read_to_end())
    assert max(event["inFlightBytes"] for event in run.all("full")) <= budget


def test_a_topic_over_its_quota_refuses_messages(
    producer: Producer, broker: Pulsar, client: pulsar.Client, name: str
) -> None:
    """The other policy: what waits becomes undelivered, in order, and the producer tries on."""
    path = quota(broker, "refuse", name, "producer_exception")
    run = producer.start(topic=f"public/refuse/{name}", backoff_max=500)
    with Load(run) as load:
        undelivered = run.event("undelivered")
        assert undelivered["error"] == "PULSAR_QUOTA_REFUSED"
        broker.admin("POST", f"{path}/subscription/slow/skip_all")
        broker.admin("DELETE", f"{path}/subscription/slow")
        more(run, 500)
    assert run.end() == 0
    assert sorted([*run.receipts, *run.undelivered]) == list(range(len(load.messages)))
    assert list(run.undelivered) == sorted(run.undelivered)
    assert run.receipt_order[0] == sorted(run.receipt_order[0])

    stored = Reader(client, f"public/refuse/{name}").read_to_end()
    maybe = {str(token) for token, event in run.undelivered.items() if event["maybeStored"]}
    sure = [message for message in stored if message.value.decode() not in maybe]
    assert_stored([load.messages[token] for token in sorted(run.receipts)], sure)


def test_a_topic_that_is_terminated_takes_nothing_more(
    producer: Producer, broker: Pulsar, client: pulsar.Client, name: str
) -> None:
    """Between two messages. Under load, Pulsar 4.0.6 leaves the topic fenced, and says only that it is not ready."""
    broker.create_topic(name)
    run = producer.start(backoff_max=500)
    run.send(numbered(0, 100, 20))
    run.wait_receipts(100)
    broker.admin("POST", f"persistent/public/default/{name}/terminate")
    run.send(numbered(100, 50, 20))
    assert run.event("failed")["error"] == "PULSAR_TERMINATED"
    run.end()
    assert sorted(run.receipts) == list(range(100))
    assert list(run.undelivered) == list(range(100, 150))
    assert {event["error"] for event in run.undelivered.values()} == {"PULSAR_TERMINATED"}
    assert len(Reader(client, name).read_to_end()) == 100


def test_a_message_over_the_topics_limit_fails_alone(
    producer: Producer, broker: Pulsar, client: pulsar.Client, name: str
) -> None:
    """A limit of the topic, which the broker doesn't tell before: it refuses the message, and the others go on."""
    broker.create_topic(name)
    broker.admin("POST", f"persistent/public/default/{name}/maxMessageSize", 10_000)

    def refuses() -> bool:
        run = producer.start(batching="none")
        run.send([{"value": "x" * 20_000}])
        run.end()
        return bool(run.undelivered)

    wait_for("the policy", refuses)
    sizes = [100, 20_000, 200, 300, 30_000, 400]
    run = producer.start(batching="none")
    run.send({"value": "x" * size} for size in sizes)
    run.end()
    assert sorted(run.undelivered) == [1, 4]
    assert all(event["error"] == "PULSAR_REFUSED" and event["refused"] for event in run.undelivered.values())
    stored = [len(message.value) for message in Reader(client, name).read_to_end()]
    assert stored[-4:] == [100, 200, 300, 400] and max(stored[:-4], default=0) in (0, 20_000)


# ---- killed and started again

KILLS = 12


class Resumed:
    """A producer that is killed again and again, and begins each time where a source would: at the first message
    without a receipt, or somewhere before it."""

    def __init__(self, producer: Producer, total: int) -> None:
        self.producer = producer
        self.chance = seeded()
        self.messages: list[Message] = list(numbered(0, total, 50, ids=True))
        self.acknowledged: set[int] = set()

    def start(self) -> tuple[Run, int]:
        """With other batches than before."""
        acknowledged = next(number for number in count() if number not in self.acknowledged)
        first = self.chance.choice([acknowledged, self.chance.randrange(acknowledged + 1)])
        run = self.producer.start(
            name="resumed",
            explicit_ids=True,
            wait_for_name=True,
            batching=self.chance.choice(["default", "default", "none"]),
            batch_messages=self.chance.randrange(1, 60),
            batch_bytes=self.chance.choice([500, 5_000, 100_000]),
            batch_delay=self.chance.randrange(1, 20),
            compression=self.chance.choice(["none", "lz4", "zstd"]),
            pending_messages=self.chance.choice([50, 500, 5_000]),
        )
        return run, first

    def note(self, run: Run, first: int) -> None:
        self.acknowledged |= {first + token for token in run.receipts}

    def killed(self) -> None:
        run, first = self.start()
        some = self.chance.randrange(1, 2 * len(self.messages) // KILLS)

        def feed() -> None:
            try:
                run.send(self.messages[first : first + some])
            except BrokenPipeError:
                pass

        feeder = threading.Thread(target=feed)
        feeder.start()
        receipts = self.chance.randrange(some)
        run.wait_for(f"{receipts} receipts", lambda: len(run.receipts) >= receipts)
        time.sleep(self.chance.uniform(0, 0.01))
        run.kill()
        feeder.join()
        self.note(run, first)

    def finish(self) -> None:
        run, first = self.start()
        run.send(self.messages[first:])
        run.finish()
        self.note(run, first)
        assert self.acknowledged == set(range(len(self.messages)))


@pytest.mark.parametrize("partitions", [0, 3])
def test_killed_at_random_moments_with_ids_stores_everything_once(
    producer: Producer, broker: Pulsar, client: pulsar.Client, name: str, partitions: int
) -> None:
    namespace = f"once-{partitions}"
    broker.create_namespace(namespace, deduplication=True)
    topic = f"public/{namespace}/{name}"
    broker.admin("PUT", f"persistent/{topic}" + ("/partitions" if partitions else ""), partitions or None)
    producer.defaults.update(topic=topic)
    resumed = Resumed(producer, 6_000)
    for _ in range(KILLS):
        resumed.killed()
    resumed.finish()
    stored = Reader(client, topic, partitions).read_to_end()
    assert_stored_once(resumed.messages, stored)
    for partition in range(max(partitions, 1)):
        numbers = [int(message.value) for message in stored if message.partition == partition]
        assert numbers == sorted(numbers)
    duplicates = sum(1 for run in producer.runs for receipt in run.receipts.values() if receipt.duplicate)
    assert duplicates > 0, "no run began with what was already there"
    print(json.dumps({"runs": len(producer.runs), "reported as there already": duplicates}))
