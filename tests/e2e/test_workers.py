"""Several processes share a stream's shards: evenly, through joins, kills and clean stops, and nothing is lost."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

import pytest

from doubles import Double
from fleet import TOPIC, Fleet, Writer, scenario, shard_ids
from program import Program
from servers import wait_for
from topic import by_item

SHARDS = shard_ids(12)
MANY_SHARDS = shard_ids(1000)


def pair_of_doubles(folder: Path, shards: list[str]) -> Iterator[tuple[Double, Double]]:
    pair = Double("fake_aws", folder, scenario(shards)), Double("fake_broker", folder, f"partitions {TOPIC} 3\n")
    try:
        for double in pair:
            double.start()
        yield pair
    finally:
        for double in pair:
            double.kill()


@pytest.fixture
def doubles(tmp_path: Path) -> Iterator[tuple[Double, Double]]:
    yield from pair_of_doubles(tmp_path, SHARDS)


@pytest.fixture
def large_doubles(tmp_path: Path) -> Iterator[tuple[Double, Double]]:
    yield from pair_of_doubles(tmp_path, MANY_SHARDS)


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
    with Writer(doubles[0], SHARDS, at_once=len(SHARDS)) as stream:
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
    with Writer(doubles[0], SHARDS, at_once=len(SHARDS)) as stream:
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


@pytest.mark.optimised_only  # a thousand shards: the code is the same as with twelve
def test_four_workers_share_a_thousand_shards(
    program: Program, tmp_path: Path, large_doubles: tuple[Double, Double]
) -> None:
    """Evenly after their start, after one was killed and after one has joined. Nothing is lost, and only what the killed
    one had not checkpointed comes twice."""
    fleet = Fleet(program, tmp_path, *large_doubles, failoverTime="4000", minPollInterval="500", maxPollInterval="1000")
    with Writer(large_doubles[0], MANY_SHARDS, at_once=100) as stream:
        runs = [fleet.start() for _ in range(4)]
        fleet.wait_shared(250, 250, 250, 250)
        fleet.assert_repeated_only({})

        killed = runs.pop()
        killed.kill()
        left_behind = fleet.checkpoints_of(killed)
        assert len(left_behind) == 250
        fleet.wait_shared(333, 333, 334)
        runs.append(fleet.start())
        fleet.wait_shared(250, 250, 250, 250)
    fleet.wait_delivered(stream)
    for run in runs:
        assert run.terminate() == 0
    fleet.assert_repeated_only(left_behind)
    assert all("leaseOwner" not in item for item in fleet.leases())
    assert large_doubles[1].ask("violation") in ("", '""'), "a producer broke the protocol"
