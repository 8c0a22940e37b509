"""A lease table as boto3 sees it: who holds what now, and what became of every lease."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Iterable

from background import Background
from program import Run
from stream import aws_client, lease_items
from topic import Message

# What the Java library cannot do without in an item.
REQUIRED = {"leaseKey", "leaseCounter", "ownerSwitchesSinceCheckpoint", "checkpoint", "checkpointSubSequenceNumber"}


def position(checkpoint: str) -> int:
    """Checkpoints in their order; TRIM_HORIZON first."""
    if checkpoint == "SHARD_END":
        return 10**41
    return int(checkpoint) if checkpoint.isdigit() else -1


class LeaseTable:
    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self._dynamodb = aws_client("dynamodb", url)

    def items(self) -> dict[str, dict[str, Any]]:
        return lease_items(self._dynamodb, self.name)

    def checkpoint(self, shard: str) -> str:
        item = self.items().get(shard)
        return item["checkpoint"]["S"] if item else "TRIM_HORIZON"

    def owners(self) -> dict[str, str]:
        """Of the shards that are not finished. Empty while nobody owns one of them."""
        items = {s: item for s, item in self.items().items() if item["checkpoint"]["S"] != "SHARD_END"}
        if any("leaseOwner" not in item for item in items.values()):
            return {}
        return {shard: item["leaseOwner"]["S"] for shard, item in items.items()}

    def loads(self) -> dict[str, int]:
        """How many unfinished shards each worker has."""
        return dict(Counter(self.owners().values()))


@dataclass(frozen=True)
class Sight:
    """One scan, between two moments in epoch milliseconds."""

    began: float
    ended: float
    items: dict[str, dict[str, Any]]


class Watch(Background):
    """Looks at a lease table again and again, and keeps what it saw."""

    def __init__(self, table: LeaseTable) -> None:
        super().__init__(pause=0.05)
        self.sights: list[Sight] = []
        self._table = table

    def turn(self) -> None:
        began = time.time() * 1000
        items = self._table.items()
        self.sights.append(Sight(began, time.time() * 1000, items))

    def highest_checkpoint(self, shard: str, before_ms: float) -> int:
        """That was in the table before that moment."""
        seen = (s.items[shard]["checkpoint"]["S"] for s in self.sights if s.ended < before_ms and shard in s.items)
        return max(map(position, seen), default=-1)

    def finished_before(self, shard: str, moment_ms: float) -> bool:
        """Nothing that was seen since then shows the shard unfinished."""
        return all(
            s.items[shard]["checkpoint"]["S"] == "SHARD_END"
            for s in self.sights
            if s.began > moment_ms and shard in s.items
        )

    def assert_checkpoints_only_rise(self) -> None:
        for before, after in zip(self.sights, self.sights[1:]):
            for shard in before.items.keys() & after.items.keys():
                was, is_now = (sight.items[shard]["checkpoint"]["S"] for sight in (before, after))
                assert position(was) <= position(is_now), f"{shard} went from {was} back to {is_now}"

    def quiet_ms(self, shard: str, owner: str, dead_ms: float) -> float:
        """How long the last word of an owner that died then was there before somebody else took the shard; rather
        longer than that by a look or two."""
        counter, before, spoke = None, None, None
        for sight in self.sights:
            item = sight.items.get(shard)
            if item is None:
                continue
            if item.get("leaseOwner", {}).get("S") == owner:
                if item["leaseCounter"] != counter:
                    counter, spoke = item["leaseCounter"], before
            elif sight.began > dead_ms:
                assert spoke is not None
                return sight.ended - spoke.began
            before = sight
        raise AssertionError(f"{shard} of {owner} was taken by nobody")


@dataclass(frozen=True)
class Tenure:
    """A worker opened a shard."""

    at_ms: float
    shard: str
    after: str  # the position from which it went on


def our_tenures(runs: Iterable[Run]) -> list[Tenure]:
    return [
        Tenure(datetime.fromisoformat(event["time"]).timestamp() * 1000, event["shard"], event["after"])
        for run in runs
        for event in run.events()
        if (event["area"], event["event"]) == ("shard", "open")
    ]


def assert_nothing_checkpointed_again(watch: Watch, tenures: list[Tenure], messages: Iterable[Message]) -> None:
    """Every worker went on where the checkpoint was, or behind that, and what it delivered was behind that too."""
    watch.assert_checkpoints_only_rise()
    for tenure in tenures:
        known = watch.highest_checkpoint(tenure.shard, tenure.at_ms)
        assert position(tenure.after) >= known, f"{tenure} is before the checkpoint {known}"
    for message in messages:
        shard = message.properties["SHARD_ID"]
        before = [t for t in tenures if t.shard == shard and t.at_ms <= message.publish_ms]
        last = max(before, key=lambda t: t.at_ms)
        assert int(message.sequence_number) > position(last.after), f"{message.sequence_number} after {last}"
