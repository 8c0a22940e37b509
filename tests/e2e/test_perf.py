"""The load generator and the library's example program, as what they are: programs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import pulsar
import pytest

from doubles import Double
from program import BINARY
from servers import Pulsar, wait_for
from topic import Reader

PERF, PRODUCE = BINARY.parent / "ddb2pulsar-perf", BINARY.parent / "examples/produce"


def run(*command: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Double]:
    double = Double("fake_broker", tmp_path, "partitions * 3\n")
    try:
        double.start()
        yield double
        assert double.ask("violation") in ("", '""'), "the producer broke the protocol"
    finally:
        double.kill()


def stored(double: Double, folder: Path) -> list[dict]:
    path = folder / "messages.jsonl"
    double.tell(f"dump {path}")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_load_generator_sends_what_it_says(double: Double, tmp_path: Path) -> None:
    url = f"pulsar://{double.address}"
    options = ("--messages", "5000", "--size", "200", "--partition-keys", "50", "--compression", "zstd")
    printed = run(PERF, "--service-url", url, "--topic", "load", *options, "--json")
    result = json.loads(printed.stdout)
    assert printed.stderr == ""
    assert result["messages"] == 5000
    assert 0 < result["p50Ms"] <= result["p99Ms"] <= result["p999Ms"] <= result["maxMs"]
    assert result["cpuSeconds"] > 0 and result["peakMemoryBytes"] > 1 << 20
    messages = stored(double, tmp_path)
    assert len(messages) == 5000
    assert {len(message["value"]) for message in messages} == {200}
    assert {message["topic"] for message in messages} == {"persistent://public/default/load"}
    keys = {message["key"] for message in messages}
    assert keys == {f"key-{i:08}" for i in range(50)}
    assert len({(message["key"], message["partition"]) for message in messages}) == 50, "a key on two partitions"


def test_the_load_generator_ends_early_with_its_result(double: Double) -> None:
    url = f"pulsar://{double.address}"
    process = subprocess.Popen(
        [PERF, "--service-url", url, "--topic", "load", "--rate", "1000", "--seconds", "3600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for("two seconds of messages", lambda: json.loads(double.ask("counts"))["messages"] > 2000)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert " messages/s, " in out and "CPU: " in out
    assert "1 s " in err and "p50" in err, "there is a line for every second"


def test_the_load_generator_says_what_is_wrong(double: Double) -> None:
    assert "--topic is missing" in run(PERF, "--service-url", "pulsar://h", code=2).stderr
    double.tell("fail PRODUCER 1 AuthorizationError 'not you'")
    refused = run(PERF, "--service-url", f"pulsar://{double.address}", "--topic", "t", code=4)
    assert "not you" in refused.stderr and refused.stdout == ""


def test_the_example_sends_its_messages(double: Double, tmp_path: Path) -> None:
    printed = run(PRODUCE, f"pulsar://{double.address}", "example")
    assert re.search(r"^\d+ stored as \d+:\d+$", printed.stdout, re.M), printed.stdout
    messages = stored(double, tmp_path)
    assert [(message["key"], message["value"]) for message in messages] == [("key", "value")] * 10
    assert len({message["partition"] for message in messages}) == 1
    run(PRODUCE, code=2)
    assert "pulsar://" in run(PRODUCE, "http://h", "example", code=1).stderr


def test_pulsar_stores_what_both_send(broker: Pulsar, client: pulsar.Client, name: str) -> None:
    run(PERF, "--service-url", broker.url, "--topic", name, "--messages", "3000", "--partition-keys", "7", "--quiet")
    run(PRODUCE, broker.url, name)
    reader = Reader(client, name)
    reader.read_count(3010)
    keys = [message.key for message in reader.messages]
    assert keys == [f"key-{i % 7:08}" for i in range(3000)] + ["key"] * 10
    assert {len(message.value) for message in reader.messages} == {1024, len("value")}
