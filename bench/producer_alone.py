"""The producer alone, loaded by ddb2pulsar-perf: into a broker double that only counts, and into a Pulsar standalone in
turns with Java's pulsar-perf."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubles import Double
from measuring import result, running, say
from program import BINARY
from servers import Pulsar, ServerError, end_of, wait_for

PERF = BINARY.parent / "ddb2pulsar-perf"
COUNT_CALLS = BINARY.parent / "bench/count_calls.so"
DEADLINE_SECONDS = 300

# ---- Into the broker double.


def perf(url: str, *options: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """One run of ddb2pulsar-perf; its JSON."""
    command = [PERF, "--service-url", url, "--topic", "bench", "--json", *options]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, env={**os.environ, **(environment or {})}
    )
    if run.returncode != 0:
        raise ServerError(f"exit code {run.returncode}: {run.stderr}")
    return json.loads(run.stdout)


def calls_of(folder: Path, url: str, *options: str) -> tuple[int, int, int]:
    """Frames, allocations and system calls of a run."""
    path = folder / "calls"
    environment = {"LD_PRELOAD": str(COUNT_CALLS), "COUNT_CALLS_FILE": str(path)}
    frames = perf(url, *options, environment=environment)["frames"]
    words = path.read_text().split()
    return frames, int(words[1]), int(words[3])


def bench_producer(folder: Path) -> None:
    broker = Double("fake_broker", folder, "count-only on\n")
    with running(broker):
        url = f"pulsar://{broker.address}"
        for size in (100, 600):
            into_fake_broker(f"producer_{size}", size, broker, url, folder)


def into_fake_broker(bench: str, size: int, broker: Double, url: str, folder: Path) -> None:
    options = ("--size", str(size), "--partition-keys", "1000")
    before = json.loads(broker.ask("counts"))
    runs = [perf(url, *options, "--warm-up", "1", "--seconds", "5") for _ in range(5)]
    after = json.loads(broker.ask("counts"))
    told = sum(run["messages"] for run in runs)
    if after["messages"] - before["messages"] < told or after["bytes"] - before["bytes"] < told * size:
        raise ServerError("the broker has counted less than the load generator; nothing was measured")
    result(f"{bench}_per_core", median(1 / r["cpuSecondsPerMillion"] for r in runs), "M messages/CPU s", "higher")
    result(f"{bench}_rate", median(run["messagesPerSecond"] for run in runs), "messages/s", "higher")
    result(f"{bench}_batch", median(run["messages"] / run["frames"] for run in runs), "messages per frame", "higher")
    # The difference of two runs is without what every run costs once.
    once, twice = (calls_of(folder, url, *options, "--messages", str(count)) for count in (2_000_000, 4_000_000))
    frames, allocations, calls = (b - a for a, b in zip(once, twice))
    result(f"{bench}_allocations", allocations / 2_000_000, "allocations per message", "lower")
    result(f"{bench}_frame_allocations", allocations / frames, "allocations per frame", "lower")
    result(f"{bench}_calls", calls / frames, "system calls per frame", "lower")


def median(values: Any) -> float:
    return statistics.median(values)


# ---- Into Pulsar, in turns with Java's client.

PAIRS = 5
SIZE = 600
BATCH_MESSAGES, BATCH_BYTES, BATCH_DELAY_MS = 1000, 128 * 1024, 1
FREE_BYTES = 25 << 30  # what a saturated run may fill, twice: journal and ledgers
FLAT_OUT = 100_000_000  # pulsar-perf has no "as fast as it goes"


@dataclass
class Load:
    name: str
    rate: int  # 0: as fast as it goes
    warm_up: int  # seconds, for Java's compiler and the broker's
    seconds: int


LOADS = [
    Load("saturated", 0, 12, 10),
    Load("steady", 50_000, 15, 20),
    Load("slow", 1_000, 20, 30),
]


@dataclass
class Figures:
    rate: float  # messages/s, counted by the broker
    cpu: float  # CPU seconds of the client per million messages
    peak_mib: float
    p50_ms: float
    p99_ms: float


class RoomyPulsar(Pulsar):
    """Gives the disk back soon after a topic is deleted."""

    def _write_conf(self) -> None:
        super()._write_conf()
        settings = {
            "gcWaitTime": "5000",
            "journalMaxSizeMB": "256",
            "journalMaxBackups": "0",
            "logSizeLimit": "268435456",
        }
        text = self._conf.read_text()
        for name, value in settings.items():
            text = re.sub(rf"(?m)^#?{name}=.*\n", "", text) + f"\n{name}={value}\n"
        self._conf.write_text(text)


class Client:
    """A load generator that runs for longer than the window in which it is measured."""

    def __init__(self, command: list[str], output: Path) -> None:
        self.output = output
        with output.open("wb") as out:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "PULSAR_GC_LOG": " ", "PULSAR_LOG_DIR": str(output.parent / "logs")},
            )

    def cpu_seconds(self) -> float:
        # Behind the name, which may hold anything, the fields from the third on.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024

    def end(self) -> str:
        """SIGINT; what it printed."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
        return self.output.read_text(errors="replace")


def ours(broker: Pulsar, topic: str, load: Load) -> list[str]:
    return [
        str(PERF),
        *("--service-url", broker.url, "--topic", topic, "--size", str(SIZE), "--rate", str(load.rate)),
        *("--batch-messages", str(BATCH_MESSAGES), "--batch-bytes", str(BATCH_BYTES)),
        *("--batch-delay-ms", str(BATCH_DELAY_MS), "--warm-up", str(load.warm_up), "--seconds", "3600", "--json"),
    ]


def javas(broker: Pulsar, topic: str, load: Load) -> list[str]:
    return [
        *(str(broker.home / "bin/pulsar-perf"), "produce", "-u", broker.url),
        *("-s", str(SIZE), "-r", str(load.rate or FLAT_OUT), "-time", "3600"),
        *("-bm", str(BATCH_MESSAGES), "-bb", str(BATCH_BYTES), "-b", str(BATCH_DELAY_MS), topic),
    ]


def our_latencies(printed: str, load: Load) -> tuple[float, float]:
    figures = json.loads(printed.splitlines()[-1])
    return figures["p50Ms"], figures["p99Ms"]


def javas_latencies(printed: str, load: Load) -> tuple[float, float]:
    """It prints a line every ten seconds; those before the one in which the warm-up ends are left out."""
    lines = re.findall(r"Throughput produced.* med: +([0-9.]+) .* 99pct: +([0-9.]+) ", printed)
    kept = lines[load.warm_up // 10 :]
    if not kept:
        raise ServerError(f"pulsar-perf printed no latencies:\n{printed[-2000:]}")
    return median(float(p50) for p50, _ in kept), median(float(p99) for _, p99 in kept)


CLIENTS = {"ours": (ours, our_latencies), "java": (javas, javas_latencies)}


def stored(broker: Pulsar, topic: str) -> int:
    try:
        return json.loads(broker.admin("GET", f"persistent/public/default/{topic}/stats"))["msgInCounter"]
    except ServerError:
        return 0  # not there yet


def run_client(who: str, load: Load, broker: Pulsar, number: int) -> Figures:
    command, latencies = CLIENTS[who]
    topic = f"{load.name}-{who}-{number}"
    client = Client(command(broker, topic, load), broker.folder / f"{topic}.log")
    try:
        wait_for(f"the first message of {who}", lambda: client.process.poll() is not None or stored(broker, topic) > 0)
        time.sleep(load.warm_up)
        began, messages, cpu = time.monotonic(), stored(broker, topic), client.cpu_seconds()
        time.sleep(load.seconds)
        seconds, messages = time.monotonic() - began, stored(broker, topic) - messages
        cpu, peak = client.cpu_seconds() - cpu, client.peak_mib()
        printed = client.end()
    except OSError as error:
        raise ServerError(f"{who} has ended:\n{end_of(client.output)}") from error
    finally:
        client.process.kill()
    broker.admin("DELETE", f"persistent/public/default/{topic}?force=true")
    return Figures(messages / seconds, cpu / messages * 1e6, peak, *latencies(printed, load))


def wait_for_room(folder: Path) -> None:
    """Until BookKeeper has given back what the deleted topics took."""
    wait_for("room on the disk", lambda: shutil.disk_usage(folder).free > FREE_BYTES, 900, 1)


def bench_against_java(folder: Path) -> None:
    broker = RoomyPulsar(folder / "pulsar")
    with running(broker):
        for load in LOADS:
            in_turns(load, broker)


def in_turns(load: Load, broker: Pulsar) -> None:
    runs: dict[str, list[Figures]] = {who: [] for who in CLIENTS}
    for number in range(PAIRS):
        # Each goes first as often as the other.
        for who in sorted(CLIENTS, reverse=number % 2 == 1):
            wait_for_room(broker.folder)
            figures = run_client(who, load, broker, number)
            say(
                f"bench: {load.name} {number + 1} {who}: {figures.rate:,.0f} messages/s, {figures.cpu:.2f} CPU s per "
                f"million, {figures.peak_mib:.0f} MiB, p50 {figures.p50_ms:.2f} ms, p99 {figures.p99_ms:.2f} ms"
            )
            runs[who].append(figures)
    for who, all_of in runs.items():
        bench = f"{load.name}_{who}"
        result(f"{bench}_rate", median(run.rate for run in all_of), "messages/s", "higher")
        result(f"{bench}_cpu", median(run.cpu for run in all_of), "CPU s per million messages", "lower")
        result(f"{bench}_memory", median(run.peak_mib for run in all_of), "MiB", "lower")
        result(f"{bench}_p50", median(run.p50_ms for run in all_of), "ms", "lower")
        result(f"{bench}_p99", median(run.p99_ms for run in all_of), "ms", "lower")
