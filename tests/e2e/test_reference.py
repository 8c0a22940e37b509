"""The messages against those that Pulsar's Java connector published for the same changes (tests/reference)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Callable

import pulsar
import pytest

from program import QUICK, Program, Run, source_config
from servers import ROOT, DynamoDbLocal, Pulsar
from stream import Change, Table, aws_client
from topic import Message, Reader

REFERENCE = ROOT / "tests" / "reference"
# Not splitlines(): it also splits at U+2028, which stands in one of the values.
RECORDED = [json.loads(line) for line in (REFERENCE / "java-connector-output.jsonl").open(encoding="utf-8")]

# The keys that the design gives the items of operations.json, in the order of the changes.
ITEM_KEYS = {
    "golden_single": ["plain", "binary", "sets", "nested", "unicode", "plain", "plain"],
    "golden_composite": ['["a","1"]'] * 3,
    "golden_new": ["3q2+7w=="] * 2,
    "golden_old": ["7"] * 3,
}

SETS = ("SS", "NS", "BS")


@pytest.fixture(scope="module")
def tables(dynamodb: DynamoDbLocal) -> dict[str, Table]:
    """The tables of operations.json, with all operations done."""
    tables: dict[str, Table] = {}
    client = aws_client("dynamodb", dynamodb.url)
    for operation in json.loads((REFERENCE / "operations.json").read_text()):
        name = operation["table"]
        if operation["op"] == "create":
            schema, attributes = operation["keySchema"], operation["attributeDefinitions"]
            tables[name] = Table(dynamodb.url, name, schema, attributes, operation["viewType"])
        elif operation["op"] == "put":
            client.put_item(TableName=name, Item=decoded(operation["item"]))
        else:
            client.delete_item(TableName=name, Key=decoded(operation["key"]))
    return tables


def decoded(value: Any) -> Any:
    """DynamoDB JSON as boto3 wants it: base64 of B and BS turned into bytes."""
    if isinstance(value, list):
        return [decoded(element) for element in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["B"] and isinstance(value["B"], str):
        return {"B": base64.b64decode(value["B"])}
    if list(value) == ["BS"]:
        return {"BS": [base64.b64decode(element) for element in value["BS"]]}
    return {name: decoded(member) for name, member in value.items()}


def comparable(value: Any) -> Any:
    """DynamoDB Local keeps no order in sets, and Python's dicts compare without one."""
    if isinstance(value, list):
        return [comparable(element) for element in value]
    if not isinstance(value, dict):
        return value
    return {
        name: sorted(member) if name in SETS and isinstance(member, list) else comparable(member)
        for name, member in value.items()
    }


def assert_same_value(mine: bytes, recorded: str) -> None:
    """Member for member; the envelope's members in the recorded order."""
    a, b = json.loads(mine), json.loads(recorded)
    assert list(a) == list(b)
    assert list(a["dynamodb"]) == list(b["dynamodb"])
    created = a["dynamodb"]["ApproximateCreationDateTime"]
    assert isinstance(created, int) and created > 1_000_000_000_000
    for value in (a, b):
        del value["eventID"], value["dynamodb"]["SequenceNumber"]
        del value["dynamodb"]["ApproximateCreationDateTime"]
    assert comparable(a) == comparable(b)


def assert_same_properties(message: Message, change: Change, table: str, event_name: str) -> None:
    assert message.properties == {
        "EVENT_NAME": event_name,
        "SEQUENCE_NUMBER": change.sequence_number,
        "EVENT_ID": change.event_id,
        "SHARD_ID": change.shard,
        "TABLE_NAME": table,
    }
    value = json.loads(message.value)
    assert value["eventID"] == change.event_id
    assert value["dynamodb"]["SequenceNumber"] == change.sequence_number
    assert message.event_ms == value["dynamodb"]["ApproximateCreationDateTime"]


@pytest.mark.parametrize("message_key", ["itemKey", "eventId", "none"])
def test_as_the_java_connector(
    message_key: str,
    program: Program,
    tables: dict[str, Table],
    dynamodb: DynamoDbLocal,
    broker: Pulsar,
    client: pulsar.Client,
    tmp_path: Path,
) -> None:
    def start(table: Table) -> Run:
        config = source_config(
            stream_arn=table.arn,
            dynamodb_url=dynamodb.url,
            pulsar_url=broker.url,
            topic=f"{table.name}-{message_key}",
            application=f"{table.name}-{message_key}",
            state=tmp_path / table.name,
            messageKey=message_key,
            **QUICK,
        )
        return program.run(program.write(config, f"{table.name}.json"), "--until-caught-up")

    expected_key: dict[str, Callable[[str, int, Change], str]] = {
        "itemKey": lambda table, number, change: ITEM_KEYS[table][number],
        "eventId": lambda table, number, change: change.event_id,
        "none": lambda table, number, change: "",
    }
    for run in [start(table) for table in tables.values()]:
        run.succeed()
    for name, table in tables.items():
        messages = Reader(client, f"{name}-{message_key}").read_to_end()
        recorded = [line for line in RECORDED if line["table"] == name]
        changes = table.changes()
        assert len(messages) == len(recorded) == len(changes)
        for number, (message, line, change) in enumerate(zip(messages, recorded, changes)):
            assert_same_value(message.value, line["value"])
            assert_same_properties(message, change, name, line["properties"]["EVENT_NAME"])
            assert message.key == expected_key[message_key](name, number, change)
