"""processingGuarantees: EFFECTIVELY_ONCE: each change is in the topic once, whatever was killed when."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable

import pulsar
import pytest

from program import Program
from servers import Pulsar, wait_for
from stream import Table, Writer
from test_crash import lease, read_new, seeded
from topic import Reader, assert_exactly_once, quiet_client

Configure = Callable[..., Path]

ONCE = {"processingGuarantees": "EFFECTIVELY_ONCE", "failoverTime": "1500"}
PARTITIONS = 3


@pytest.fixture
def topic(broker: Pulsar, name: str) -> str:
    """Partitioned, in a namespace of its own with deduplication."""
    broker.create_namespace(name, deduplication=True)
    topic = f"persistent://public/{name}/t"
    broker.admin("PUT", f"persistent/public/{name}/t/partitions", PARTITIONS)
    return topic


@pytest.fixture
def reader(client: pulsar.Client, topic: str, program: Program) -> Reader:
    return Reader(client, topic, PARTITIONS, still_well=program.assert_well)


def test_once_though_killed_at_random_moments(
    program: Program, configure: Configure, table: Table, reader: Reader, topic: str, name: str
) -> None:
    chance = seeded()
    config = configure(topic=topic, **ONCE)
    with Writer(table):
        for turn in range(9):
            found = table.checkpoint(name)
            run = program.run(config)
            read_new(reader, chance.randrange(1, 150))
            if turn % 3 == 2:
                wait_for("the checkpoint moves", lambda: table.checkpoint(name) > found)
            time.sleep(chance.uniform(0, 0.3))
            run.kill()
    program.catch_up(config)
    assert_exactly_once(table.changes(), reader.read_to_end())
