"""The commands of the documentation do what it says of them, in its order."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Callable

import pulsar
import pytest

from program import BINARY, Program, plain_environment
from servers import ROOT
from stream import Table
from topic import Reader, assert_delivered

Configure = Callable[..., Path]

AWS_ERRORS = ["UnrecognizedClientException", "AccessDenied"]  # the service's own words


def commands(document: str) -> list[str]:
    """What stands behind "$ " in the blocks of kind console."""
    text = (ROOT / "docs" / document).read_text()
    blocks = re.findall(r"^ *```console\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [line.strip()[2:] for block in blocks for line in block.splitlines() if line.strip().startswith("$ ")]


def shell(command: str, folder: Path) -> subprocess.Popen[str]:
    environment = {**plain_environment(), "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "bash", "-c", f"exec {command}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def source(configure: Configure, tmp_path: Path) -> Path:
    """source.yaml, as the documentation calls it; JSON is YAML."""
    path = tmp_path / "source.yaml"
    path.write_text(configure(failoverTime="1000", initialPositionInStream="TRIM_HORIZON").read_text())
    return path


def put_java_lease(table: Table, name: str, checkpoint: str) -> None:
    """The lease table as the Java connector leaves it behind when it is stopped."""
    client = table.dynamodb
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "leaseKey", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 10, "WriteCapacityUnits": 10},
    )
    (shard,) = table.shards()
    client.put_item(
        TableName=name,
        Item={
            "leaseKey": {"S": shard["ShardId"]},
            "leaseOwner": {"S": "host:0d2f8c1e-8a3b-4c55-9e0f-1b2a3c4d5e6f"},
            "leaseCounter": {"N": "4711"},
            "ownerSwitchesSinceCheckpoint": {"N": "0"},
            "checkpoint": {"S": checkpoint},
            "checkpointSubSequenceNumber": {"N": "0"},
        },
    )


def test_moving_from_the_java_connector(
    source: Path, table: Table, client: pulsar.Client, name: str, tmp_path: Path
) -> None:
    """It checkpointed everything when it was stopped, and lost the last of it. The guide brings that back."""
    table.put_many(100)
    changes = table.changes()
    put_java_lease(table, name, changes[-1].sequence_number)
    steps = commands("migrating-from-java.md")
    assert [step.split()[1] for step in steps] == ["check", "config", "reset", "run", "status"]
    for step in steps[:3]:
        process = shell(step, tmp_path)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, f"{step}\n{output}"
    run = shell(steps[3], tmp_path)
    reader = Reader(client, name)
    reader.read_until("what was lost", lambda: len(reader.distinct()) == len(changes))
    status = shell(steps[4], tmp_path)
    output, _ = status.communicate(timeout=60)
    assert status.returncode == 0 and "1 open" in output, output
    run.terminate()
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 0, output
    assert_delivered(changes, reader.read_to_end())


def test_the_commands_of_operations(source: Path, table: Table, program: Program, tmp_path: Path) -> None:
    table.put_many(100)
    program.catch_up(source)
    steps = commands("operations.md")
    assert len(steps) == 7
    for step in steps:
        process = shell(step, tmp_path)
        output, _ = process.communicate(timeout=90)
        assert process.returncode == 0, f"{step}\n{output}"


@pytest.mark.parametrize("document", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / link).exists(), link


def test_every_message_of_troubleshooting_is_one_of_the_program() -> None:
    """Every text that somebody looks up there is a part of a text of the program."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    rows = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    words = [word for row in rows for word in re.findall(r"`([^`]+)`", row)]
    assert len(words) > 15
    files = [path for suffix in ("c", "def") for path in (ROOT / "src").rglob(f"*.{suffix}")]
    source = "\n".join(path.read_text() for path in files)
    joined = re.sub(r'"\s*\n\s*"', "", source)  # one literal on several lines
    literals = "\n".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', joined))
    for word in words:
        assert word in literals or word in AWS_ERRORS, word
