"""The writer's side: tables with streams, written and read back with boto3, independent of the program."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Callable

import boto3
from botocore.config import Config

from background import Background
from servers import ACCESS_KEY, REGION, SECRET_KEY, wait_for


def aws_client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 3}),
    )


def lease_items(dynamodb: Any, table: str) -> dict[str, dict[str, Any]]:
    """The items of a lease table by shard; empty when there is no such table yet."""
    try:
        items = dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
    except dynamodb.exceptions.ResourceNotFoundException:
        return {}
    return {item["leaseKey"]["S"]: item for item in items}


@dataclass(frozen=True)
class Change:
    """One record of the stream, as boto3 reads it."""

    sequence_number: str
    event_id: str
    event_name: str
    shard: str
    keys: tuple[tuple[str, str], ...]
    record: dict[str, Any]

    @property
    def item(self) -> str:
        """The item's key as text, for tables whose key is `id`."""
        return dict(self.keys)["id"]


class Stream:
    """A stream, as boto3 reads it."""

    def __init__(self, url: str, arn: str) -> None:
        self.arn = arn
        self.streams = aws_client("dynamodbstreams", url)

    def shards(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        start: dict[str, str] = {}
        while True:
            page = self.streams.describe_stream(StreamArn=self.arn, **start)["StreamDescription"]
            shards += page["Shards"]
            if "LastEvaluatedShardId" not in page:
                return shards
            start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}

    def changes(self) -> list[Change]:
        """Everything that is in the stream now, in the order of sequence numbers."""
        changes = [change for shard in self.shards() for change in self._shard_changes(shard["ShardId"])]
        return sorted(changes, key=lambda change: int(change.sequence_number))

    def _shard_changes(self, shard: str) -> list[Change]:
        changes: list[Change] = []
        iterator = self.streams.get_shard_iterator(
            StreamArn=self.arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = self.streams.get_records(ShardIterator=iterator, Limit=1000)
            if not page["Records"]:
                break
            changes += [_change(record, shard) for record in page["Records"]]
            iterator = page.get("NextShardIterator")
        return changes


class Table(Stream):
    """A table with a stream."""

    def __init__(
        self,
        url: str,
        name: str,
        key_schema: list[dict[str, str]] | None = None,
        attributes: list[dict[str, str]] | None = None,
        view: str = "NEW_AND_OLD_IMAGES",
    ) -> None:
        self.name = name
        self.dynamodb = aws_client("dynamodb", url)
        description = self.dynamodb.create_table(
            TableName=name,
            KeySchema=key_schema or [{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=attributes or [{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
        )["TableDescription"]
        super().__init__(url, description["LatestStreamArn"])
        wait_for("the table is active", lambda: self._status() == "ACTIVE")

    def _status(self) -> str:
        return self.dynamodb.describe_table(TableName=self.name)["Table"]["TableStatus"]

    def put(self, item: str, n: int, **attributes: Any) -> None:
        self.dynamodb.put_item(
            TableName=self.name, Item={"id": {"S": item}, "n": {"N": str(n)}, **attributes}
        )

    def delete(self, item: str) -> None:
        self.dynamodb.delete_item(TableName=self.name, Key={"id": {"S": item}})

    def put_many(self, count: int, item_name: Callable[[int], str] = "item-{}".format, **attributes: Any) -> None:
        """count different items in batches of 25, which is as fast as it gets."""
        for start in range(0, count, 25):
            self.write_batch(
                [
                    {"PutRequest": {"Item": {"id": {"S": item_name(i)}, "n": {"N": str(i)}, **attributes}}}
                    for i in range(start, min(start + 25, count))
                ]
            )

    def write_batch(self, requests: list[dict[str, Any]]) -> None:
        left = self.dynamodb.batch_write_item(RequestItems={self.name: requests})["UnprocessedItems"]
        assert not left, left

    def disable_stream(self) -> None:
        self.dynamodb.update_table(TableName=self.name, StreamSpecification={"StreamEnabled": False})

    def leases(self, application: str) -> dict[str, dict[str, Any]]:
        return lease_items(self.dynamodb, application)

    def checkpoint(self, application: str) -> int:
        """The checkpoint of the only shard, as a number; -1 before there is one."""
        leases = list(self.leases(application).values())
        if not leases:
            return -1
        assert len(leases) == 1, leases
        text = leases[0]["checkpoint"]["S"]
        return int(text) if text.isdigit() else -1


def _change(record: dict[str, Any], shard: str) -> Change:
    data = record["dynamodb"]
    return Change(
        sequence_number=data["SequenceNumber"],
        event_id=record["eventID"],
        event_name=record["eventName"],
        shard=shard,
        keys=tuple((name, str(next(iter(value.values())))) for name, value in data["Keys"].items()),
        record=record,
    )


class Writer(Background):
    """Changes all items of a table again and again."""

    def __init__(self, table: Table, items: int = 17, payload: int = 100, pause: float = 0.05) -> None:
        super().__init__(pause)
        self.written = 0
        self._table = table
        self._items = items
        self._payload = {"S": "x" * payload}
        self._turns = itertools.count()

    def turn(self) -> None:
        """One batch with every item once: a put, and every seventh turn a delete."""
        turn = next(self._turns)
        requests = []
        for number in range(self._items):
            key = {"id": {"S": f"item-{number}"}}
            if turn % 7 == 6:
                requests.append({"DeleteRequest": {"Key": key}})
            else:
                item = {**key, "n": {"N": str(self.written + number)}, "payload": self._payload}
                requests.append({"PutRequest": {"Item": item}})
        self._table.write_batch(requests)
        self.written += len(requests)
