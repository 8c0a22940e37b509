"""What the program tells probes, scrapers and systemd of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from doubles import Double
from listener import NotifySocket, Probe
from program import CREDENTIALS, Program, wait_for_event
from servers import free_port, wait_for
from shards import ARN
from stream import Table
from topic import Reader

TOPIC = "persistent://public/default/orders"
SHARD = "shardId-00000001700000000000-00000000"


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[NotifySocket]:
    notify = NotifySocket(tmp_path / "notify")
    yield notify
    notify.close()


def service(notify: NotifySocket) -> dict[str, str]:
    """As systemd starts a service with Type=notify and WatchdogSec=2."""
    return {"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "2000000"}


def test_probes_scrapers_and_systemd_see_it_work(
    program: Program, configure: Callable[..., Path], table: Table, reader: Reader, notify: NotifySocket
) -> None:
    table.put_many(40)
    probe = Probe(f"127.0.0.1:{free_port()}")
    run = program.start("run", "-c", configure(httpListen=probe.address), environment=service(notify))
    notify.wait("READY=1")
    probe.wait("/readyz", 200, "ok")
    assert probe.get("/healthz") == (200, "ok\n")
    assert probe.get("/metrics?x=y")[0] == 200
    assert probe.get("/")[0] == 404
    wait_for("three signs of life", lambda: notify.lines().count("WATCHDOG=1") >= 3)

    reader.read_count(40)
    wait_for("the receipts", lambda: probe.metrics()["ddb2pulsar_records_acknowledged_total"] == 40)
    metrics = probe.metrics()
    assert metrics["ddb2pulsar_records_read_total"] == 40
    assert metrics["ddb2pulsar_ready"] == metrics["ddb2pulsar_alive"] == 1
    assert metrics["ddb2pulsar_shards"] == sum(
        value for name, value in metrics.items() if name.startswith("ddb2pulsar_lane_shards{")
    )
    assert metrics["process_cpu_seconds_total"] > 0
    assert 1 << 20 < metrics["process_resident_memory_bytes"] < 1 << 30

    assert run.terminate() == 0
    lines = notify.lines()
    assert lines.count("READY=1") == lines.count("STOPPING=1") == 1
    assert lines.index("READY=1") < lines.index("STOPPING=1")
    assert any(line.startswith("STATUS=") and "shard" in line for line in lines)


@pytest.fixture
def doubles(tmp_path: Path) -> Iterator[tuple[Double, Double]]:
    pair = (
        Double("fake_aws", tmp_path, f"stream {ARN} hash id view NEW_AND_OLD_IMAGES\nshard {SHARD}\n"),
        Double("fake_broker", tmp_path, f"partitions {TOPIC} 0\n"),
    )
    try:
        for double in pair:
            double.start()
        yield pair
    finally:
        for double in pair:
            double.kill()


def between_doubles(doubles: tuple[Double, Double], folder: Path, probe: Probe) -> dict[str, Any]:
    aws, broker = doubles
    return {
        "awsDynamodbStreamArn": ARN,
        "awsEndpoint": f"http://{aws.address}",
        "dynamoEndpoint": f"http://{aws.address}",
        "awsCredentialPluginParam": CREDENTIALS,
        "applicationName": "leases",
        "failoverTime": "3000",
        "stateDirectory": str(folder / "state"),
        "serviceUrl": f"pulsar://{broker.address}",
        "topicName": TOPIC,
        "httpListen": probe.address,
        "stopTimeout": "1000",
    }


def test_what_is_away_makes_it_unready_and_leaves_it_alive(
    program: Program, doubles: tuple[Double, Double], notify: NotifySocket, tmp_path: Path
) -> None:
    probe = Probe(f"127.0.0.1:{free_port()}")
    config = program.write(between_doubles(doubles, tmp_path, probe))
    run = program.start("run", "-c", config, "--log-format", "json", environment=service(notify))
    probe.wait("/readyz", 200)

    aws, broker = doubles
    broker.kill()
    probe.wait("/readyz", 503, "connections to Pulsar lost, and being made anew: 1")
    aws.kill()
    wait_for("the lease's expiry", lambda: probe.metrics()["ddb2pulsar_lane_lease_idle_seconds{lane=0}"] > 3)
    assert probe.get("/healthz") == (200, "ok\n")
    assert probe.metrics()["ddb2pulsar_ready"] == 0
    seen = notify.lines().count("WATCHDOG=1")
    wait_for("more signs of life", lambda: notify.lines().count("WATCHDOG=1") > seen + 1)
    assert "STATUS=lane 0: connections to Pulsar lost, and being made anew: 1" in notify.lines()
    assert wait_for_event(run, "health", "not-ready")["reason"].startswith("lane 0: ")
    run.terminate()
    assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in notify.lines())
    program.runs.clear()  # it could not end well, with nobody there


def test_a_start_is_ready_when_pulsar_is(
    program: Program, doubles: tuple[Double, Double], tmp_path: Path
) -> None:
    """With an abstract socket."""
    aws, broker = doubles
    broker.tell("fail PRODUCER always ServiceNotReady\n")
    probe = Probe(f"127.0.0.1:{free_port()}")
    notify = NotifySocket(f"@ddb2pulsar-test-{probe.address}")
    config = program.write(between_doubles(doubles, tmp_path, probe))
    run = program.start("run", "-c", config, environment=service(notify))
    probe.wait("/readyz", 503, "Pulsar is not ready yet")
    assert "READY=1" not in notify.lines()
    assert probe.get("/healthz")[0] == 200
    broker.tell("clear\n")
    probe.wait("/readyz", 200)
    notify.wait("READY=1")
    assert run.terminate() == 0
    notify.close()


def test_an_address_in_use_ends_it_before_it_starts(
    program: Program, doubles: tuple[Double, Double], tmp_path: Path
) -> None:
    aws, _ = doubles
    config = program.write(between_doubles(doubles, tmp_path, Probe(aws.address)))
    run = program.start("run", "-c", config)
    assert run.wait() == 2
    assert f"httpListen: {aws.address}: Address already in use" in run.stderr
