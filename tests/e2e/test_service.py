"""The package's service as systemd runs it: a real one, in a small Debian, with every restriction of the unit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Callable, Iterator

import pytest

from documents import commands
from program import CREDENTIALS
from servers import wait_for
from stream import Table
from topic import Reader, assert_delivered
from tree import Tree

# The package holds the optimised build.
pytestmark = pytest.mark.optimised_only

Configure = Callable[..., Path]


@pytest.fixture(scope="module")
def machine(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    tree = Tree(tmp_path_factory.mktemp("service") / "tree")
    shutil.copy(package, tree.shared)
    tree.install(f"/shared/{package.name}", "systemd")
    tree.boot()
    yield tree
    tree.close()


class Service:
    """One instance. The configuration is root's, and without keys: those are a credential."""

    def __init__(self, machine: Tree, name: str, config: Path) -> None:
        self.machine = machine
        self.name = name
        self.unit = f"ddb2pulsar@{name}.service"
        source = json.loads(config.read_text())
        source["configs"].pop("stateDirectory")
        source["configs"].pop("awsCredentialPluginParam")
        keys = json.loads(CREDENTIALS)
        profile = f"[default]\naws_access_key_id={keys['accessKey']}\naws_secret_access_key={keys['secretKey']}\n"
        place = f"/etc/ddb2pulsar/{name}"
        machine.write(f"{place}.yaml", json.dumps(source), 0o600)
        machine.write(f"{place}.secrets/aws", profile, 0o600)
        variable = f"AWS_SHARED_CREDENTIALS_FILE=/run/credentials/{self.unit}/secret_aws\n"
        machine.write(f"{place}.env", variable, 0o600)

    def ctl(self, verb: str, *more: str) -> None:
        done = self.machine.run("systemctl", verb, self.unit, *more)
        assert done.returncode == 0, f"{done.stdout}\n{self.log()}"

    def show(self, name: str) -> str:
        return self.machine.do("systemctl", "show", "--value", "-p", name, self.unit).strip()

    def log(self) -> str:
        return self.machine.do("journalctl", "-q", "-o", "cat", "-u", self.unit)

    def wait_restarted(self) -> None:
        wait_for("a restart", lambda: self.show("NRestarts") == "1" and self.show("ActiveState") == "active")


@pytest.fixture
def service(machine: Tree, name: str, configure: Configure) -> Iterator[Service]:
    service = Service(machine, name, configure())
    yield service
    machine.run("systemctl", "stop", service.unit)


def test_it_starts_when_it_is_ready_and_stops_cleanly(service: Service, table: Table, reader: Reader) -> None:
    table.put_many(40)
    changes = table.changes()
    service.ctl("start")
    assert service.show("ActiveState") == "active"
    reader.read_until("all changes", lambda: len(reader.distinct()) == len(changes))
    wait_for("a status", lambda: "shard" in service.show("StatusText"))
    user = int(service.machine.do("stat", "-c", "%u", f"/proc/{service.show('MainPID')}"))
    assert 61184 <= user <= 65519, "a user of its own, for the time it runs"
    service.ctl("stop")
    assert (service.show("Result"), service.show("ExecMainStatus")) == ("success", "0")
    assert "source ended" in service.log()
    assert_delivered(changes, reader.read_to_end())


def test_a_killed_one_comes_back_under_its_name(service: Service, table: Table, reader: Reader) -> None:
    table.put_many(20)
    service.ctl("start")
    reader.read_until("what is there", lambda: len(reader.distinct()) == 20)
    service.ctl("kill", "--signal=KILL")
    service.wait_restarted()
    table.put_many(20, "later-{}".format)
    changes = table.changes()
    reader.read_until("what came after it", lambda: len(reader.distinct()) == len(changes))
    workers = [line.split("id=")[1].split()[0] for line in service.log().splitlines() if "lease worker" in line]
    assert len(workers) == 2 and workers[0] == workers[1]
    service.ctl("stop")
    assert_delivered(changes, reader.read_to_end())


def test_one_that_stands_still_is_restarted(service: Service, table: Table, reader: Reader) -> None:
    service.machine.write(f"/etc/systemd/system/{service.unit}.d/quick.conf", "[Service]\nWatchdogSec=3\n")
    service.machine.do("systemctl", "daemon-reload")
    service.ctl("start")
    service.ctl("kill", "--signal=STOP")
    service.wait_restarted()
    assert "Watchdog timeout" in service.log()
    table.put_many(10)
    reader.read_until("what came after it", lambda: len(reader.distinct()) == 10)


@pytest.mark.parametrize(("text", "status"), [("awsDynamodbStreamArn: orders\n", "2"), (None, "243")])
def test_a_wrong_configuration_is_not_tried_again(service: Service, text: str | None, status: str) -> None:
    path = f"/etc/ddb2pulsar/{service.name}.yaml"
    if text is None:
        service.machine.do("rm", path)
    else:
        service.machine.write(path, text, 0o600)
    service.machine.run("systemctl", "start", service.unit)
    assert service.show("ActiveState") == "failed"
    assert (service.show("ExecMainStatus"), service.show("NRestarts")) == (status, "0")
    assert text is None or f"{service.name}.yaml:1:23: " in service.log()


def test_the_commands_of_installing(machine: Tree, configure: Configure, table: Table, reader: Reader) -> None:
    """Those of the package and the service, in the guide's order, by somebody who is root already."""
    table.put_many(10)
    source = json.loads(configure().read_text())
    source["configs"].pop("stateDirectory")
    for name, text in (("source.yaml", json.dumps(source)), ("token", "secret"), ("aws", "[default]\n")):
        (machine.shared / name).write_text(text)
    steps = [step for step in commands("installing.md") if not step.startswith("helm ")]
    assert len(steps) == 12
    machine.install("man-db")
    for step in steps:
        machine.do("sh", "-c", f"cd /shared && {step.replace('sudo ', '')}")
    reader.read_count(10)
    secrets = machine.do("ls", "/run/credentials/ddb2pulsar@orders.service").split()
    assert secrets == ["orders.yaml", "secret", "secret_aws", "secret_token"]
    machine.do("systemctl", "disable", "--now", "ddb2pulsar@orders")
