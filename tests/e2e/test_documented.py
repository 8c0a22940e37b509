"""The examples of Pulsar's own documentation of the DynamoDB source: with a stream, keys and endpoints that exist in the
place of theirs, each starts as it stands there, and delivers."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pulsar
import pytest

from doubles import Double
from program import Program, Run
from servers import ACCESS_KEY, SECRET_KEY, DynamoDbLocal, Pulsar
from stream import Table
from topic import Reader, assert_exactly_once

ARN = "arn:aws:dynamodb:us-west-2:111122223333:table/TestTable/stream/2015-05-11T21:21:33.291"
ENDPOINT = "https://some.endpoint.aws"
KEYS = '{\\"accessKey\\":\\"myKey\\",\\"secretKey\\":\\"my-Secret\\"}'
LEASES = "My-test-application"

PROPERTIES = f"""\
    "awsEndpoint": "{ENDPOINT}",
    "awsRegion": "us-east-1",
    "awsDynamodbStreamArn": "{ARN}",
    "awsCredentialPluginParam": "{KEYS}",
    "applicationName": "My test application",
    "checkpointInterval": "30000",
    "backoffTime": "4000",
    "numRetries": "3",
    "receiveQueueSize": 2000,
    "initialPositionInStream": "TRIM_HORIZON",
    "startAtTime": "2019-03-05T19:28:58.000Z"
"""

YAML = f"""\
configs:
    awsEndpoint: "{ENDPOINT}"
    awsRegion: "us-east-1"
    awsDynamodbStreamArn: "{ARN}"
    awsCredentialPluginParam: "{KEYS}"
    applicationName: "My test application"
    checkpointInterval: 30000
    backoffTime: 4000
    numRetries: 3
    receiveQueueSize: 2000
    initialPositionInStream: "TRIM_HORIZON"
    startAtTime: "2019-03-05T19:28:58.000Z"
"""

# The defaults that the documentation has for what may be left out: empty strings, some of them with a space.
BLANK = """\
    dynamoEndpoint: " "
    cloudwatchEndpoint: " "
    awsCredentialPluginName: ""
"""

EXAMPLES = {
    "json": '{\n  "configs": {\n' + PROPERTIES + "  }\n}\n",
    "json without configs": "{\n" + PROPERTIES + "}\n",
    "yaml": YAML,
    "no date": YAML.replace("2019-03-05T19:28:58.000Z", ""),
    "blank": YAML.replace(ENDPOINT, " ") + BLANK,
}


def start(program: Program, example: str, url: str, topic: str, service_url: str) -> Run:
    """What an example cannot say comes from without: the topic, and the endpoint of the other service."""
    keys = KEYS.replace("myKey", ACCESS_KEY).replace("my-Secret", SECRET_KEY)
    path = program.folder / ("source.json" if example.startswith("{") else "source.yaml")
    path.write_text(example.replace(ENDPOINT, url).replace(KEYS, keys))
    arguments = ["--until-caught-up", "--set", f"topicName={topic}", "--set", f"serviceUrl={service_url}"]
    environment = {"AWS_ENDPOINT_URL": url, "XDG_STATE_HOME": str(program.folder)}
    return program.start("run", "-c", path, "--log-format", "json", *arguments, environment=environment)


def notes(run: Run) -> list[str]:
    return [event["text"] for event in run.events() if (event["area"], event["event"]) == ("config", "note")]


@pytest.fixture
def no_leases(dynamodb: DynamoDbLocal, table: Table) -> Iterator[None]:
    """All examples have the same lease table."""
    yield
    table.dynamodb.delete_table(TableName=LEASES)


@pytest.mark.usefixtures("no_leases")
@pytest.mark.parametrize("example", EXAMPLES)
def test_it_starts_and_delivers(
    example: str, program: Program, table: Table, dynamodb: DynamoDbLocal, broker: Pulsar, reader: Reader, name: str
) -> None:
    table.put_many(100)
    text = EXAMPLES[example].replace(ARN, table.arn)
    run = start(program, text, dynamodb.url, name, broker.url)
    run.succeed()
    assert_exactly_once(table.changes(), reader.read_to_end())
    assert table.checkpoint(LEASES) == int(table.changes()[-1].sequence_number)
    assert notes(run).count(f"the lease table of applicationName My test application is {LEASES}") == 1
    assert len([note for note in notes(run) if note.startswith("startAtTime is ignored")]) == (example != "no date")


def test_region_and_arn_as_they_are(
    program: Program, broker: Pulsar, client: pulsar.Client, name: str, tmp_path: Path
) -> None:
    """DynamoDB Local's streams have no region; this service has the very stream of the example. As its endpoint is given,
    requests for it are signed for awsRegion, which the lease table has anyway."""
    shard = "shardId-00000001700000000000-00000000"
    aws = Double("fake_aws", tmp_path, f"stream {ARN} hash id view NEW_AND_OLD_IMAGES\nshard {shard}\nfill {shard} 100 600\n")
    aws.start()
    run = start(program, EXAMPLES["json"], f"http://{aws.address}", name, broker.url)
    run.succeed()
    aws.kill()
    messages = Reader(client, name).read_to_end()
    assert len({message.sequence_number for message in messages}) == len(messages) == 100
    (note,) = [note for note in notes(run) if "is not the ARN's region" in note]
    assert note.endswith("the lease table is in us-east-1, the stream is read in us-east-1")
