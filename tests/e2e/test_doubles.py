"""The whole program between the doubles, with what no real server can be made to do, all in one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator

import pytest

from doubles import Double
from program import CREDENTIALS, Program
from topic import by_item

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"
PARENT, LEFT, RIGHT = (f"shardId-0000000170000000000{n}-0000000{n}" for n in (0, 1, 2))
TOPIC = "persistent://public/default/orders"
LONG_AGO = 1700000000000  # before the program's start, so that nothing but the shards' ends ends it

# A split while AWS and the network misbehave in every way that passes.
AWS = f"""
stream {ARN} hash id view NEW_AND_OLD_IMAGES
shard {PARENT}
fill {PARENT} 9000 600 keys 60 name item at {LONG_AGO}
split {PARENT} {LEFT} {RIGHT} hidden 2
fill {LEFT} 3000 600 keys 60 name item at {LONG_AGO}
fill {RIGHT} 2000 600 keys 60 name other at {LONG_AGO}
close {LEFT}
close {RIGHT}
stream-status DISABLED
child-shards on
clock-skew 400000
signature-window 300000
throttle GetRecords 2 after 3
fail GetRecords 2 500 InternalServerError after 5
crc GetRecords 1 after 7
cut GetRecords 1 5000 after 8
html GetRecords 1 after 9
drop-after UpdateItem 1 after 1
"""

BROKER = f"""
brokers 3
partitions {TOPIC} 4
owner {TOPIC}-partition-1 1
owner {TOPIC}-partition-2 2
redirect LOOKUP 1 2
fail PRODUCER 1 ServiceNotReady
fail SEND 1 PersistenceError after 6
drop-after SEND 1 after 12
cut SEND 1 3 after 20
"""


@pytest.fixture
def doubles(tmp_path: Path) -> Iterator[tuple[Double, Double]]:
    pair = Double("fake_aws", tmp_path, AWS), Double("fake_broker", tmp_path, BROKER)
    try:
        for double in pair:
            double.start()
        yield pair
    finally:
        for double in pair:
            double.kill()


def test_everything_arrives_through_every_passing_fault(
    program: Program, doubles: tuple[Double, Double], tmp_path: Path
) -> None:
    aws, broker = doubles
    config = program.write(
        {
            "awsDynamodbStreamArn": ARN,
            "awsEndpoint": f"http://{aws.address}",
            "dynamoEndpoint": f"http://{aws.address}",
            "awsCredentialPluginParam": CREDENTIALS,
            "applicationName": "leases",
            "initialPositionInStream": "TRIM_HORIZON",
            "stateDirectory": str(tmp_path / "state"),
            "serviceUrl": f"pulsar://{broker.address}",
            "topicName": TOPIC,
            "minPollInterval": "20",
            "batchingMaxMessages": "200",
        }
    )
    program.catch_up(config)

    assert broker.ask("violation") in ("", '""'), "the producer broke the protocol"
    stored = tmp_path / "messages.jsonl"
    broker.tell(f"dump {stored}")
    messages = [json.loads(line) for line in stored.read_text().splitlines()]
    numbers = [message["properties"]["SEQUENCE_NUMBER"] for message in messages]
    assert len(set(numbers)) == 14_000
    # By item: the first occurrences rise, on one partition only, over the split too.
    seen: set[str] = set()
    partitions: dict[str, set[int]] = {}
    firsts = []
    for message, number in zip(messages, numbers):
        partitions.setdefault(message["key"], set()).add(message["partition"])
        if number not in seen:
            seen.add(number)
            firsts.append((message["key"], number))
    for item, of_item in by_item(firsts).items():
        assert of_item == sorted(of_item, key=int), item
    assert all(len(places) == 1 for places in partitions.values())


def test_the_lease_table_is_in_another_account(program: Program, tmp_path: Path) -> None:
    """Each service takes only its own account's key."""
    stream = f"stream {ARN} hash id view NEW_AND_OLD_IMAGES\nshard {PARENT}\nfill {PARENT} 100 600\n"
    folders = [tmp_path / "streams", tmp_path / "table"]
    for folder in folders:
        folder.mkdir()
    streams = Double("fake_aws", folders[0], stream + "credentials READER\n")
    table = Double("fake_aws", folders[1], "credentials WRITER\n")
    try:
        streams.start()
        table.start()
        configuration = {
            "awsDynamodbStreamArn": ARN,
            "awsEndpoint": f"http://{streams.address}",
            "awsCredentialPluginParam": json.dumps({"accessKey": "READER", "secretKey": "r"}),
            "leaseTable": {
                "endpoint": f"http://{table.address}",
                "awsRegion": "eu-west-1",
                "awsCredentialPluginParam": json.dumps({"accessKey": "WRITER", "secretKey": "w"}),
            },
            "initialPositionInStream": "TRIM_HORIZON",
            "sink": "none",
            "stateDirectory": str(tmp_path / "state"),
        }
        config = program.write(configuration)
        check = program.start("check", "-c", config)
        assert check.wait() == 0, check.stdout
        assert "static keys; lease table: static keys" in check.stdout
        assert program.catch_up(config).event("source", "ended")["delivered"] == 100

        configuration["leaseTable"]["awsCredentialPluginParam"] = configuration["awsCredentialPluginParam"]
        refused = program.start("run", "-c", program.write(configuration))
        assert refused.wait() == 3, refused.stderr
        assert "lease table pulsar-dynamodb: DescribeTable: UnrecognizedClientException" in refused.stderr
    finally:
        streams.kill()
        table.kill()
