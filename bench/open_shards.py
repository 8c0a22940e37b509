"""Ten thousand open shards in one process: found, taken, polled once a second each, and bursts on a hundred of them."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from pathlib import Path

from doubles import Double
from measuring import ARN, aws_config, result, running, say
from program import Program, Run
from servers import ServerError, end_of, wait_for

SHARDS = 10_000
POLL_MS = 1000
IDLE_SECONDS = 30
BURSTS = 20
BURST_SHARDS = 100
BURST_RECORDS = 10  # of each shard
RECORD_BYTES = 600
DEADLINE_SECONDS = 180
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS


def memory_mib(pid: int, line: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(line + ":")[2].split()[0]) / 1024


class Arrivals(threading.Thread):
    """When each line came to the program's standard output. It is a file; what is new in it is looked for all the time."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.times: list[float] = []
        self._path = path
        self.start()

    def run(self) -> None:
        with self._path.open("rb") as lines:
            while True:
                lines_now = lines.read().count(b"\n")
                self.times += [time.monotonic()] * lines_now
                time.sleep(0.005)


def calls(aws: Double) -> dict[str, int]:
    return json.loads(aws.ask("counts"))


def must_run(run: Run) -> None:
    if not run.is_running():
        raise ServerError(f"it ended:\n{end_of(run.stderr_path)}")


def bench_open_shards(folder: Path) -> None:
    aws = Double("fake_aws", folder, f"stream {ARN} hash id view NEW_AND_OLD_IMAGES\nshards {SHARDS}\n")
    with running(aws):
        program = Program(folder)
        run = program.run(
            program.write(
                aws_config(aws, folder, "open-shards", sink="stdout", minPollInterval=POLL_MS, maxPollInterval=POLL_MS)
            )
        )
        try:
            measure(aws, run)
        finally:
            program.close()


def measure(aws: Double, run: Run) -> None:
    started = time.monotonic()

    def all_open() -> bool:
        must_run(run)
        return run.stderr.count('"area":"shard","event":"open"') == SHARDS

    wait_for("all shards are read", all_open, DEADLINE_SECONDS)
    result("open_shards_all_read", time.monotonic() - started, "s", "lower")
    # The bursts of the start are over when each shard was read a few times.
    time.sleep(5 * POLL_MS / 1000)
    pid = run.process.pid
    assert aws.process is not None
    before, cpu, aws_cpu, since = calls(aws), cpu_seconds(pid), cpu_seconds(aws.process.pid), time.monotonic()
    time.sleep(IDLE_SECONDS)
    after, seconds = calls(aws), time.monotonic() - since
    cpu, aws_cpu = cpu_seconds(pid) - cpu, cpu_seconds(aws.process.pid) - aws_cpu
    must_run(run)
    say(f"the double took {100 * aws_cpu / seconds:.0f} % of a core")
    result("open_shards_polls", (after["GetRecords"] - before["GetRecords"]) / seconds, "polls/s", "higher")
    result("open_shards_renewals", (after["UpdateItem"] - before["UpdateItem"]) / seconds, "renewals/s", "higher")
    result("open_shards_cpu", 100 * cpu / seconds, "% of a core", "lower")
    result("open_shards_memory", memory_mib(pid, "VmRSS"), "MiB", "lower")
    bursts(aws, run)
    result("open_shards_peak_memory", memory_mib(pid, "VmHWM"), "MiB", "lower")


def bursts(aws: Double, run: Run) -> None:
    """Random shards at random moments. The records of a burst are made all at once, so what counts is when it was asked
    for and when each of its lines came."""
    ids = shard_ids(run)
    arrivals = Arrivals(run.stdout_path)
    delays: list[float] = []
    for _ in range(BURSTS):
        came = len(arrivals.times)
        chosen = random.sample(ids, BURST_SHARDS)
        lines = "".join(f"fill {shard} {BURST_RECORDS} {RECORD_BYTES}\n" for shard in chosen)
        asked = time.monotonic()
        aws.tell(lines)
        count = BURST_SHARDS * BURST_RECORDS
        wait_for("the burst has come", lambda: len(arrivals.times) >= came + count, 30)
        delays += [at - asked for at in arrivals.times[came:]]
        time.sleep(random.random() * POLL_MS / 1000)
    must_run(run)
    if len(delays) != BURSTS * BURST_SHARDS * BURST_RECORDS:
        raise ServerError(f"{len(delays)} records came")
    delays.sort()
    for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        result(f"open_shards_burst_{name}", delays[int(part * len(delays)) - 1], "s", "lower")


def shard_ids(run: Run) -> list[str]:
    return [event["shard"] for event in run.events() if (event["area"], event["event"]) == ("shard", "open")]
