"""The reader's side: topics read with Pulsar's own Python client, and what must hold for the messages found there."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Callable, Iterable

import pulsar

from stream import Change


@dataclass(frozen=True)
class Message:
    key: str
    value: bytes
    properties: dict[str, str]
    partition: int
    position: tuple[int, int]  # ledger and entry: the messages of a batch share it
    producer: str
    event_ms: int
    publish_ms: int
    received: float

    @property
    def sequence_number(self) -> str:
        return self.properties["SEQUENCE_NUMBER"]


class Reader:
    """All messages of a topic from its beginning, collected in `messages` in the order of each partition."""

    def __init__(
        self,
        client: pulsar.Client,
        topic: str,
        partitions: int = 0,
        still_well: Callable[[], None] = lambda: None,
    ) -> None:
        """still_well is called while waiting, and raises when waiting is in vain."""
        names = [f"{topic}-partition-{i}" for i in range(partitions)] or [topic]
        self.messages: list[Message] = []
        self._still_well = still_well
        self._readers = [client.create_reader(name, pulsar.MessageId.earliest) for name in names]

    def read(self, wait_ms: int = 100) -> None:
        """What is there now; waits a little when there is nothing."""
        before = len(self.messages)
        for partition, reader in enumerate(self._readers):
            while self._next(partition, reader, 1):
                pass
        if len(self.messages) == before:
            self._next(0, self._readers[0], wait_ms)

    def _next(self, partition: int, reader: pulsar.Reader, wait_ms: int) -> bool:
        try:
            message = reader.read_next(wait_ms)
        except pulsar.Timeout:
            return False
        self._keep(partition, message)
        return True

    def _keep(self, partition: int, message: pulsar.Message) -> None:
        self.messages.append(
            Message(
                key=message.partition_key(),
                value=message.data(),
                properties=dict(message.properties()),
                partition=partition,
                position=(message.message_id().ledger_id(), message.message_id().entry_id()),
                producer=message.producer_name(),
                event_ms=message.event_timestamp(),
                publish_ms=message.publish_timestamp(),
                received=time.time(),
            )
        )

    def read_until(self, what: str, done: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        self.read(0)
        while not done():
            self._still_well()
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s: {what}; {len(self.messages)} messages so far")
            self.read()

    def read_count(self, count: int, seconds: float = 60) -> None:
        self.read_until(f"{count} messages", lambda: len(self.messages) >= count, seconds)

    def read_to_end(self) -> list[Message]:
        """Everything that the broker has stored by now."""
        for partition, reader in enumerate(self._readers):
            while reader.has_message_available():
                self._keep(partition, reader.read_next(20000))
        return self.messages

    def distinct(self) -> set[str]:
        return {message.sequence_number for message in self.messages}


def first_occurrences(messages: Iterable[Message]) -> list[Message]:
    seen: set[str] = set()
    first: list[Message] = []
    for message in messages:
        if message.sequence_number not in seen:
            seen.add(message.sequence_number)
            first.append(message)
    return first


def by_item(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Sequence numbers by item, in the order given."""
    items: dict[str, list[str]] = defaultdict(list)
    for item, sequence_number in pairs:
        items[item].append(sequence_number)
    return dict(items)


def assert_delivered(changes: list[Change], messages: list[Message]) -> int:
    """Every change is there, nothing else is, the first occurrences of an item's changes are in the stream's order,
    and the last message of an item is its last change. Returns the number of duplicates."""
    expected = {change.sequence_number for change in changes}
    found = {message.sequence_number for message in messages}
    lost = sorted(expected - found)
    assert not lost, f"{len(lost)} of {len(expected)} changes lost, from {lost[0]} to {lost[-1]}"
    assert not found - expected, f"messages without a change: {sorted(found - expected)[:5]}"

    in_stream = by_item((change.item, change.sequence_number) for change in changes)
    in_topic = by_item((message.key, message.sequence_number) for message in first_occurrences(messages))
    assert in_topic == in_stream

    last = {message.key: message.sequence_number for message in messages}
    assert last == {item: numbers[-1] for item, numbers in in_stream.items()}
    return len(messages) - len(found)


def assert_exactly_once(changes: list[Change], messages: list[Message]) -> None:
    duplicates = assert_delivered(changes, messages)
    assert duplicates == 0, f"{duplicates} duplicates"


def murmur3_32(data: bytes) -> int:
    """MurmurHash3 x86 32 with seed 0, without its sign bit: how Pulsar's clients route keys with Murmur3_32Hash."""
    mask = 0xFFFFFFFF

    def rotate(x: int, bits: int) -> int:
        return ((x << bits) | (x >> (32 - bits))) & mask

    def mix(k: int) -> int:
        return rotate(k * 0xCC9E2D51 & mask, 15) * 0x1B873593 & mask

    h = 0
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        h = rotate(h ^ mix(int.from_bytes(data[at : at + 4], "little")), 13) * 5 + 0xE6546B64 & mask
    h ^= mix(int.from_bytes(data[whole:], "little"))
    h ^= len(data)
    h = (h ^ (h >> 16)) * 0x85EBCA6B & mask
    h = (h ^ (h >> 13)) * 0xC2B2AE35 & mask
    return (h ^ (h >> 16)) & 0x7FFFFFFF


def quiet_client(url: str, log: Any) -> pulsar.Client:
    """A client that writes its own log to a file."""
    return pulsar.Client(url, logger=pulsar.FileLogger(pulsar.LoggerLevel.Warn, str(log)))
