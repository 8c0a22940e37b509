"""The archive for Pulsar IO, with the Java connector's configuration: by `sources localrun` and `sources create`, through
kills of the native program and of the Java process around it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator

import pulsar
import pytest

from documents import commands, shell
from pipe import Piped
from program import QUICK, Program, source_config
from pulsar_io import LOADER, LocalRun, Source, environment_of, is_alive, natives_below, parent_of
from servers import PULSAR_IO_MESSAGE_MAX, DynamoDbLocal, PulsarIo, end_of, wait_for
from shards import ShardedStream
from stream import Stream, Table, Writer, aws_client, lease_items
from test_crash import read_new, seeded
from topic import Reader, assert_delivered, assert_exactly_once, by_item, first_occurrences, quiet_client

# The program is the same as everywhere; its side of the pipes has unit tests and test_pipe.py, with sanitizers too.
pytestmark = [pytest.mark.optimised_only, pytest.mark.timeout(600)]

START_SECONDS = 120  # of Java processes, on a busy machine

Configure = Callable[..., Path]
MakeLocalRun = Callable[..., LocalRun]
Create = Callable[..., Source]


@pytest.fixture
def write_io(program: Program, dynamodb: DynamoDbLocal, name: str, tmp_path: Path) -> Configure:
    """A configuration file as for the Java connector: Pulsar IO knows its Pulsar itself. Leases are in DynamoDB Local."""

    def write(stream: Stream, url: str, **configs: Any) -> Path:
        config = source_config(
            stream_arn=stream.arn,
            dynamodb_url=url,
            pulsar_url="",
            topic=name,
            application=name,
            state=tmp_path / "state",
            **{**QUICK, "dynamoEndpoint": dynamodb.url, **configs},
        )
        return program.write(config)

    return write


@pytest.fixture
def configure_io(write_io: Configure, dynamodb: DynamoDbLocal, table: Table) -> Configure:
    """For this test's table."""

    def write(**configs: Any) -> Path:
        return write_io(table, dynamodb.url, **configs)

    return write


@pytest.fixture
def localrun(pulsar_io: PulsarIo, archive: Path, tmp_path: Path) -> Iterator[MakeLocalRun]:
    runs: list[LocalRun] = []

    def make(config: Path, *options: str) -> LocalRun:
        run = LocalRun(tmp_path / f"localrun-{len(runs)}", pulsar_io, archive, config, *options)
        runs.append(run)
        run.start()
        return run

    yield make
    for run in runs:
        run.kill()


@pytest.fixture
def create(pulsar_io: PulsarIo, archive: Path) -> Iterator[Create]:
    sources: list[Source] = []

    def make(config: Path, *options: str) -> Source:
        sources.append(Source(pulsar_io, archive, config, *options))
        return sources[-1]

    yield make
    for source in sources:
        source.delete()


@pytest.fixture
def io_client(pulsar_io: PulsarIo) -> Iterator[pulsar.Client]:
    client = quiet_client(pulsar_io.url, pulsar_io.folder / "client.log")
    yield client
    client.close()


@pytest.fixture
def io_reader(io_client: pulsar.Client, name: str) -> Reader:
    return Reader(io_client, name)


def test_localrun(
    localrun: MakeLocalRun,
    configure_io: Configure,
    configure: Configure,
    program: Program,
    table: Table,
    reader: Reader,
    io_reader: Reader,
    name: str,
) -> None:
    """Every change arrives, is checkpointed at a stop, and is the same message as the program sends on its own."""
    config = configure_io()
    with Writer(table):
        run = localrun(config)
        (native,) = run.natives()
        read_new(io_reader, 300)
        run.stop()
        assert not is_alive(native)
        run = localrun(config)
        read_new(io_reader, 100)
    changes = table.changes()
    io_reader.read_until("all", lambda: len(io_reader.distinct()) == len(changes))
    wait_for("the last checkpoint", lambda: table.checkpoint(name) == int(changes[-1].sequence_number))
    run.stop()
    assert_exactly_once(changes, io_reader.read_to_end())

    program.catch_up(configure(applicationName=f"{name}-native"))
    assert [(m.key, m.event_ms, m.properties, m.value) for m in reader.read_to_end()] == [
        (m.key, m.event_ms, m.properties, m.value) for m in io_reader.messages
    ]


def test_two_instances_share_the_shards(
    create: Create, write_io: Configure, io_client: pulsar.Client, dynamodb: DynamoDbLocal, name: str, tmp_path: Path
) -> None:
    """Eight shards, four each; through the end of one instance, which loses nothing and finds its name again."""
    stream = ShardedStream(tmp_path, 8)
    table = aws_client("dynamodb", dynamodb.url)
    reader = Reader(io_client, name)

    def owners() -> dict[str, int]:
        return Counter(lease["leaseOwner"]["S"] for lease in lease_items(table, name).values() if "leaseOwner" in lease)

    try:
        stream.start()
        source = create(write_io(stream, stream.url), "--parallelism", "2")
        wait_for("two programs", lambda: len(source.natives()) == 2, START_SECONDS)
        wait_for("four shards each", lambda: sorted(owners().values()) == [4, 4])
        before = set(owners())
        read_new(reader, 200)
        native = source.natives()[1]
        os.kill(parent_of(native), signal.SIGKILL)
        wait_for("the program ends with its parent", lambda: not is_alive(native), seconds=8)
        wait_for("two programs again", lambda: len(source.natives()) == 2, START_SECONDS)
        wait_for("four shards each again", lambda: sorted(owners().values()) == [4, 4])
        assert set(owners()) == before
        read_new(reader, 200)
        stream.stop()
        wait_for("all", lambda: reader.read() or len(reader.distinct()) == stream.written)
    finally:
        stream.close()
    messages = reader.read_to_end()
    assert {m.properties["SHARD_ID"] for m in messages} == set(stream.open)
    for shard, numbers in by_item((m.properties["SHARD_ID"], m.sequence_number) for m in first_occurrences(messages)).items():
        assert numbers == sorted(numbers, key=int), shard


def test_kills(
    create: Create, pulsar_io: PulsarIo, configure_io: Configure, table: Table, io_reader: Reader, name: str
) -> None:
    """Of the native program, which ends the instance, and of the instance, which ends the program: Pulsar starts another
    instance, and nothing is lost."""
    chance = seeded()
    with Writer(table):
        source = create(configure_io(failoverTime="1500"))
        for who in ("program", "instance", "program"):
            (native,) = wait_for("a program", source.natives, START_SECONDS)
            read_new(io_reader, chance.randrange(1, 100))
            os.kill(native if who == "program" else parent_of(native), signal.SIGKILL)
            wait_for("its end", lambda: not is_alive(native), seconds=8)
        wait_for("the last program", source.natives, START_SECONDS)
        read_new(io_reader, 100)
    assert "ddb2pulsar ended with exit code 137" in pulsar_io.instance_log(name)
    changes = table.changes()
    io_reader.read_until("all", lambda: len(io_reader.distinct()) == len(changes))
    assert_delivered(changes, io_reader.read_to_end())


def test_a_record_that_pulsar_cannot_take(
    localrun: MakeLocalRun,
    pulsar_io: PulsarIo,
    configure_io: Configure,
    table: Table,
    io_reader: Reader,
    name: str,
) -> None:
    """It stops the source, with its reason; what was before it is delivered and checkpointed, itself never."""
    table.put_many(50)
    table.put("large", 1, payload={"B": random.randbytes(PULSAR_IO_MESSAGE_MAX)})
    table.put_many(50, "after-{}".format)
    changes = table.changes()
    run = localrun(configure_io())
    (native,) = run.natives()
    wait_for("the end of the program", lambda: not is_alive(native))
    large = changes[50].sequence_number
    assert f"Pulsar could not deliver the record {large} of shard {changes[50].shard}" in pulsar_io.instance_log(name)
    io_reader.read_until("what is before it", lambda: len(io_reader.distinct()) >= 50)
    assert table.checkpoint(name) == int(changes[49].sequence_number)
    assert large not in {message.sequence_number for message in io_reader.read_to_end()}


def test_the_commands_of_the_documentation(
    pulsar_io: PulsarIo, archive: Path, configure_io: Configure, table: Table, io_reader: Reader, name: str, tmp_path: Path
) -> None:
    """In its order, with its names of files."""
    (tmp_path / archive.name).symlink_to(archive)
    config = json.loads(configure_io().read_text())
    config["name"] = "orders"
    (tmp_path / "source.json").write_text(json.dumps(config))
    localrun, *steps = commands("pulsar-io.md")
    assert [step.split()[2] for step in steps] == ["create", "status", "stop", "delete"]
    environment = environment_of(pulsar_io)
    table.put_many(10)
    process = shell(localrun, tmp_path, **environment)
    io_reader.read_count(10, START_SECONDS)
    (native,) = natives_below(process.pid)
    os.kill(parent_of(native), signal.SIGTERM)
    process.communicate(timeout=60)
    table.put_many(10, "more-{}".format)
    for step in steps:
        process = shell(step, tmp_path, **environment)
        output, _ = process.communicate(timeout=90)
        assert process.returncode == 0, f"{step}\n{output}"
        if "create" in step:
            io_reader.read_count(20, START_SECONDS)
    assert_exactly_once(table.changes(), io_reader.read_to_end())


def test_without_glibc(
    archive: Path, dynamodb: DynamoDbLocal, table: Table, configure_io: Configure, tmp_path: Path, name: str
) -> None:
    """In a root with nothing but musl, as in Pulsar's own image, the unpacked program runs, and finds hosts by name."""
    root = tmp_path / "root"
    for folder in ("dev", "etc", "lib", "tmp"):
        (root / folder).mkdir(parents=True)
    shutil.copy("/lib/ld-musl-x86_64.so.1", root / "lib")
    (root / "etc/hosts").write_text("127.0.0.1 dynamodb.test\n")
    # As the Java part does it.
    program = root / "tmp/program"
    program.mkdir(mode=0o700)
    with zipfile.ZipFile(archive) as entries:
        native = "META-INF/bundled-dependencies/native/linux-x86_64/"
        for file in entries.read(f"{native}files").decode().splitlines():
            (program / file).write_bytes(entries.read(native + file))
    for file in (LOADER, "ddb2pulsar"):
        (program / file).chmod(0o500)
    url = dynamodb.url.replace("127.0.0.1", "dynamodb.test")
    config = json.loads(configure_io(awsEndpoint=url, dynamoEndpoint=url, stateDirectory="/tmp/state").read_text())
    table.put_many(100)
    inside = "/tmp/program"
    command = [f"{inside}/{LOADER}", "--inhibit-cache", "--library-path", inside, f"{inside}/ddb2pulsar", "pipe"]
    enter = ["bash", "-c", 'mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"', str(root)]
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    run = Piped(tmp_path / "pipe.log", {"configs": config["configs"]}, unshare + enter + command)
    try:
        run.read(100)
        assert run.version
        shutil.rmtree(program)  # as the Java part does once it runs
        run.acknowledge(*range(1, 101))
        last = int(table.changes()[-1].sequence_number)
        wait_for("the checkpoint", lambda: table.checkpoint(name) == last)
        run.close_input()
        assert run.wait() == 0, end_of(run.log)
    finally:
        run.kill()
