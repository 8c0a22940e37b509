"""Four processes and a thousand shards: how long until they are shared evenly, in taker periods, the time between two
looks of a worker at the lease table. What must hold for the records meanwhile, tests/e2e/test_workers.py looks at."""

from __future__ import annotations

import time
from pathlib import Path

from doubles import Double
from fleet import TOPIC, Fleet, Writer, scenario, shard_ids
from measuring import result, running
from program import Program

SHARDS = shard_ids(1000)
FAILOVER_MS = 10_000  # the default, and Java's
PERIOD_SECONDS = 2 * (FAILOVER_MS + 25) / 1000
DEADLINE_SECONDS = 10 * PERIOD_SECONDS


def bench_workers(folder: Path) -> None:
    aws, broker = Double("fake_aws", folder, scenario(SHARDS)), Double("fake_broker", folder, f"partitions {TOPIC} 3\n")
    with running(aws, broker):
        program = Program(folder)
        defaults = {"failoverTime": str(FAILOVER_MS), "minPollInterval": "200", "maxPollInterval": "2000"}
        fleet = Fleet(program, folder, aws, broker, **defaults)
        try:
            with Writer(aws, SHARDS, at_once=50) as stream:
                share(fleet)
            fleet.wait_delivered(stream)
            records = fleet.records()
            result("workers_records", len(set(records)), "records", "higher")
            result("workers_repeated", len(records) - len(set(records)), "records after kill -9", "lower")
        finally:
            program.close()


def share(fleet: Fleet) -> None:
    started = time.monotonic()
    runs = [fleet.start() for _ in range(4)]
    report(fleet, "start", started, 250, 250, 250, 250)
    started = time.monotonic()
    runs[0].kill()
    report(fleet, "kill", started, 333, 333, 334)
    started = time.monotonic()
    fleet.start()
    report(fleet, "join", started, 250, 250, 250, 250)


def report(fleet: Fleet, event: str, started: float, *loads: int) -> None:
    fleet.wait_shared(*loads, seconds=DEADLINE_SECONDS)
    result(f"workers_even_after_{event}", (time.monotonic() - started) / PERIOD_SECONDS, "taker periods", "lower")
