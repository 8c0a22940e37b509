"""The catch-up of 20,000 items inside Pulsar IO: how long it takes, and what its memory is: the native program's, that of the
Java part around it, and that of the Java process with Pulsar's framework in it."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from measuring import result, running
from open_shards import memory_mib
from program import Program, source_config
from pulsar_io import LocalRun
from servers import ROOT, DynamoDbLocal, PulsarIo
from stream import Table
from topic import Reader, quiet_client

ITEMS = 20_000


def held_mib(java: int) -> float:
    """What the Java part's own objects take, and the buffers of its three streams, when all garbage is gone."""
    histogram = subprocess.run(
        ["jcmd", str(java), "GC.class_histogram"], check=True, capture_output=True, text=True
    ).stdout
    own = re.findall(r"^ *\d+: +\d+ +(\d+) +ddb2pulsar\.", histogram, re.MULTILINE)
    return (sum(map(int, own)) + 2 * 64 * 1024 + 8 * 1024) / 2**20


def bench_pulsar_io(folder: Path) -> None:
    binary, built = ROOT / "build/ddb2pulsar", ROOT / "build/nar"
    subprocess.run([ROOT / "nar/build", binary, built], check=True)
    dynamodb, broker = DynamoDbLocal(folder / "dynamodb"), PulsarIo(folder / "pulsar")
    with running(dynamodb, broker):
        table = Table(dynamodb.url, "bench")
        table.put_many(ITEMS, payload={"S": "x" * 200})
        client = quiet_client(broker.url, folder / "client.log")
        reader = Reader(client, "bench")
        config = source_config(
            stream_arn=table.arn,
            dynamodb_url=dynamodb.url,
            pulsar_url="",
            topic="bench",
            application="bench-leases",
            state=folder / "state",
        )
        archive = built / "pulsar-io-ddb2pulsar.nar"
        started, started_at = time.monotonic(), time.time()
        localrun = LocalRun(folder / "localrun", broker, archive, Program(folder).write(config))
        with running(localrun):
            reader.read_count(ITEMS)
            result("pulsar_io_all_messages", time.monotonic() - started, "s", "lower")
            result("pulsar_io_first_message", reader.messages[0].received - started_at, "s", "lower")
            (native,) = localrun.natives()
            java = localrun.java()
            result("pulsar_io_native_memory", memory_mib(native, "VmHWM"), "MiB", "lower")
            result("pulsar_io_java_process_memory", memory_mib(java, "VmHWM"), "MiB", "lower")
            result("pulsar_io_java_part_memory", held_mib(java), "MiB", "lower")
        client.close()
