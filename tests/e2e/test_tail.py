"""`tail` prints changes as JSON lines and leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

from program import Program
from servers import wait_for
from stream import Table

Configure = Callable[..., Path]


def assert_same(lines: list[str], table: Table) -> None:
    changes = table.changes()
    values = [json.loads(line) for line in lines]
    assert [value["dynamodb"]["SequenceNumber"] for value in values] == [c.sequence_number for c in changes]
    assert [value["eventID"] for value in values] == [change.event_id for change in changes]
    assert [value["dynamodb"]["Keys"]["id"]["S"] for value in values] == [change.item for change in changes]


def test_prints_what_is_there_and_ends(
    program: Program, configure: Configure, table: Table, name: str
) -> None:
    table.put_many(1500, payload={"S": 'quotes ", lines \n and 鍵'})
    table.delete("item-7")
    run = program.start("tail", "-c", configure(), "--until-caught-up")
    run.succeed()
    lines = run.stdout.split("\n")
    assert lines.pop() == ""
    assert_same(lines, table)
    assert not table.leases(name), "tail keeps no leases"


def test_follows_until_it_is_stopped(program: Program, configure: Configure, table: Table) -> None:
    table.put_many(10)
    run = program.start("tail", "-c", configure())
    wait_for("ten lines", lambda: run.stdout.count("\n") == 10)
    table.put_many(5, "more-{}".format)
    wait_for("five more lines", lambda: run.stdout.count("\n") == 15)
    assert run.terminate() == 0
    assert_same(run.stdout.split("\n")[:-1], table)
