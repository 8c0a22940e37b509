"""The commands of the documentation do what it says of them, in its order."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Callable

import pulsar
import pytest

from documents import commands, shell
from program import BINARY, Program
from servers import ACCESS_KEY, ROOT, SECRET_KEY, DynamoDbLocal, Pulsar
from stream import Table
from topic import Reader, assert_delivered, assert_exactly_once

Configure = Callable[..., Path]

AWS_ERRORS = ["UnrecognizedClientException", "AccessDenied"]  # the service's own words


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


def test_who_leaves_the_reset_out_goes_on_at_the_java_connectors_checkpoint(
    source: Path, table: Table, program: Program, reader: Reader, name: str
) -> None:
    table.put_many(100)
    changes = table.changes()
    put_java_lease(table, name, changes[49].sequence_number)
    program.catch_up(source)
    assert_exactly_once(changes[50:], reader.read_to_end())


def test_the_start_of_the_readme(
    table: Table, dynamodb: DynamoDbLocal, broker: Pulsar, client: pulsar.Client, tmp_path: Path
) -> None:
    """Its file, with a stream and a broker that exist, and its commands behind `make`."""
    text = (ROOT / "README.md").read_text()
    example = re.search(r"^    tenant: .*?(?=\n\n)", text, re.MULTILINE | re.DOTALL)[0].replace("\n    ", "\n").strip()
    example = re.sub(r"arn:aws:dynamodb:\S+", table.arn, example).replace("pulsar://localhost:6650", broker.url)
    (tmp_path / "source.json").write_text(example + "\n")
    (tmp_path / "build").symlink_to(BINARY.parent)
    variables = {
        "AWS_ENDPOINT_URL": dynamodb.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "XDG_STATE_HOME": str(tmp_path),
    }
    check, run = re.findall(r"^    (build/ddb2pulsar [^#\n]*)", text, re.MULTILINE)
    process = shell(check, tmp_path, **variables)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    table.put_many(10)
    process = shell(run, tmp_path, **variables)
    reader = Reader(client, "order-changes")
    reader.read_count(10)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert_exactly_once(table.changes(), reader.read_to_end())


def test_every_document_with_commands_has_a_test_that_runs_them() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests" / "e2e").glob("test_*.py"))
    documents = [path.name for path in (ROOT / "docs").glob("*.md") if commands(path.name)]
    assert len(documents) >= 2
    assert not [name for name in documents if f'commands("{name}")' not in tests]


def test_every_command_that_a_document_names_is_there() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {word for path in documents for word in re.findall(r"`ddb2pulsar ([^`]*)`", path.read_text())}
    rows = re.findall(r"^\| (`[^|]*`) \| [a-z]", (ROOT / "README.md").read_text(), re.MULTILINE)
    table = {command for row in rows for command in re.findall(r"`([^`]*)`", row)}
    assert len(named) >= 3 and len(table) >= 8
    help_text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
    listed = {line.strip().split("  ")[0] for line in help_text.splitlines() if line.startswith("  ") and "  " in line.strip()}
    assert table == {command for command in listed if not command.startswith("-")}
    for command in named:
        words = [word for word in command.split() if not word.startswith("-")][:2]
        assert words[0] in table or " ".join(words) in table, command


def test_the_load_generators_command(broker: Pulsar, client: pulsar.Client, tmp_path: Path) -> None:
    """As in its README, for two seconds instead of half a minute."""
    text = (ROOT / "src" / "perf" / "README.md").read_text()
    (command,) = re.findall(r"^    (build/ddb2pulsar-perf .*)", text, re.MULTILINE)
    (tmp_path / "build").symlink_to(BINARY.parent)
    shorter = command.replace("--seconds 30 --warm-up 5", "--seconds 2 --warm-up 1").replace("--rate 50000", "--rate 500")
    process = shell(shorter.replace("pulsar://localhost:6650", broker.url), tmp_path)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert {len(message.value) for message in Reader(client, "load").read_to_end()} == {600}


def test_the_example_plugin_is_built_as_it_says(tmp_path: Path) -> None:
    (command,) = re.findall(r"^ \*     (cc .*)", (ROOT / "examples" / "credentials_plugin.c").read_text(), re.MULTILINE)
    for folder in ("include", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "keys.so").exists()


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
    """Every text that somebody looks up there is a part of a text of the program, or its area and event in the log."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    rows = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    words = [word for row in rows for word in re.findall(r"`([^`]+)`", row)]
    assert len(words) > 15
    files = [path for suffix in ("c", "def") for path in (ROOT / "src").rglob(f"*.{suffix}")]
    source = "\n".join(path.read_text() for path in files)
    joined = re.sub(r'"\s*\n\s*"', "", source)  # one literal on several lines
    events = [" ".join(names) for names in re.findall(r'LOG_[A-Z]+\(\s*"([^"]+)",\s*"([^"]+)"', joined)]
    literals = "\n".join(events + re.findall(r'"((?:[^"\\\n]|\\.)*)"', joined))
    for word in words:
        assert word in literals or word in AWS_ERRORS, word
