"""What the program tells probes, scrapers and systemd of itself."""

from __future__ import annotations

import json
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


# ---- CloudWatch: what the Java library publishes (KCL 1.x with the adapter), by operation, name and unit. An "S" stands
# for a ShardId as a dimension, a "D" for metricsLevel DETAILED.
METRICS = """
ProcessTask Success Count S
ProcessTask Time Milliseconds S
ProcessTask RecordsProcessed Count S
ProcessTask DataBytesProcessed Bytes S
ProcessTask MillisBehindLatest Milliseconds S
ProcessTask ExpiredIterator Count S
ProcessTask RecordProcessor.processRecords.Time Milliseconds S
ProcessTask KinesisDataFetcher.getRecords.Success Count SD
ProcessTask KinesisDataFetcher.getRecords.Time Milliseconds SD
ProcessTask KinesisDataFetcher.getIterator.Success Count SD
ProcessTask KinesisDataFetcher.getIterator.Time Milliseconds SD
ProcessTask UpdateLease.Success Count SD
ProcessTask UpdateLease.Time Milliseconds SD
InitializeTask Success Count
InitializeTask Time Milliseconds
InitializeTask RecordProcessor.initialize.Time Milliseconds
DynamoDBStreamsShutdownTask Success Count
DynamoDBStreamsShutdownTask Time Milliseconds
DynamoDBStreamsShutdownTask RecordProcessor.shutdown.Time Milliseconds
BlockOnParentShardTask Success Count
BlockOnParentShardTask Time Milliseconds
ShardSyncTask Success Count
ShardSyncTask Time Milliseconds
ShardSyncTask CreateLease.Success Count D
ShardSyncTask CreateLease.Time Milliseconds D
TakeLeases Success Count
TakeLeases Time Milliseconds
RenewAllLeases Success Count
RenewAllLeases Time Milliseconds
RenewAllLeases CurrentLeases Count
RenewAllLeases LostLeases Count
RenewAllLeases RenewLease.Success Count D
RenewAllLeases RenewLease.Time Milliseconds D
PeriodicShardSyncManager NumStreamsToSync Count
ApplicationTracker MillisBehindLatest Milliseconds
ApplicationTracker Gaps Count
ApplicationTracker RecordErrors Count
ApplicationTracker RecordsInFlight Count
"""
CHILD = "shardId-00000001700000001000-00000001"


def published(aws: Double) -> list[dict[str, Any]]:
    bodies = json.loads(aws.ask("metrics"))
    assert all(body["Namespace"] == "orders to pulsar" for body in bodies)
    return [datum for body in bodies for datum in body["MetricData"]]


def dimensions(datum: dict[str, Any]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in datum["Dimensions"]}


def of_shard(data: list[dict[str, Any]], name: str, shard: str) -> dict[str, float]:
    """The statistic sets of one metric, summed up."""
    sets = [d["StatisticValues"] for d in data if d["MetricName"] == name and dimensions(d).get("ShardId") == shard]
    return {"count": sum(s["SampleCount"] for s in sets), "sum": sum(s["Sum"] for s in sets)}


@pytest.mark.parametrize("level", ["DETAILED", "SUMMARY", "NONE"])
def test_cloudwatch_gets_what_the_java_library_publishes(
    program: Program, doubles: tuple[Double, Double], tmp_path: Path, level: str
) -> None:
    aws, _ = doubles
    aws.tell(f"fill {SHARD} 30 500 name item\n")
    config = between_doubles(doubles, tmp_path, Probe(f"127.0.0.1:{free_port()}"))
    config |= {
        "applicationName": "orders to pulsar",
        "cloudwatchEndpoint": f"http://{aws.address}",
        "initialPositionInStream": "TRIM_HORIZON",
        "metricsLevel": level,
        "minPollInterval": "20",
    }
    path = program.write(config)
    check = program.start("check", "-c", path)
    assert check.wait() == 0, check.stdout
    assert ("namespace orders to pulsar" in check.stdout) == (level != "NONE")
    run = program.run(path)
    probe = Probe(config["httpListen"])
    probe.wait("/readyz", 200)
    wait_for("the records", lambda: probe.metrics()["ddb2pulsar_records_acknowledged_total"] == 30)
    aws.tell("expire-iterators\n")
    wait_for_event(run, "shard", "iterator-expired")
    aws.tell(f"split {SHARD} {CHILD}\nfill {CHILD} 10 500 name item\n")
    wait_for("the child's records", lambda: probe.metrics()["ddb2pulsar_records_acknowledged_total"] == 40)
    assert run.terminate() == 0

    data = published(aws)
    wanted = set()
    for line in METRICS.split("\n")[1:-1]:
        operation, name, unit, *how = line.split()
        if level == "DETAILED" or (level == "SUMMARY" and "D" not in "".join(how)):
            wanted.add((operation, name, unit, "S" in "".join(how)))
    found = {(dimensions(d)["Operation"], d["MetricName"], d["Unit"], "ShardId" in dimensions(d)) for d in data}
    assert found == wanted
    if level == "NONE":
        assert json.loads(aws.ask("counts"))["PutMetricData"] == 0
        return
    assert {dimensions(d)["ShardId"] for d in data if "ShardId" in dimensions(d)} == {SHARD, CHILD}
    assert of_shard(data, "RecordsProcessed", SHARD)["sum"] == 30
    assert of_shard(data, "RecordsProcessed", CHILD)["sum"] == 10
    assert of_shard(data, "ExpiredIterator", SHARD)["sum"] >= 1
    assert of_shard(data, "MillisBehindLatest", SHARD)["count"] > 1, "also of pages without records"
    for datum in data:
        values = datum["StatisticValues"]
        assert values["SampleCount"] > 0
        assert values["Minimum"] * values["SampleCount"] <= values["Sum"] <= values["Maximum"] * values["SampleCount"]


@pytest.mark.parametrize(
    "trouble",
    [
        "delay PutMetricData always 60000",
        "fail PutMetricData always 500 InternalFailure",
        "fail PutMetricData always 400 AccessDenied",
        "fail PutMetricData always 400 InvalidParameterValue",
        "drop-before PutMetricData always",
        "away",
    ],
)
def test_a_cloudwatch_in_trouble_changes_nothing(
    program: Program, doubles: tuple[Double, Double], tmp_path: Path, trouble: str
) -> None:
    aws, broker = doubles
    aws.tell(f"fill {SHARD} 3000 500 name item\n" + (f"{trouble}\n" if trouble != "away" else ""))
    config = between_doubles(doubles, tmp_path, Probe(f"127.0.0.1:{free_port()}"))
    config |= {
        "cloudwatchEndpoint": f"http://{aws.address}" if trouble != "away" else f"http://127.0.0.1:{free_port()}",
        "initialPositionInStream": "TRIM_HORIZON",
    }
    run = program.catch_up(program.write(config))
    ended = run.event("source", "ended")
    assert (ended["delivered"], ended["gaps"]) == (3000, 0)
    assert json.loads(broker.ask("counts"))["messages"] == 3000
    warnings = [event for event in run.events() if event["event"] == "metrics-not-published"]
    assert len(warnings) <= 1
    assert warnings or "delay" in trouble
