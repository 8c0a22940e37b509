"""Several processes of the program that share a stream's shards between the doubles, and what writes into the stream."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

from background import Background
from doubles import Double
from program import CREDENTIALS, Program, Run, wait_for_event
from servers import wait_for
from stream import aws_client, lease_items

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"
TOPIC = "persistent://public/default/orders"
TABLE = "leases"


def shard_ids(count: int) -> list[str]:
    return [f"shardId-0000000170000000{n:04}-{n:08}" for n in range(count)]


def scenario(shards: list[str]) -> str:
    return f"stream {ARN} hash id view NEW_AND_OLD_IMAGES\n" + "".join(f"shard {shard}\n" for shard in shards)


class Writer(Background):
    """Writes into some shards after the others all the time, and knows how much."""

    def __init__(self, aws: Double, shards: list[str], at_once: int) -> None:
        super().__init__(pause=0.1)
        self.written = 0
        self._aws = aws
        self._some = itertools.cycle([shards[i : i + at_once] for i in range(0, len(shards), at_once)])

    def turn(self) -> None:
        shards = next(self._some)
        self._aws.tell("".join(f"fill {s} 7 500 keys 3 name {s[-4:]}\n" for s in shards))
        self.written += 7 * len(shards)


class Fleet:
    def __init__(self, program: Program, folder: Path, aws: Double, broker: Double, **configs: str) -> None:
        self.program = program
        self.table = aws_client("dynamodb", f"http://{aws.address}")
        self.broker = broker
        self.dump = folder / "messages.jsonl"
        self.config = {
            "awsDynamodbStreamArn": ARN,
            "awsEndpoint": f"http://{aws.address}",
            "dynamoEndpoint": f"http://{aws.address}",
            "awsCredentialPluginParam": CREDENTIALS,
            "applicationName": TABLE,
            "initialPositionInStream": "TRIM_HORIZON",
            "serviceUrl": f"pulsar://{broker.address}",
            "topicName": TOPIC,
            "failoverTime": "1500",
            "minPollInterval": "50",
            "maxPollInterval": "200",
            **configs,
        }

    def start(self) -> Run:
        number = len(self.program.runs)
        self.config["stateDirectory"] = str(self.dump.parent / f"state-{number}")
        return self.program.run(self.program.write(self.config, f"worker-{number}.json"))

    def leases(self) -> list[dict[str, Any]]:
        return list(lease_items(self.table, TABLE).values())

    def checkpoint(self, shard: str) -> str:
        return lease_items(self.table, TABLE)[shard]["checkpoint"]["S"]

    def table_number(self, shard: str, index: int) -> str:
        """Sequence number of a shard's record, as it was delivered."""
        numbers = {m["properties"]["SEQUENCE_NUMBER"] for m in self.messages() if m["properties"]["SHARD_ID"] == shard}
        return sorted(numbers, key=int)[index]

    def loads(self) -> list[int]:
        """Leases of each worker; none while some belong to nobody, or are about to be handed over: a look at a large
        table takes a while, and may see an even share that never was."""
        items = self.leases()
        owners = Counter(item.get("leaseOwner", {}).get("S") for item in items)
        moving = None in owners or any("d2pWantedBy" in item for item in items)
        return [] if moving else sorted(owners.values())

    def wait_shared(self, *loads: int, seconds: float = 60) -> None:
        def look() -> bool:
            self.program.assert_well()
            return self.loads() == list(loads)

        wait_for(f"the shards are shared {loads}", look, seconds)

    def checkpoints_of(self, run: Run) -> dict[str, str]:
        """The leases of a worker: their shards, and what their checkpoints say."""
        worker = wait_for_event(run, "lease", "worker")["id"]
        mine = [item for item in self.leases() if item.get("leaseOwner", {}).get("S") == worker]
        return {item["leaseKey"]["S"]: item["checkpoint"]["S"] for item in mine}

    def messages(self) -> list[dict[str, Any]]:
        self.broker.tell(f"dump {self.dump}")
        return [json.loads(line) for line in self.dump.read_text().splitlines()]

    def numbers(self) -> list[str]:
        return [message["properties"]["SEQUENCE_NUMBER"] for message in self.messages()]

    def wait_delivered(self, stream: Writer) -> None:
        wait_for("everything is delivered", lambda: len(set(self.numbers())) == stream.written)

    def assert_repeated_only(self, checkpoints: dict[str, str]) -> None:
        """No record was delivered twice but those of these shards that lay behind their checkpoints."""
        repeated = [numbers for numbers, count in Counter(self.records()).items() if count > 1]
        for shard, number in repeated:
            assert shard in checkpoints, f"record {number} of {shard} came twice, which nobody had lost"
            checkpoint = checkpoints[shard]
            assert not checkpoint.isdigit() or int(number) > int(checkpoint), f"{number} of {shard} was checkpointed"

    def records(self) -> list[tuple[str, str]]:
        return [(m["properties"]["SHARD_ID"], m["properties"]["SEQUENCE_NUMBER"]) for m in self.messages()]
