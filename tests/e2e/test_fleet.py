"""Three workers on one stream, killed and stopped at random while it is written: nothing is lost, no item's order is
broken, and nobody repeats what was checkpointed. D2P_FLEET_SECONDS=600 makes long tests of these."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from leases import LeaseTable, Watch, assert_nothing_checkpointed_again, our_tenures
from program import Program, Run, wait_for_event
from servers import DynamoDbLocal
from shards import ShardedStream
from stream import Table, Writer
from test_crash import read_new, seeded
from topic import Reader, assert_delivered

SECONDS = float(os.environ.get("D2P_FLEET_SECONDS", "15"))
pytestmark = pytest.mark.timeout(240 + 2 * SECONDS, func_only=True)


class Fleet:
    """Three workers. One that is gone comes back, mostly as the one it was, sometimes as another one."""

    def __init__(self, program: Program, config: dict[str, Any], chance: random.Random) -> None:
        self._program = program
        self._config = config
        self._chance = chance
        self._states = 0
        self._workers: list[tuple[str, Run]] = [self._start(self._new_state()) for _ in range(3)]

    def _new_state(self) -> str:
        self._states += 1
        return f"state-{self._states}"

    def _start(self, state: str) -> tuple[str, Run]:
        self._config["configs"]["stateDirectory"] = str(self._program.folder / state)
        return state, self._program.run(self._program.write(self._config, f"{state}.json"))

    def end_one(self) -> None:
        chance = self._chance
        number = chance.randrange(3)
        state, run = self._workers[number]
        if chance.random() < 0.5:
            run.kill()
        else:
            wait_for_event(run, "lease", "worker")  # before that a signal ends it as it ends any process
            assert run.terminate() == 0, run.stderr
        time.sleep(chance.choice([0, 0, chance.uniform(0, 3)]))
        self._workers[number] = self._start(state if chance.random() < 0.7 else self._new_state())

    def end(self) -> None:
        for _, run in self._workers:
            wait_for_event(run, "lease", "worker")
            assert run.terminate() == 0, run.stderr


def harass(fleet: Fleet, reader: Reader, chance: random.Random, more: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        more()
        if chance.random() < 0.5:
            read_new(reader, chance.randrange(1, 300))
        else:
            time.sleep(chance.uniform(0, 1.5))
        fleet.end_one()


def read_config(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(path.read_text())
    return config


# The many shards are for the sanitizers too; here they would find what they find in test_crash.
@pytest.mark.optimised_only
def test_one_shard(
    program: Program,
    configure: Callable[..., Path],
    table: Table,
    dynamodb: DynamoDbLocal,
    reader: Reader,
    name: str,
) -> None:
    chance = seeded()
    with Watch(LeaseTable(dynamodb.url, name)) as watch:
        with Writer(table) as writer:
            fleet = Fleet(program, read_config(configure(failoverTime="1500")), chance)
            harass(fleet, reader, chance)
        reader.read_until("everything", lambda: len(reader.distinct()) == writer.written)
        fleet.end()
    messages = reader.read_to_end()
    duplicates = assert_delivered(table.changes(), messages)
    print(f"{duplicates} duplicates in {len(messages)} messages after {len(program.runs) - 3} ends")
    assert_nothing_checkpointed_again(watch, our_tenures(program.runs), messages)


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[ShardedStream]:
    stream = ShardedStream(tmp_path, 9)
    yield stream
    stream.close()


def test_many_shards(
    program: Program,
    configure: Callable[..., Path],
    stream: ShardedStream,
    dynamodb: DynamoDbLocal,
    reader: Reader,
    name: str,
) -> None:
    """With roll-overs, so that there are always shards to finish and children to find."""
    chance = seeded()
    config = read_config(
        configure(failoverTime="1500", awsDynamodbStreamArn=stream.arn, awsEndpoint=stream.url)
    )
    with Watch(LeaseTable(dynamodb.url, name)) as watch:
        stream.start()
        fleet = Fleet(program, config, chance)
        harass(fleet, reader, chance, lambda: stream.roll_over(chance.choice(stream.open)))
        stream.stop()
        reader.read_until("everything", lambda: len(reader.distinct()) == stream.written)
        fleet.end()
    messages = reader.read_to_end()
    duplicates = assert_delivered(stream.changes(), messages)
    print(f"{duplicates} duplicates in {len(messages)} messages after {len(program.runs) - 3} ends")
    assert_nothing_checkpointed_again(watch, our_tenures(program.runs), messages)
