"""src/pulsar's producer, run by test_produce (produce.c), and what must hold for the messages that it sent."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

from background import Background
from program import BINARY
from servers import end_of, wait_for
from topic import Message as Stored
from topic import by_item

PROGRAM = BINARY.parent / "test_produce"

Event = dict[str, Any]
Message = dict[str, Any]


@dataclass(frozen=True)
class Receipt:
    partition: int
    ledger: int
    entry: int
    duplicate: bool


class Run:
    """One process. A message's token is its place among the messages that were given to it."""

    def __init__(self, folder: Path, number: int, options: dict[str, Any], environment: dict[str, str]) -> None:
        self.options = options
        self.stdout_path = folder / f"produce-{number}.stdout"
        self.stderr_path = folder / f"produce-{number}.stderr"
        self.events: list[Event] = []
        self.receipts: dict[int, Receipt] = {}  # by token
        self.receipt_order: dict[int, list[int]] = defaultdict(list)  # tokens by partition
        self.undelivered: dict[int, Event] = {}
        self.given = 0
        arguments: list[str] = []
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            arguments += [flag] if value is True else [flag, str(value)]
        with self.stdout_path.open("wb") as out, self.stderr_path.open("wb") as err:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(PROGRAM), *arguments],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env=environment or None,
            )
        self._stdout = self.stdout_path.open("rb")
        self._unread = b""
        self._lock = threading.Lock()  # of stdin

    # ---- what it is told

    def send(self, messages: Iterable[Message]) -> None:
        """Returns when the program has room for the rest. Fails when it has ended."""
        lines = [json.dumps(message) for message in messages]
        self.given += len(lines)
        self._write(lines)

    def command(self, name: str, **more: Any) -> None:
        self._write([json.dumps({"command": name, **more})])

    def _write(self, lines: list[str]) -> None:
        assert self.process.stdin is not None
        with self._lock:
            self.process.stdin.write("".join(line + "\n" for line in lines).encode())
            self.process.stdin.flush()

    # ---- what it says

    def look(self) -> None:
        """Reads the events that are there by now."""
        *lines, self._unread = (self._unread + self._stdout.read()).split(b"\n")
        for line in lines:
            event = json.loads(line)
            self.events.append(event)
            if event["event"] == "receipt":
                receipt = Receipt(*(event[name] for name in ("partition", "ledger", "entry", "duplicate")))
                self._report(event, self.receipts, receipt)
                self.receipt_order[event["partition"]] += event["tokens"]
            elif event["event"] in ("undelivered", "refused"):
                self._report(event, self.undelivered, event)

    def _report(self, event: Event, to: dict[int, Any], what: Any) -> None:
        for token in event["tokens"]:
            assert token not in self.receipts and token not in self.undelivered, f"{token} is reported twice: {event}"
            to[token] = what

    def all(self, name: str) -> list[Event]:
        self.look()
        return [event for event in self.events if event["event"] == name]

    def wait_for(self, what: str, done: Callable[[], Any], seconds: float = 60) -> Any:
        """Looks until done gives something true; fails at once when the program has ended before."""

        def check() -> Any:
            running = self.process.poll() is None
            self.look()
            result = done()
            assert result or running, f"ended before {what}: {self.events[-1:]}\n{end_of(self.stderr_path)}"
            return result

        return wait_for(what, check, seconds)

    def event(self, name: str, seconds: float = 60, **members: Any) -> Event:
        """Waits for the first event of this kind with these members."""

        def find() -> Event | None:
            return next((e for e in self.events if {"event": name, **members}.items() <= e.items()), None)

        return self.wait_for(f"event {name} {members}", find, seconds)

    def wait_receipts(self, count: int, seconds: float = 60) -> None:
        self.wait_for(f"{count} receipts", lambda: len(self.receipts) >= count, seconds)

    # ---- how it ends

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.look()

    def end(self, seconds: float = 90) -> int:
        """Closes its stdin, so that it sends the rest and ends, and returns the exit code."""
        assert self.process.stdin is not None
        with self._lock:
            self.process.stdin.close()
        return self.wait(seconds)

    def wait(self, seconds: float = 60) -> int:
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:.0f} s; last: {self.last_events()}") from None
        self.look()
        return code

    def finish(self, seconds: float = 90) -> None:
        """Ends it; every message must have been acknowledged."""
        code = self.end(seconds)
        assert code == 0 and len(self.receipts) == self.given, f"exit code {code}; last: {self.last_events()}"

    def last_events(self) -> str:
        self.look()
        return "\n".join(str(event)[:300] for event in self.events[-5:])

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self._stdout.close()
        # A sanitizer's report fails the test, whatever else happened.
        assert "Sanitizer" not in self.stderr_path.read_text(errors="replace"), end_of(self.stderr_path, 200)


class Producer:
    """Runs test_produce, any number of times, with files in one folder."""

    def __init__(self, folder: Path, defaults: dict[str, Any]) -> None:
        self.folder = folder
        self.defaults = defaults
        self.runs: list[Run] = []

    def start(self, environment: dict[str, str] | None = None, **options: Any) -> Run:
        """options as those of test_produce, with _ for -; True for those without a value."""
        run = Run(self.folder, len(self.runs) + 1, {**self.defaults, **options}, environment or {})
        self.runs.append(run)
        return run

    def send(self, messages: Iterable[Message], **options: Any) -> Run:
        """A whole run: everything is sent and acknowledged."""
        run = self.start(**options)
        run.send(messages)
        run.finish()
        return run

    def close(self) -> None:
        for run in self.runs:
            if run.process.poll() is None:
                run.kill()
        for run in self.runs:
            run.close()


class Load(Background):
    """Gives a run numbered messages, some hundred a second for each of some keys. A message's value is its number, which
    is also its token."""

    def __init__(self, run: Run, keys: int = 20, at_once: int = 10, **more: Any) -> None:
        """More: see numbered."""
        super().__init__(pause=0.005)
        self.run = run
        self.messages: list[Message] = []
        self._next = lambda: numbered(len(self.messages), at_once, keys, **more)

    def turn(self) -> None:
        some = list(self._next())
        self.messages += some
        self.run.send(some)

    def stuck(self) -> str:
        return f"no room for messages for a minute: {self.run.last_events()}"


def numbered(first: int, count: int, keys: int, ids: bool = False, width: int = 1) -> Iterator[Message]:
    """ids: the number is the message's sequence id too. width: of a value, with leading zeros."""
    for number in range(first, first + count):
        message: Message = {"key": f"key-{number % keys}", "value": f"{number:0{width}}"}
        yield {**message, "sequenceId": number} if ids else message


def assert_stored(sent: list[Message], stored: list[Stored]) -> int:
    """For messages of Load: every one is there, nothing else is, the first occurrences of a key's messages are in the
    order in which they were sent, and its last message is the one sent last. Returns the number of repetitions."""
    expected = {message["value"] for message in sent}
    values = [message.value.decode() for message in stored]
    lost = sorted(expected - set(values), key=int)
    assert not lost, f"{len(lost)} of {len(expected)} messages lost, from {lost[0]} to {lost[-1]}"
    assert not set(values) - expected, f"nobody sent these: {sorted(set(values) - expected)[:5]}"

    in_order = by_item((message["key"], message["value"]) for message in sent)
    first: dict[str, str] = {}
    for message in stored:
        first.setdefault(message.value.decode(), message.key)
    assert by_item((key, value) for value, key in first.items()) == in_order
    assert {message.key: message.value.decode() for message in stored} == {k: v[-1] for k, v in in_order.items()}
    return len(values) - len(expected)


def assert_stored_once(sent: list[Message], stored: list[Stored]) -> None:
    repetitions = assert_stored(sent, stored)
    assert repetitions == 0, f"{repetitions} messages twice"


def assert_receipts(run: Run, sent: list[Message], stored: list[Stored]) -> None:
    """Each message is where its receipt says."""
    places = {(message.partition, *message.position, message.value.decode()) for message in stored}
    for token, receipt in run.receipts.items():
        if not receipt.duplicate:
            place = (receipt.partition, receipt.ledger, receipt.entry, sent[token]["value"])
            assert place in places, f"{token} is not where {receipt} says"
