"""What is wrong is said in one sentence that names the thing, the reason and a remedy, with the right exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest

from program import Program, Run, wait_for_event
from servers import Pulsar, free_port
from stream import Table

Configure = Callable[..., Path]

USAGE, AWS, PULSAR = 2, 3, 4
MISSING_STREAM = "arn:aws:dynamodb:ddblocal:000000000000:table/no-such-table/stream/2026-01-01T00:00:00.000"


def refused(run: Run, code: int, *words: str, seconds: float = 60) -> None:
    """The run ends with this code, and the last line of its log has all these words."""
    assert run.wait(seconds) == code, run.stderr
    last = run.stderr.rstrip("\n").rpartition("\n")[2]
    for word in words:
        assert word in last, f"'{word}' is missing in: {last}"


def edited(program: Program, config: Path, edit: Callable[[dict[str, Any]], Any]) -> Path:
    source = json.loads(config.read_text())
    edit(source)
    return program.write(source, "edited.json")


def test_no_such_stream(program: Program, configure: Configure) -> None:
    config = configure(awsDynamodbStreamArn=MISSING_STREAM)
    for command in ("run", "tail"):
        refused(
            program.start(command, "-c", config), AWS, MISSING_STREAM, "does not exist", "awsDynamodbStreamArn"
        )
    check = program.start("check", "-c", config)
    assert check.wait() == AWS
    assert f"FAIL  stream         {MISSING_STREAM} does not exist" in check.stdout


def test_lease_table_deleted_while_running(
    program: Program, configure: Configure, table: Table, name: str
) -> None:
    """A lease table that goes while the program runs is an error, and never a silent new start."""
    table.put_many(10)
    config = configure(failoverTime="1000")
    program.catch_up(config)
    run = program.run(config)
    wait_for_event(run, "shard", "open")
    table.dynamodb.delete_table(TableName=name)
    refused(run, AWS, name, "deleted")


def test_no_pulsar_at_that_address(program: Program, configure: Configure) -> None:
    address = f"127.0.0.1:{free_port()}"
    config = configure(serviceUrl=f"pulsar://{address}")
    run = program.start("run", "-c", config)
    check = program.start("check", "-c", config)
    assert check.wait() == PULSAR
    assert address in check.stdout and "Connection refused" in check.stdout
    refused(run, PULSAR, address, "Connection refused", "serviceUrl")


def test_no_dynamodb_at_that_address(program: Program, configure: Configure) -> None:
    address = f"127.0.0.1:{free_port()}"
    check = program.start("check", "-c", configure(awsEndpoint=f"http://{address}"))
    assert check.wait() == AWS
    assert address in check.stdout


def test_no_such_topic(
    program: Program, configure: Configure, table: Table, broker: Pulsar, name: str
) -> None:
    """In a namespace where topics do not come into being by themselves."""
    broker.admin("PUT", f"namespaces/public/{name}")
    broker.admin("POST", f"namespaces/public/{name}/autoTopicCreation", {"allowAutoTopicCreation": False})
    topic = f"persistent://public/{name}/missing"
    table.put_many(1)
    config = edited(program, configure(), lambda source: source.update(topicName=topic))
    refused(program.start("run", "-c", config), PULSAR, topic, "TopicNotFound", "create the topic")
    check = program.start("check", "-c", config)
    assert check.wait() == 0
    assert f"note  topic          {topic} does not exist" in check.stdout


def test_check_finds_nothing_wrong(program: Program, configure: Configure, broker: Pulsar, name: str) -> None:
    broker.create_topic(name, 3)
    check = program.start("check", "-c", configure())
    assert check.wait() == 0, check.stdout
    for what in ("configuration", "credentials", "stream", "lease table", "topic"):
        assert any(line.startswith(f"ok    {what}") for line in check.stdout.split("\n")), check.stdout
    assert "3 partitions" in check.stdout


@pytest.mark.parametrize(
    ("configs", "words"),
    [
        ({"aplicationName": "x"}, ["edited.json:", "aplicationName", "did you mean applicationName"]),
        ({"minPollInterval": "0"}, ["edited.json:", "minPollInterval", '"0"', "1 to 60000 ms"]),
        ({"initialPositionInStream": "EARLIEST"}, ["initialPositionInStream", "EARLIEST", "TRIM_HORIZON"]),
        ({"awsDynamodbStreamArn": "my-table"}, ["awsDynamodbStreamArn", "my-table", "arn:<partition>:dynamodb:"]),
        ({"awsDynamodbStreamArn": ""}, ["awsDynamodbStreamArn is missing"]),
        ({"serviceUrl": "http://127.0.0.1:8080"}, ["serviceUrl", "http://127.0.0.1:8080", "pulsar://"]),
        ({"awsCredentialPluginParam": "hunter2"}, ["awsCredentialPluginParam", "accessKey"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_configuration(
    program: Program, configure: Configure, configs: dict[str, str], words: list[str]
) -> None:
    config = edited(program, configure(), lambda source: source["configs"].update(configs))
    run = program.start("run", "-c", config)
    refused(run, USAGE, *words)
    assert "hunter2" not in run.stderr
    assert run.stdout == ""


def test_wrong_command_line(program: Program) -> None:
    refused(program.start("rum"), USAGE, '"rum"', "did you mean run?")
    refused(program.start("run", "-c", "no-such-file.json"), USAGE, "no-such-file.json")
    refused(program.start("run", "--colour"), USAGE, "--colour")
