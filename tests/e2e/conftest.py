"""The servers, each started once, when the first test needs it. Every test has its own table, topic, application name
and state folder."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import pulsar
import pytest

from image import COMMIT, DOCKERFILE, Image
from kcl import CONSUMERS
from producer import PROGRAM as TEST_PRODUCE
from producer import Producer
from program import BINARY, QUICK, Program, source_config
from secure import ROLE, SecurePulsar
from servers import ROOT, TO_BE_KILLED, DynamoDbLocal, Pulsar, PulsarIo, Server, end_of
from stream import Table
from tokens import Issuer
from topic import Reader, quiet_client
from witness import Witness

SERVERS = pytest.StashKey[list[Server]]()
PROGRAM = pytest.StashKey[Program]()
PRODUCER = pytest.StashKey[Producer]()


def pytest_sessionstart(session: pytest.Session) -> None:
    for binary in (BINARY, TEST_PRODUCE):
        if not binary.exists():
            pytest.exit(f"{binary} is missing; build it first (make), or name its folder in DDB2PULSAR_BUILD", 2)
    session.config.stash[SERVERS] = []


def pytest_configure(config: pytest.Config) -> None:
    meaning = "left out of a build with sanitizers: it exercises no code there that others don't, or takes long"
    config.addinivalue_line("markers", f"optimised_only: {meaning}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    cache = BINARY.parent / "CMakeCache.txt"
    if not cache.exists() or "D2P_FLAVOUR:STRING=release" in cache.read_text():
        return
    left_out = [item for item in items if item.get_closest_marker("optimised_only")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@contextmanager
def running(config: pytest.Config, *servers: Server) -> Iterator[None]:
    """Started at the same time; killed at the end."""
    config.stash[SERVERS] += servers
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_ready()
        yield
    finally:
        for server in servers:
            server.kill()
            config.stash[SERVERS].remove(server)


@pytest.fixture(scope="session")
def servers(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[tuple[DynamoDbLocal, Pulsar]]:
    scratch = tmp_path_factory.mktemp("servers")
    # Quotas are looked at so often for a test that waits for that.
    broker = Pulsar(scratch / "pulsar", settings={"backlogQuotaCheckIntervalInSeconds": "1"})
    dynamodb = DynamoDbLocal(scratch / "dynamodb")
    with running(pytestconfig, broker, dynamodb):
        yield dynamodb, broker


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


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package of the build under test."""
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run(
        ["cpack", "--config", BINARY.parent / "CPackConfig.cmake", "-B", folder], check=True, capture_output=True
    )
    (package,) = folder.glob("*.deb")
    return package


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    image = Image(tmp_path_factory.mktemp("image"), {"DDB2PULSAR_COMMIT": COMMIT})
    image.build(DOCKERFILE)
    yield image
    image.tree.close()


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

    def write(producer: dict[str, Any] | None = None, topic: str = name, **configs: Any) -> Path:
        arguments = {
            "stream_arn": table.arn,
            "dynamodb_url": dynamodb.url,
            "pulsar_url": broker.url,
            "topic": topic,
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
    broker = Pulsar(tmp_path / "pulsar", settings=TO_BE_KILLED)
    with running(pytestconfig, broker):
        yield broker


@pytest.fixture(scope="session")
def pulsar_io(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[PulsarIo]:
    broker = PulsarIo(tmp_path_factory.mktemp("pulsar-io"))
    with running(pytestconfig, broker):
        yield broker


@pytest.fixture(scope="session")
def archive() -> Path:
    """The archive for Pulsar IO, around the program under test."""
    folder = BINARY.parent / "nar"
    archive = folder / "pulsar-io-ddb2pulsar.nar"
    sources = [BINARY, *(path for path in (ROOT / "nar").rglob("*") if path.is_file())]
    if not archive.exists() or archive.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        subprocess.run([ROOT / "nar" / "build", BINARY, folder], check=True)
    return archive


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[SecurePulsar]:
    broker = SecurePulsar(tmp_path_factory.mktemp("secure"))
    with running(pytestconfig, broker):
        yield broker


@pytest.fixture
def strict(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[SecurePulsar]:
    """For one test, since it is killed there and gets new certificates."""
    broker = SecurePulsar(tmp_path / "strict", strict=True)
    with running(pytestconfig, broker):
        yield broker


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer(ROLE, seconds=60)
    yield issuer
    issuer.stop()


@pytest.fixture(scope="session")
def witness(broker: Pulsar, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    witness = Witness(broker, tmp_path_factory.mktemp("witness"))
    yield witness
    witness.close()


@pytest.fixture
def producer(broker: Pulsar, name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Producer]:
    """To this test's topic."""
    producer = Producer(tmp_path, {"service_url": broker.url, "topic": name})
    request.node.stash[PRODUCER] = producer
    yield producer
    producer.close()


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
    for consumer in item.stash.get(CONSUMERS, []):
        report.sections.append((consumer.worker, end_of(consumer.log, 60)))
    producer = item.stash.get(PRODUCER, None)
    for number, run in enumerate(producer.runs if producer else [], 1):
        title = f"test_produce {number}: {run.options}"
        report.sections.append((title, f"{run.last_events()}\n{end_of(run.stderr_path, 60)}"))
    for server in item.config.stash.get(SERVERS, []):
        report.sections.append((server.name, end_of(server.log, 20)))
    return report
