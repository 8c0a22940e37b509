"""Several processes share a stream's shards: evenly, through joins, kills and clean stops, and nothing is lost."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

import pytest

from doubles import Double
from program import CREDENTIALS, Program, Run
from servers import wait_for
from stream import aws_client
from topic import by_item

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"
TOPIC = "persistent://public/default/orders"
SHARDS = [f"shardId-0000000170000000{n:04}-{n:08}" for n in range(12)]
STREAM = f"stream {ARN} hash id view NEW_AND_OLD_IMAGES\n" + "".join(f"shard {shard}\n" for shard in SHARDS)
TABLE = "leases"


@pytest.fixture
def doubles(tmp_path: Path) -> Iterator[tuple[Double, Double]]:
    pair = Double("fake_aws", tmp_path, STREAM), Double("fake_broker", tmp_path, f"partitions {TOPIC} 3\n")
    try:
        for double in pair:
            double.start()
        yield pair
    finally:
        for double in pair:
            double.kill()


class Stream:
    """Writes into all shards all the time, in a thread of its own, and knows how much."""

    def __init__(self, aws: Double) -> None:
        self.written = 0
        self._aws = aws
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.1):
                self._aws.tell("".join(f"fill {s} 7 500 keys 3 name {s[-4:]}\n" for s in SHARDS))
                self.written += 7 * len(SHARDS)
        except BaseException as failure:  # raised at the end, where the test sees it
            self._failure = failure


class Fleet:
    def __init__(self, program: Program, folder: Path, aws: Double, broker: Double) -> None:
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
        }

    def start(self) -> Run:
        number = len(self.program.runs)
        self.config["stateDirectory"] = str(self.dump.parent / f"state-{number}")
        return self.program.run(self.program.write(self.config, f"worker-{number}.json"))

    def leases(self) -> list[dict[str, Any]]:
        return self.table.scan(TableName=TABLE)["Items"]

    def checkpoint(self, shard: str) -> str:
        return next(item["checkpoint"]["S"] for item in self.leases() if item["leaseKey"]["S"] == shard)

    def table_number(self, shard: str, index: int) -> str:
        """Sequence number of a shard's record, as it was delivered."""
        numbers = {m["properties"]["SEQUENCE_NUMBER"] for m in self.messages() if m["properties"]["SHARD_ID"] == shard}
        return sorted(numbers, key=int)[index]

    def loads(self) -> list[int]:
        try:
            owners = Counter(item.get("leaseOwner", {}).get("S") for item in self.leases())
        except self.table.exceptions.ResourceNotFoundException:
            return []
        return [] if None in owners else sorted(owners.values())

    def wait_shared(self, *loads: int) -> None:
        def look() -> bool:
            self.program.assert_well()
            return self.loads() == list(loads)

        wait_for(f"the shards are shared {loads}", look)

    def messages(self) -> list[dict[str, Any]]:
        self.broker.tell(f"dump {self.dump}")
        return [json.loads(line) for line in self.dump.read_text().splitlines()]

    def numbers(self) -> list[str]:
        return [message["properties"]["SEQUENCE_NUMBER"] for message in self.messages()]

    def wait_delivered(self, stream: Stream) -> None:
        wait_for("everything is delivered", lambda: len(set(self.numbers())) == stream.written)


@pytest.fixture
def fleet(program: Program, tmp_path: Path, doubles: tuple[Double, Double]) -> Fleet:
    return Fleet(program, tmp_path, *doubles)


def look(fleet: Fleet, command: str, *options: str) -> str:
    config = fleet.program.write({**fleet.config, "stateDirectory": ""}, "look.json")
    run = fleet.program.start(command, "-c", config, *options)
    run.succeed()
    return run.stdout


def test_status_and_shards_tell_what_is(fleet: Fleet, doubles: tuple[Double, Double]) -> None:
    aws = doubles[0]
    before = json.loads(look(fleet, "status", "--json"))
    assert (before["leaseTableExists"], before["openShards"], before["shardsWithoutLease"]) == (False, 12, 12)
    assert before["workers"] == []

    aws.tell("".join(f"fill {s} 5 500 keys 3 name {s[-4:]}\n" for s in SHARDS))
    first, second = fleet.start(), fleet.start()
    fleet.wait_shared(6, 6)
    wait_for("everything is delivered", lambda: len(set(fleet.numbers())) == 60)
    wait_for("and checkpointed", lambda: all(item["checkpoint"]["S"].isdigit() for item in fleet.leases()))
    status = json.loads(look(fleet, "status", "--json"))
    assert [(worker["shards"], worker["alive"]) for worker in status["workers"]] == [(6, True), (6, True)]
    assert status["behindMs"] == 0
    assert status["idleReadsPerMonth"] == 12 * 30 * 24 * 3600 * 5

    first.kill()
    second.kill()
    aws.tell(f"fill {SHARDS[3]} 5 500 name x at {1000 * (int(time.time()) - 3600)}\n")
    status = json.loads(look(fleet, "status", "--json"))
    assert [worker["alive"] for worker in status["workers"]] == [False, False]
    assert 3_590_000 < status["behindMs"] < 3_700_000
    text = look(fleet, "status")
    assert "12 open; 0 read to their end, 12 not, 0 without a lease" in text
    assert f"behind    60 min at most, by checkpoint ({SHARDS[3]})" in text
    assert "no sign of life" in text

    aws.tell(f"split {SHARDS[0]} shardId-00000001700000001000-00000100\n")
    listing = json.loads(look(fleet, "shards", "--json"))["shards"]
    assert len(listing) == 13
    by_id = {shard["shardId"]: shard for shard in listing}
    child = by_id["shardId-00000001700000001000-00000100"]
    assert (child["state"], child["parentShardId"], "checkpoint" in child) == ("open", SHARDS[0], False)
    assert by_id[SHARDS[0]]["state"] == "closed"
    assert by_id[SHARDS[1]]["owner"] in {worker["id"] for worker in status["workers"]}
    lines = look(fleet, "shards").splitlines()
    assert f"open      shardId-00000001700000001000-00000100  of {SHARDS[0]}  no lease" in lines


def test_reset(fleet: Fleet, doubles: tuple[Double, Double]) -> None:
    aws = doubles[0]
    child = "shardId-00000001700000001000-00000100"
    aws.tell("".join(f"fill {s} 5 500 keys 3 name {s[-4:]}\n" for s in SHARDS))
    aws.tell(f"split {SHARDS[0]} {child}\nfill {child} 5 500 name x\n")
    run = fleet.start()
    wait_for("everything is delivered", lambda: len(set(fleet.numbers())) == 65)
    config = fleet.program.write({**fleet.config, "stateDirectory": ""}, "reset.json")

    refused = fleet.program.start("reset", "-c", config, "--to", "LATEST")
    assert refused.wait() == 2
    assert "stop all workers of leases before a reset" in refused.stderr
    assert run.terminate() == 0
    assert fleet.checkpoint(SHARDS[0]) == "SHARD_END"
    last = fleet.checkpoint(SHARDS[1])

    def reset(*options: str) -> dict[str, int]:
        done = fleet.program.start("reset", "-c", config, "--json", *options)
        done.succeed()
        return json.loads(done.stdout)

    assert reset("--to", "TRIM_HORIZON") == {"changed": 13, "made": 0, "unchanged": 0}
    assert reset("--to", "TRIM_HORIZON") == {"changed": 0, "made": 0, "unchanged": 13}
    assert {item["checkpoint"]["S"] for item in fleet.leases()} == {"TRIM_HORIZON"}
    # One shard read again from the middle of what it holds, one not at all.
    middle = fleet.table_number(SHARDS[1], 2)
    assert reset("--to", "LATEST") == {"changed": 13, "made": 0, "unchanged": 0}
    assert fleet.checkpoint(SHARDS[0]) == "SHARD_END"
    assert fleet.checkpoint(child) == "LATEST"
    assert reset("--to", middle, "--shard", SHARDS[1]) == {"changed": 1, "made": 0, "unchanged": 0}
    before = Counter(fleet.numbers())
    run = fleet.start()
    wait_for("the rest of the shard", lambda: Counter(fleet.numbers()).total() == before.total() + 2)
    wait_for("its checkpoint", lambda: fleet.checkpoint(SHARDS[1]) == last)
    assert run.terminate() == 0
    again = Counter(fleet.numbers()) - before
    assert sorted(again.elements()) == [fleet.table_number(SHARDS[1], 3), fleet.table_number(SHARDS[1], 4)]
    # All of it once more, in order, over the shard's end too.
    reset("--to", "2020-01-01")
    before = Counter(fleet.numbers())
    run = fleet.start()
    wait_for("everything again", lambda: Counter(fleet.numbers()).total() == before.total() + 65)
    assert run.terminate() == 0
    assert set((Counter(fleet.numbers()) - before).values()) == {1}

    unknown = fleet.program.start("reset", "-c", config, "--to", "LATEST", "--shard", "shardId-none")
    assert unknown.wait() == 2
    assert "no shard shardId-none" in unknown.stderr
    wrong = fleet.program.start("reset", "-c", config, "--to", "yesterday")
    assert wrong.wait() == 2
    assert 'allowed: TRIM_HORIZON, LATEST, a time' in wrong.stderr


def test_shards_are_shared_through_joins_kills_and_stops(fleet: Fleet, doubles: tuple[Double, Double]) -> None:
    with Stream(doubles[0]) as stream:
        first = fleet.start()
        fleet.wait_shared(12)
        second = fleet.start()
        fleet.wait_shared(6, 6)
        third = fleet.start()
        fleet.wait_shared(4, 4, 4)
        # What was handed over was acknowledged and checkpointed before.
        assert max(Counter(fleet.numbers()).values()) == 1

        second.kill()
        fleet.wait_shared(6, 6)
        fourth = fleet.start()
        fleet.wait_shared(4, 4, 4)
        assert first.terminate() == 0
        fleet.wait_shared(6, 6)
    fleet.wait_delivered(stream)
    assert third.terminate() == 0
    assert fourth.terminate() == 0

    assert all("leaseOwner" not in item and "d2pWantedBy" not in item for item in fleet.leases())
    assert doubles[1].ask("violation") in ("", '""'), "a producer broke the protocol"
    seen: set[str] = set()
    firsts = []
    for message in fleet.messages():
        number = message["properties"]["SEQUENCE_NUMBER"]
        if number not in seen:
            seen.add(number)
            firsts.append((message["key"], number))
    for item, numbers in by_item(firsts).items():
        assert numbers == sorted(numbers, key=int), item


def test_clean_stops_repeat_nothing(fleet: Fleet, doubles: tuple[Double, Double]) -> None:
    """Each worker in turn hands everything to the next one, while records come."""
    with Stream(doubles[0]) as stream:
        run = fleet.start()
        fleet.wait_shared(12)
        for _ in range(3):
            following = fleet.start()
            fleet.wait_shared(6, 6)
            assert run.terminate() == 0
            fleet.wait_shared(12)
            run = following
    fleet.wait_delivered(stream)
    assert run.terminate() == 0
    assert max(Counter(fleet.numbers()).values()) == 1
