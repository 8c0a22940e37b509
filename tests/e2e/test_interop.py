"""A Java worker and ours on one lease table: each goes on exactly where the other's checkpoint says, both share the
shards, and what one has finished the other takes as finished. With both versions of the Java library."""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from kcl import ADAPTERS, CONSUMERS, Consumer, compile_consumer
from leases import REQUIRED, LeaseTable, Watch, assert_nothing_checkpointed_again, our_tenures, position
from program import QUICK, Program, Run, source_config, wait_for_event
from servers import DynamoDbLocal, Pulsar, wait_for
from shards import ShardedStream
from stream import Change, Table
from topic import Reader, by_item, first_occurrences

FAILOVER_MS = 2000

# Each takes most of a minute, and the program does nothing in them that it does not do in other tests.
pytestmark = pytest.mark.optimised_only


@pytest.fixture(scope="module", params=ADAPTERS)
def class_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return compile_consumer(request.param, tmp_path_factory.mktemp("consumer"))


@pytest.fixture
def start_java(
    class_path: list[str], tmp_path: Path, dynamodb: DynamoDbLocal, name: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Consumer]]:
    """Starts a Java worker of this test's application."""
    consumers = request.node.stash.setdefault(CONSUMERS, [])

    def start(stream: str, streams_url: str = dynamodb.url, checkpoint: str = "every batch") -> Consumer:
        consumers.append(
            Consumer(
                class_path,
                tmp_path,
                len(consumers) + 1,
                stream=stream,
                streams_url=streams_url,
                tables_url=dynamodb.url,
                application=name,
                failover_ms=FAILOVER_MS,
                checkpoint=checkpoint,
            )
        )
        return consumers[-1]

    yield start
    for consumer in consumers:
        consumer.kill()


def numbers_of(changes: list[Change]) -> list[str]:
    return [change.sequence_number for change in changes]


def assert_goes_on_after(checkpoint: str, changes: list[Change], got: list[str]) -> None:
    """Everything behind the checkpoint, once and in order, and nothing that it covers."""
    assert got == [number for number in numbers_of(changes) if int(number) > position(checkpoint)]


def test_each_goes_on_where_the_other_stopped(
    program: Program,
    configure: Callable[..., Path],
    start_java: Callable[..., Consumer],
    table: Table,
    dynamodb: DynamoDbLocal,
    reader: Reader,
    name: str,
) -> None:
    leases = LeaseTable(dynamodb.url, name)
    config = configure(failoverTime=str(FAILOVER_MS))
    shard = table.shards()[0]["ShardId"]
    turns = itertools.count()

    def write(count: int = 20) -> str:
        """Returns the last one's sequence number."""
        turn = next(turns)
        table.put_many(count, lambda n: f"{turn}-{n}")
        return table.changes()[-1].sequence_number

    def ours_sent(since: int) -> list[str]:
        return [message.sequence_number for message in reader.read_to_end()[since:]]

    # Java first; it makes the table and the lease, and is killed after a checkpoint in the middle.
    write(40)
    java = start_java(table.arn, checkpoint="on command")
    java.wait_numbers(40)
    middle = table.changes()[24].sequence_number
    java.tell(f"checkpoint {shard} {middle}")
    java.wait_event("checkpoint")
    java.kill()
    assert leases.checkpoint(shard) == middle
    assert_goes_on_after("TRIM_HORIZON", table.changes(), java.numbers())

    # Ours goes on behind that, and is killed while it has more than it has checkpointed, or not: at any moment.
    run = program.run(config)
    reader.read_count(15)
    last = write()
    reader.read_count(35)
    wait_for("the checkpoint", lambda: leases.checkpoint(shard) == last)
    write()
    reader.read_count(40)
    run.kill()
    assert_goes_on_after(middle, table.changes(), ours_sent(0))
    found = leases.checkpoint(shard)
    assert position(found) >= position(last)

    # Java again, which ends as the connector does, with what is not checkpointed yet.
    java = start_java(table.arn, checkpoint="on command")
    last = write()
    java.wait("the last record", lambda: last in java.numbers())
    assert java.events("open")[0]["after"] == found
    assert_goes_on_after(found, table.changes(), java.numbers())
    before_close = found
    java.close()
    found = leases.checkpoint(shard)
    # Its last checkpoint mostly comes too late: close() has given up all leases before.
    assert found in (before_close, last)

    # Ours takes over, and gives the lease back at the end.
    before = len(reader.read_to_end())
    run = program.run(config)
    last = write()
    reader.read_until("the last record", lambda: last in reader.distinct())
    assert run.terminate() == 0
    assert_goes_on_after(found, table.changes(), ours_sent(before))
    assert leases.checkpoint(shard) == last
    assert "leaseOwner" not in leases.items()[shard]

    # Java finds it free, and reads the stream to its end.
    java = start_java(table.arn)
    table.disable_stream()
    java.wait("the end", lambda: leases.checkpoint(shard) == "SHARD_END")
    assert java.numbers() == []
    java.kill()
    before = len(reader.messages)
    program.catch_up(config)
    assert ours_sent(before) == []
    assert REQUIRED <= leases.items()[shard].keys()


class Together:
    """Workers of both kinds on a stream with several shards: records from fake_aws, leases in a real table."""

    def __init__(
        self, stream: ShardedStream, program: Program, config: dict[str, Any], leases: LeaseTable
    ) -> None:
        self.stream = stream
        self.leases = leases
        self._program = program
        self._config = config

    def start_ours(self) -> Run:
        number = len(self._program.runs)
        self._config["configs"]["stateDirectory"] = str(self._program.folder / f"state-{number}")
        return self._program.run(self._program.write(self._config, f"worker-{number}.json"))

    def wait_shared(self, *loads: int) -> None:
        def look() -> bool:
            self._program.assert_well()
            self.stream.assert_well()
            return sorted(self.leases.loads().values()) == list(loads)

        wait_for(f"the shards are shared {loads}", look, 90)

    def shard_of(self, java: Consumer, mine: bool) -> str:
        """An open shard that the Java worker has, or that it has not."""
        owners = self.leases.owners()
        return next(shard for shard in self.stream.open if (owners.get(shard) == java.worker) == mine)


@pytest.fixture
def together(
    program: Program, tmp_path: Path, dynamodb: DynamoDbLocal, broker: Pulsar, name: str
) -> Iterator[Together]:
    stream = ShardedStream(tmp_path, 6)
    config = source_config(
        stream_arn=stream.arn,
        dynamodb_url=dynamodb.url,
        pulsar_url=broker.url,
        topic=name,
        application=name,
        state=tmp_path,
        awsEndpoint=stream.url,
        **{**QUICK, "failoverTime": str(FAILOVER_MS)},
    )
    yield Together(stream, program, config, LeaseTable(dynamodb.url, name))
    stream.close()


def test_both_share_the_shards(
    together: Together, program: Program, start_java: Callable[..., Consumer], reader: Reader
) -> None:
    stream, leases = together.stream, together.leases

    def start() -> Consumer:
        return start_java(stream.arn, streams_url=stream.url)

    stream.start()
    with Watch(leases) as watch:
        first = together.start_ours()
        together.wait_shared(6)
        ours = next(iter(leases.loads()))
        java = start()
        together.wait_shared(3, 3)
        parents = [together.shard_of(java, mine) for mine in (True, False)]
        children = {stream.roll_over(parent): parent for parent in parents}
        wait_for("children are read", lambda: all(leases.checkpoint(child).isdigit() for child in children))
        together.wait_shared(3, 3)

        # The Java worker is killed; ours has them all.
        orphans = [(shard, owner) for shard, owner in leases.owners().items() if owner == java.worker]
        java.kill()
        orphaned = [(*orphan, time.time() * 1000) for orphan in orphans]
        together.wait_shared(6)
        assert leases.loads() == {ours: 6}

        # The other way round.
        second_java = start()
        together.wait_shared(3, 3)
        orphans = [(shard, owner) for shard, owner in leases.owners().items() if owner == ours]
        first.kill()
        orphaned += [(*orphan, time.time() * 1000) for orphan in orphans]
        together.wait_shared(6)
        assert leases.loads() == {second_java.worker: 6}

        # Ours takes from a living Java worker, which gives nothing when asked.
        second = together.start_ours()
        together.wait_shared(3, 3)
        stream.stop()
        changes = stream.changes()
        assert len(changes) == stream.written
        written = set(numbers_of(changes))

        def consumed() -> set[str]:
            reader.read(0)
            return reader.distinct() | set(java.numbers()) | set(second_java.numbers())

        wait_for("every record was read by somebody", lambda: consumed() == written)
        second_java.close()
        assert second.terminate() == 0

    messages = reader.read_to_end()
    tenures = our_tenures(program.runs) + java.tenures() + second_java.tenures()
    assert_nothing_checkpointed_again(watch, tenures, messages)
    for child, parent in children.items():
        moment = min(tenure.at_ms for tenure in tenures if tenure.shard == child)
        assert watch.finished_before(parent, moment), f"{child} was opened before {parent} had ended"
    for shard, owner, dead_ms in orphaned:
        assert watch.quiet_ms(shard, owner, dead_ms) > FAILOVER_MS, f"{shard} was taken from {owner} too early"

    firsts = by_item((message.key, message.sequence_number) for message in first_occurrences(messages))
    for item, numbers in firsts.items():
        assert numbers == sorted(numbers, key=int), item

    # Each kind left the other's items as that one needs them.
    for shard, item in leases.items().items():
        assert REQUIRED <= item.keys(), item
        # A question to Java that led to nothing may stay there; what was ours has none.
        assert "d2pWantedBy" not in item or item["leaseOwner"]["S"] == second_java.worker
        assert item.get("d2pStream", {"S": stream.arn})["S"] == stream.arn
        assert "d2pStream" in item or shard in children, item
    assert all(leases.checkpoint(parent) == "SHARD_END" for parent in children.values())


def test_a_frozen_worker_does_no_harm(
    program: Program,
    configure: Callable[..., Path],
    start_java: Callable[..., Consumer],
    table: Table,
    dynamodb: DynamoDbLocal,
    reader: Reader,
    name: str,
) -> None:
    """Each kind in turn stands still until the other has its lease, and then wakes up in the middle of its work."""
    leases = LeaseTable(dynamodb.url, name)
    shard = table.shards()[0]["ShardId"]
    turns = itertools.count()

    def write() -> str:
        turn = next(turns)
        table.put_many(20, lambda n: f"{turn}-{n}")
        return table.changes()[-1].sequence_number

    def wait_checkpoint(number: str) -> None:
        wait_for("the checkpoint", lambda: leases.checkpoint(shard) == number)

    with Watch(leases) as watch:
        java = start_java(table.arn)
        wait_checkpoint(write())
        run = program.run(configure(failoverTime=str(FAILOVER_MS)))
        wait_for_event(run, "pulsar", "ready")
        os.kill(java.process.pid, signal.SIGSTOP)
        wait_checkpoint(write())
        (ours,) = leases.loads()
        assert ours != java.worker
        os.kill(java.process.pid, signal.SIGCONT)
        # It finds out, tells so, and looks for work again.
        java.wait_event("shutdown")
        wait_checkpoint(write())
        assert list(leases.loads()) == [ours]

        os.kill(run.process.pid, signal.SIGSTOP)
        wait_checkpoint(write())
        assert list(leases.loads()) == [java.worker]
        os.kill(run.process.pid, signal.SIGCONT)
        wait_for_event(run, "lease", "lost")
        last = write()
        wait_checkpoint(last)
        assert list(leases.loads()) == [java.worker]
        java.close()
        assert run.terminate() == 0

    messages = reader.read_to_end()
    assert_nothing_checkpointed_again(watch, our_tenures([run]) + java.tenures(), messages)
    assert reader.distinct() | set(java.numbers()) == set(numbers_of(table.changes()))
