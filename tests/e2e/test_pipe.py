"""`ddb2pulsar pipe`, as the archive for Pulsar IO runs it: a checkpoint follows the acknowledgements, and nothing is lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from pipe import HELLO, Piped
from program import Program
from servers import end_of, wait_for
from stream import Table, Writer
from topic import Reader

Configure = Callable[..., Path]
Start = Callable[..., Piped]


@pytest.fixture
def start(configure: Configure, tmp_path: Path) -> Iterator[Start]:
    runs: list[Piped] = []

    def start(**configs: Any) -> Piped:
        config = json.loads(configure(**configs).read_text())
        runs.append(Piped(tmp_path / f"pipe-{len(runs)}.log", {"configs": config["configs"]}))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()


def test_checkpoints_follow_the_acknowledgements(start: Start, table: Table, name: str) -> None:
    table.put_many(100)
    numbers = [int(change.sequence_number) for change in table.changes()]
    run = start(failoverTime="1000")
    run.read(100)
    assert run.version
    assert [int(record.sequence_number) for record in run.records] == numbers

    def renewals() -> int:
        (lease,) = table.leases(name).values()
        return int(lease["leaseCounter"]["N"])

    def some_renewals() -> None:
        before = renewals()
        wait_for("renewals of the lease, each with a checkpoint", lambda: renewals() >= before + 3)

    some_renewals()
    assert table.checkpoint(name) == -1
    run.acknowledge(*range(2, 41), 60)  # the first one is missing
    some_renewals()
    assert table.checkpoint(name) == -1
    run.acknowledge(1)
    wait_for("the checkpoint", lambda: table.checkpoint(name) == numbers[39])
    some_renewals()
    assert table.checkpoint(name) == numbers[39]

    run.kill()
    again = start(failoverTime="1000")
    again.read(60)
    assert [int(record.sequence_number) for record in again.records] == numbers[40:]
    again.acknowledge(*range(1, 61))
    wait_for("the last checkpoint", lambda: table.checkpoint(name) == numbers[-1])


def test_the_end_of_its_input_stops_it(start: Start, table: Table, name: str) -> None:
    """What was acknowledged before is checkpointed, and the lease is free, although renewals are far away."""
    table.put_many(100)
    run = start(failoverTime="600000")
    run.read(100)
    run.acknowledge(*range(1, 71))
    run.close_input()
    began = time.monotonic()
    assert run.wait() == 0, end_of(run.log)
    assert time.monotonic() - began < 8
    assert table.checkpoint(name) == int(table.changes()[69].sequence_number)
    (lease,) = table.leases(name).values()
    assert "leaseOwner" not in lease
    assert " error " not in run.log.read_text()


def test_both_pipes_are_gone(start: Start, table: Table) -> None:
    """As when its parent was killed: nobody is there to read or to acknowledge."""
    table.put_many(10)
    run = start()
    run.read(10)
    assert run.process.stdout is not None
    run.process.stdout.close()
    run.close_input()
    assert run.process.wait(8) in (0, 4), end_of(run.log)


def test_killed_again_and_again(start: Start, table: Table, name: str) -> None:
    """Whoever acknowledges only what it has kept, has everything in the end."""
    kept: list[str] = []
    with Writer(table) as writer:
        for _ in range(5):
            run = start(failoverTime="1500")
            wanted = len(set(kept)) + 100
            while len(set(kept)) < wanted:
                new = run.read(len(run.records) + 1)
                kept += [record.sequence_number for record in new]
                run.acknowledge(*(record.number for record in new))
            run.kill()
    changes = [change.sequence_number for change in table.changes()]
    assert len(changes) == writer.written
    run = start(failoverTime="1500")
    while set(kept) < set(changes):
        new = run.read(len(run.records) + 1)
        kept += [record.sequence_number for record in new]
        run.acknowledge(*(record.number for record in new))
    firsts = list(dict.fromkeys(kept))
    assert firsts == changes  # one shard, so in one order


def test_the_same_messages_as_into_pulsar(
    start: Start, program: Program, configure: Configure, table: Table, reader: Reader, name: str
) -> None:
    table.put_many(300, payload={"S": 'quotes ", lines \n and 鍵'})
    table.delete("item-7")
    program.catch_up(configure())
    messages = reader.read_to_end()
    run = start(applicationName=f"{name}-pipe")
    run.read(len(messages))
    assert [(m.key, m.event_ms, m.properties, m.value) for m in messages] == [
        (r.key, r.event_ms, r.properties, r.value) for r in run.records
    ]


@pytest.mark.optimised_only  # sanitizers take memory of their own
def test_a_reader_that_stops_reading_stops_the_source(start: Start, table: Table) -> None:
    """60 MB wait in the stream, not in memory; then they all come."""
    count = 3000
    table.put_many(count, payload={"S": "x" * 20_000})
    run = start(memoryBudget="8 MiB")
    run.read(1)
    proc = Path(f"/proc/{run.process.pid}")

    def cpu_ticks() -> int:
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def still() -> bool:
        before = cpu_ticks()
        time.sleep(0.5)
        return cpu_ticks() <= before + 1

    wait_for("it waits", still)
    status = (proc / "status").read_text()
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak_kib < 40 * 1024
    while len(run.records) < count:
        run.acknowledge(*(record.number for record in run.read(len(run.records) + 1)))


def test_what_is_wrong_is_said(start: Start, tmp_path: Path) -> None:
    wrong = start(numRetries="many", awsCredentialPluginParam='{"accessKey":"AKIA","secretKey":"hidden"}')
    assert wrong.read_frame() is None
    assert wrong.process.wait(20) == 2
    assert 'configuration:1:' in wrong.log.read_text() and 'numRetries is "many"' in wrong.log.read_text()
    assert "hidden" not in wrong.log.read_text()

    nothing = Piped(tmp_path / "nothing.log", {})
    nothing.close_input()
    assert nothing.wait() == 2
    assert "awsDynamodbStreamArn is missing" in nothing.log.read_text()


def test_what_breaks_the_protocol_is_said(start: Start, table: Table) -> None:
    table.put_many(5)
    run = start()
    frame = run.read_frame()
    assert frame is not None and frame[0] == HELLO
    run.acknowledge(7)
    assert run.wait() == 4
    assert "record 7 is not one of those" in run.log.read_text()
