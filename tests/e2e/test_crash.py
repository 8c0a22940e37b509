"""Nothing is lost and no item's order is broken when the program or Pulsar is killed at any moment."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Callable

from program import Program, wait_for_event
from servers import Pulsar, wait_for
from stream import Table, Writer
from topic import Reader, assert_delivered, quiet_client

Configure = Callable[..., Path]


def seeded() -> random.Random:
    """Random moments that can be had again: D2P_SEED=<what a failing test printed>."""
    seed = int(os.environ.get("D2P_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"D2P_SEED={seed}")
    return random.Random(seed)


def read_new(reader: Reader, count: int, seconds: float = 60) -> None:
    """Waits for messages that were not there before; repetitions do not count."""
    wanted = len(reader.distinct()) + count
    reader.read_until(f"{wanted} different changes", lambda: len(reader.distinct()) >= wanted, seconds)


def lease(table: Table, name: str) -> tuple[str, int]:
    """Owner and counter of the only lease."""
    (item,) = table.leases(name).values()
    return item["leaseOwner"]["S"], int(item["leaseCounter"]["N"])


def test_killed_at_random_moments(
    program: Program, configure: Configure, table: Table, reader: Reader, name: str
) -> None:
    chance = seeded()
    config = configure(failoverTime="1500")
    starts: list[tuple[int, int]] = []  # when a run started, and the checkpoint that it found
    with Writer(table):
        for turn in range(9):
            found = table.checkpoint(name)
            starts.append((int(time.time() * 1000), found))
            run = program.run(config)
            read_new(reader, chance.randrange(1, 150))
            if turn % 3 == 2:
                wait_for("the checkpoint moves", lambda: table.checkpoint(name) > found)
            time.sleep(chance.uniform(0, 0.3))
            run.kill()
    starts.append((int(time.time() * 1000), table.checkpoint(name)))
    program.catch_up(config)

    messages = reader.read_to_end()
    duplicates = assert_delivered(table.changes(), messages)
    print(f"{duplicates} duplicates in {len(messages)} messages after {len(starts) - 1} kills")
    # No run repeats what the checkpoint covers that it found; so duplicates are only what was not yet checkpointed.
    for message in messages:
        found = next(checkpoint for start, checkpoint in reversed(starts) if start <= message.publish_ms)
        assert int(message.sequence_number) > found
    assert starts[-1][1] == max(checkpoint for _, checkpoint in starts)


def test_killed_before_the_first_message(
    program: Program, configure: Configure, table: Table, reader: Reader
) -> None:
    """Kills that land while it connects, creates the lease table and takes its first lease."""
    chance = seeded()
    table.put_many(200)
    config = configure(failoverTime="1500")
    for _ in range(8):
        run = program.run(config)
        time.sleep(chance.uniform(0, 0.25))
        run.kill()
    program.catch_up(config)
    assert_delivered(table.changes(), reader.read_to_end())


def test_a_restart_goes_on_with_its_own_leases(
    program: Program, configure: Configure, table: Table, reader: Reader, name: str
) -> None:
    """With ten minutes until anybody may take the lease, only its owner can go on. It must know that it is that."""
    config = configure(failoverTime="600000", checkpointInterval="500")
    with Writer(table):
        for _ in range(3):
            found = table.checkpoint(name)
            run = program.run(config)
            read_new(reader, 50, seconds=60)
            wait_for("a checkpoint", lambda: table.checkpoint(name) > found)
            before = lease(table, name)[0]
            run.kill()
            assert lease(table, name)[0] == before
    program.catch_up(config, seconds=60)
    assert_delivered(table.changes(), reader.read_to_end())


def test_a_standby_takes_over(
    program: Program, configure: Configure, table: Table, reader: Reader, name: str
) -> None:
    """The same state folder, but its lock is held: the second process is another worker, and waits for the first."""
    config = configure(failoverTime="1500")
    with Writer(table):
        first = program.run(config)
        read_new(reader, 50)
        before, count = lease(table, name)
        second = program.run(config)
        wait_for_event(second, "pulsar", "ready")
        # Renewals come three times in failoverTime, so the standby had time enough to take what is not its own.
        wait_for("renewals", lambda: lease(table, name)[1] >= count + 6)
        assert lease(table, name)[0] == before
        first.kill()
        found = table.checkpoint(name)
        dead_ms = int(time.time() * 1000)
        wait_for("another owner", lambda: lease(table, name)[0] != before)
        read_new(reader, 50)
    wait_for("everything", lambda: reader.read() or len(reader.distinct()) == len(table.changes()))
    assert second.terminate() == 0
    messages = reader.read_to_end()
    assert_delivered(table.changes(), messages)
    assert all(int(m.sequence_number) > found for m in messages if m.publish_ms > dead_ms)


def test_pulsar_is_killed_and_comes_back(
    program: Program, configure: Configure, table: Table, own_pulsar: Pulsar, name: str
) -> None:
    config = configure(serviceUrl=own_pulsar.url)
    client = quiet_client(own_pulsar.url, own_pulsar.folder / "client.log")
    reader = Reader(client, name, still_well=program.assert_well)
    with Writer(table) as writer:
        run = program.run(config)
        read_new(reader, 100)
        for _ in range(2):
            own_pulsar.kill()
            written = writer.written
            wait_for("changes while Pulsar is down", lambda: writer.written > written + 100)
            own_pulsar.start()
            # What was stored before the kill does not show that the program has found its way back.
            written = writer.written
            reader.read_until("a change written since", lambda: len(reader.distinct()) > written, 90)
            assert run.is_running()
    assert run.terminate() == 0
    program.catch_up(config)
    client.close()

    client = quiet_client(own_pulsar.url, own_pulsar.folder / "client.log")
    messages = Reader(client, name).read_to_end()
    client.close()
    duplicates = assert_delivered(table.changes(), messages)
    print(f"{duplicates} duplicates in {len(messages)} messages")
