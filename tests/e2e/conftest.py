"""One pair of real servers for all tests. Every test has its own table, topic, application name and state folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Iterator

import pulsar
import pytest

from program import BINARY, QUICK, Program, source_config
from servers import DynamoDbLocal, Pulsar, Server, end_of
from stream import Table
from topic import Reader, quiet_client

SERVERS = pytest.StashKey[list[Server]]()
PROGRAM = pytest.StashKey[Program]()


def pytest_sessionstart() -> None:
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is missing; build it first (make), or name its folder in DDB2PULSAR_BUILD", 2)


@pytest.fixture(scope="session")
def servers(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[tuple[DynamoDbLocal, Pulsar]]:
    scratch = tmp_path_factory.mktemp("servers")
    dynamodb, broker = DynamoDbLocal(scratch / "dynamodb"), Pulsar(scratch / "pulsar")
    pytestconfig.stash[SERVERS] = [dynamodb, broker]
    try:
        broker.launch()
        dynamodb.start()
        broker.wait_ready()
        yield dynamodb, broker
    finally:
        dynamodb.kill()
        broker.kill()


@pytest.fixture(scope="session")
def dynamodb(servers: tuple[DynamoDbLocal, Pulsar]) -> DynamoDbLocal:
    return servers[0]


@pytest.fixture(scope="session")
def broker(servers: tuple[DynamoDbLocal, Pulsar]) -> Pulsar:
    return servers[1]


@pytest.fixture(scope="session")
def client(broker: Pulsar) -> Iterator[pulsar.Client]:
    client = quiet_client(broker.url, broker.folder / "client.log")
    yield client
    client.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """This test's own name for its table, topic and application."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name).strip("-")


@pytest.fixture
def table(dynamodb: DynamoDbLocal, name: str) -> Table:
    return Table(dynamodb.url, f"table-{name}")


@pytest.fixture
def program(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Program]:
    program = Program(tmp_path)
    request.node.stash[PROGRAM] = program
    yield program
    program.close()


@pytest.fixture
def configure(
    program: Program, dynamodb: DynamoDbLocal, broker: Pulsar, table: Table, name: str, tmp_path: Path
) -> Callable[..., Path]:
    """Writes this test's configuration file; what is given replaces or adds to `configs`."""

    def write(producer: dict[str, Any] | None = None, **configs: Any) -> Path:
        arguments = {
            "stream_arn": table.arn,
            "dynamodb_url": dynamodb.url,
            "pulsar_url": broker.url,
            "topic": name,
            "application": name,
            "state": tmp_path / "state",
        }
        return program.write(source_config(**arguments, producer=producer, **{**QUICK, **configs}))

    return write


@pytest.fixture
def reader(client: pulsar.Client, name: str, program: Program) -> Reader:
    return Reader(client, name, still_well=program.assert_well)


@pytest.fixture
def own_pulsar(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Pulsar]:
    """A Pulsar for a test that kills it."""
    broker = Pulsar(tmp_path / "pulsar")
    pytestconfig.stash[SERVERS].append(broker)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
        pytestconfig.stash[SERVERS].remove(broker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Shows what the program, and the servers, wrote when a test fails."""
    report = yield
    if not report.failed:
        return report
    program = item.stash.get(PROGRAM, None)
    for number, run in enumerate(program.runs if program else [], 1):
        title = f"run {number}: {' '.join(run.arguments)}"
        report.sections.append((title, end_of(run.stderr_path, 60)))
    for server in item.config.stash.get(SERVERS, []):
        report.sections.append((server.name, end_of(server.log, 20)))
    return report
