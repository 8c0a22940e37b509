"""processingGuarantees: EFFECTIVELY_ONCE: each change is in the topic once, whatever is killed and whenever."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, Callable

import pulsar
import pytest

from program import Program, wait_for_event
from servers import Pulsar, wait_for
from shards import ShardedStream
from stream import Table, Writer
from test_crash import lease, read_new, seeded
from test_fleet import SECONDS, Fleet, harass, read_config, stream  # noqa: F401 (a fixture)
from topic import Reader, assert_delivered, assert_exactly_once, quiet_client

Configure = Callable[..., Path]

PARTITIONS = 3


def make_topic(broker: Pulsar, name: str, deduplication: bool = True) -> str:
    """With partitions, in a namespace of its own."""
    broker.create_namespace(name, deduplication)
    broker.admin("PUT", f"persistent/public/{name}/t/partitions", PARTITIONS)
    return f"persistent://public/{name}/t"


@pytest.fixture
def topic(broker: Pulsar, name: str) -> str:
    return make_topic(broker, name)


@pytest.fixture
def reader(client: pulsar.Client, topic: str, program: Program) -> Reader:
    return Reader(client, topic, PARTITIONS, still_well=program.assert_well)


@pytest.fixture
def once(topic: str, broker: Pulsar) -> dict[str, Any]:
    return settings(topic, broker)


def settings(topic: str, broker: Pulsar) -> dict[str, Any]:
    return {
        "topic": topic,
        "processingGuarantees": "EFFECTIVELY_ONCE",
        "webServiceUrl": broker.web_url,
        "failoverTime": "1500",
    }


def test_once_though_killed_at_random_moments(
    program: Program, configure: Configure, table: Table, reader: Reader, once: dict[str, Any], name: str
) -> None:
    chance = seeded()
    config = configure(**once)
    with Writer(table):
        for turn in range(9):
            found = table.checkpoint(name)
            run = program.run(config)
            read_new(reader, chance.randrange(1, 150))
            if turn % 3 == 2:
                wait_for("the checkpoint moves", lambda: table.checkpoint(name) > found)
            time.sleep(chance.uniform(0, 0.3))
            run.kill()
    program.catch_up(config)
    assert_exactly_once(table.changes(), reader.read_to_end())


@pytest.mark.optimised_only
def test_who_stood_still_sends_nothing_twice(
    program: Program, configure: Configure, table: Table, reader: Reader, once: dict[str, Any], name: str
) -> None:
    """Its producer's name is the other's for as long as the broker thinks that it lives, so it is woken first."""
    config = configure(**once)
    with Writer(table) as writer:
        first = program.run(config)
        read_new(reader, 50)
        before = lease(table, name)[0]
        second = program.run(config)
        for _ in range(3):
            os.kill(first.process.pid, signal.SIGSTOP)
            wait_for("another owner", lambda: lease(table, name)[0] != before)
            os.kill(first.process.pid, signal.SIGCONT)
            read_new(reader, 50)
            before = lease(table, name)[0]
            first, second = second, first
    reader.read_until("everything", lambda: len(reader.distinct()) == writer.written)
    assert second.terminate() == 0
    assert first.terminate() == 0
    assert_exactly_once(table.changes(), reader.read_to_end())


@pytest.mark.timeout(240 + 2 * SECONDS, func_only=True)
def test_many_shards_and_workers(
    program: Program,
    configure: Configure,
    stream: ShardedStream,  # noqa: F811
    reader: Reader,
    once: dict[str, Any],
) -> None:
    """Three workers, killed and stopped at random, on shards that roll over."""
    chance = seeded()
    config = read_config(configure(**once, awsDynamodbStreamArn=stream.arn, awsEndpoint=stream.url))
    stream.start()
    fleet = Fleet(program, config, chance)
    harass(fleet, reader, chance, lambda: stream.roll_over(chance.choice(stream.open)))
    stream.stop()
    reader.read_until("everything", lambda: len(reader.distinct()) == stream.written)
    fleet.end()
    assert_exactly_once(stream.changes(), reader.read_to_end())


@pytest.mark.optimised_only
def test_pulsar_is_killed_too(
    program: Program, configure: Configure, table: Table, own_pulsar: Pulsar, name: str
) -> None:
    topic = make_topic(own_pulsar, name)
    config = configure(**settings(topic, own_pulsar), serviceUrl=own_pulsar.url)
    client = quiet_client(own_pulsar.url, own_pulsar.folder / "client.log")
    reader = Reader(client, topic, PARTITIONS, still_well=program.assert_well)
    with Writer(table) as writer:
        run = program.run(config)
        for _ in range(2):
            read_new(reader, 100)
            own_pulsar.kill()
            run.kill()
            own_pulsar.start()
            run = program.run(config)
            written = writer.written
            reader.read_until("a change written since", lambda: len(reader.distinct()) > written, 90)
    assert run.terminate() == 0
    program.catch_up(config)
    client.close()

    client = quiet_client(own_pulsar.url, own_pulsar.folder / "client.log")
    messages = Reader(client, topic, PARTITIONS).read_to_end()
    client.close()
    assert_exactly_once(table.changes(), messages)


@pytest.mark.optimised_only
def test_a_reset_sends_again(
    program: Program, configure: Configure, table: Table, reader: Reader, once: dict[str, Any]
) -> None:
    table.put_many(50)
    config = configure(**once)
    program.catch_up(config)
    reset = program.start("reset", "-c", config, "--to", "TRIM_HORIZON")
    assert reset.wait() == 0, reset.stderr
    program.catch_up(config)
    assert assert_delivered(table.changes(), reader.read_to_end()) == 50


@pytest.mark.optimised_only
def test_deduplication_has_to_be_on(
    program: Program, configure: Configure, table: Table, broker: Pulsar, name: str
) -> None:
    table.put_many(1)
    topic = make_topic(broker, name, deduplication=False)
    config = configure(**settings(topic, broker))
    run = program.run(config)
    assert run.wait() == 4
    assert f"pulsar-admin namespaces set-deduplication --enable public/{name}" in run.stderr
    broker.admin("POST", f"namespaces/public/{name}/deduplication", True)
    program.catch_up(config)
    # Nobody to ask is worth a line, no more.
    run = program.catch_up(configure(**{**settings(topic, broker), "webServiceUrl": ""}))
    assert run.event("pulsar", "deduplication-unseen")
