"""Every change arrives once and in order when nothing breaks, in every form in which it can be asked for."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Callable

import pytest
import yaml

from program import Program
from servers import DynamoDbLocal, Pulsar, wait_for
from stream import Table, Writer
from topic import Reader, assert_delivered, assert_exactly_once, murmur3_32

Configure = Callable[..., Path]


def test_every_change_arrives_once_in_order(
    program: Program, configure: Configure, table: Table, reader: Reader
) -> None:
    with Writer(table) as writer:
        run = program.run(configure())
        reader.read_count(500)
    run_code = run.terminate()
    assert run_code == 0, run.stderr
    assert writer.written >= 500
    program.catch_up(configure())
    changes = table.changes()
    assert len(changes) == writer.written
    assert_exactly_once(changes, reader.read_to_end())


def test_clean_stops_lead_to_no_duplicates(
    program: Program, configure: Configure, table: Table, reader: Reader, name: str
) -> None:
    config = configure()
    with Writer(table):
        for _ in range(4):
            run = program.run(config)
            reader.read_count(len(reader.messages) + 60)
            assert run.terminate() == 0
            lease = next(iter(table.leases(name).values()))
            assert "leaseOwner" not in lease
    program.catch_up(config)
    assert_exactly_once(table.changes(), reader.read_to_end())


def test_caught_up_again_sends_nothing(
    program: Program, configure: Configure, table: Table, reader: Reader, name: str
) -> None:
    config = configure()
    table.put_many(100)
    program.catch_up(config)
    assert len(reader.read_to_end()) == 100
    assert table.checkpoint(name) == int(table.changes()[-1].sequence_number)
    program.catch_up(config)
    assert_exactly_once(table.changes(), reader.read_to_end())


def test_yaml_and_environment_and_set(
    program: Program, configure: Configure, table: Table, reader: Reader, name: str
) -> None:
    """A bare object in YAML; its topic and application come from the environment and the command line."""
    source = json.loads(configure().read_text())
    del source["configs"]["applicationName"]
    config = program.folder / "bare.yaml"
    config.write_text(yaml.safe_dump(source["configs"]))
    table.put_many(10)
    environment = {"DDB2PULSAR_APPLICATION_NAME": name, "DDB2PULSAR_TOPIC_NAME": "not-this-one"}
    run = program.start(
        "run", "-c", config, "--until-caught-up", "--set", f"topicName={name}", environment=environment
    )
    run.succeed()
    assert table.leases(name)
    assert_exactly_once(table.changes(), reader.read_to_end())


def test_large_items(program: Program, configure: Configure, table: Table, reader: Reader) -> None:
    """Items near DynamoDB's limit, changed, so that a record holds two of them and a page far more than 1 MB."""
    for turn in range(3):
        for number in range(4):
            table.put(f"item-{number}", turn, payload={"S": f"{turn}" * 390_000})
    program.catch_up(configure())
    messages = reader.read_to_end()
    assert_exactly_once(table.changes(), messages)
    assert len(messages[-1].value) > 780_000
    assert json.loads(messages[-1].value)["dynamodb"]["OldImage"]["payload"] == {"S": "1" * 390_000}


@pytest.mark.parametrize("codec", ["NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"])
def test_compression(
    codec: str, program: Program, configure: Configure, table: Table, reader: Reader, broker: Pulsar, name: str
) -> None:
    table.put_many(100, payload={"S": "abc" * 100})
    program.catch_up(configure(producer={"compressionType": codec}))
    messages = reader.read_to_end()
    assert_exactly_once(table.changes(), messages)
    value_bytes = sum(len(message.value) for message in messages)
    stored = json.loads(broker.admin("GET", f"persistent/public/default/{name}/stats"))["bytesInCounter"]
    assert (stored < value_bytes / 2) == (codec != "NONE"), f"{value_bytes} bytes of values, {stored} stored"


def test_partitions_are_those_of_pulsars_own_clients(
    program: Program, configure: Configure, table: Table, client: object, broker: Pulsar, name: str
) -> None:
    partitions = 4
    broker.create_topic(name, partitions)
    reader = Reader(client, name, partitions)
    items = [f"item-{i}" for i in range(30)] + ["Zürich", "鍵", "😀", "a", "my-key"]
    for turn in range(6):
        for item in items:
            table.put(item, turn)
    program.catch_up(configure())
    messages = reader.read_to_end()
    assert_exactly_once(table.changes(), messages)
    assert {message.partition for message in messages} == set(range(partitions))
    for message in messages:
        assert message.partition == murmur3_32(message.key.encode()) % partitions, message.key


def test_murmur3_of_these_tests() -> None:
    """The tests' own hash against values that Pulsar's clients are known to give."""
    known = {"": 0, "a": 1009084850, "key": 1654417988, "k1": 2110152746, "Zürich": 694770001, "😀": 1051995898}
    assert {key: murmur3_32(key.encode()) for key in known} == known


def test_latest_leaves_out_what_was_there(
    program: Program, configure: Configure, table: Table, reader: Reader, name: str
) -> None:
    """DynamoDB Local cuts times to the minute, so what was written in the minute of the first start (and, for clocks
    that differ a little, of the second before it) counts as new: the test lets that minute pass."""
    table.put_many(20, "old-{}".format)
    next_minute = (time.time() // 60 + 1) * 60
    wait_for("the next minute", lambda: time.time() > next_minute + 2, 70)
    run = program.run(configure(initialPositionInStream="LATEST"))
    wait_for("the lease of the first start", lambda: table.leases(name))
    table.put_many(20, "new-{}".format)
    reader.read_count(20)
    assert run.terminate() == 0
    # And from then on the checkpoint counts, whatever the file says.
    table.put_many(20, "later-{}".format)
    program.catch_up(program.folder / "source.json")
    keys = [message.key for message in reader.read_to_end()]
    assert keys == [f"new-{i}" for i in range(20)] + [f"later-{i}" for i in range(20)]


def test_disabled_stream_is_read_to_its_end(
    program: Program, configure: Configure, table: Table, reader: Reader, name: str
) -> None:
    config = configure()
    table.put_many(50)
    program.catch_up(config)
    table.put_many(100, "more-{}".format)
    changes = table.changes()
    table.disable_stream()
    program.catch_up(config)
    assert_exactly_once(changes, reader.read_to_end())
    assert [lease["checkpoint"]["S"] for lease in table.leases(name).values()] == ["SHARD_END"]


def test_two_applications_read_one_stream(
    program: Program, configure: Configure, table: Table, client: object, dynamodb: DynamoDbLocal, name: str
) -> None:
    table.put_many(50)
    readers = [Reader(client, f"{name}-{i}") for i in range(2)]
    for i in range(2):
        source = json.loads(configure(applicationName=f"{name}-{i}").read_text())
        source["topicName"] = f"{name}-{i}"
        program.catch_up(program.write(source, f"source-{i}.json"))
    for reader in readers:
        assert assert_delivered(table.changes(), reader.read_to_end()) == 0
