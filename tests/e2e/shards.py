"""A stream with as many shards as a test wants, which no DynamoDB Local has: fake_aws serves it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from background import Background
from doubles import Double
from stream import Stream

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"


class ShardedStream(Stream, Background):
    """Written into all the time, between start() and stop(), in all shards that are open."""

    def __init__(self, folder: Path, shards: int) -> None:
        # Ids tell when a shard was made; what is old, the Java library's cleaning up deletes early.
        self._made_ms = int(time.time() * 1000)
        self._made = 0
        self.open = [self._new_id() for _ in range(shards)]
        scenario = f"stream {ARN} hash id view NEW_AND_OLD_IMAGES\n" + "".join(f"shard {s}\n" for s in self.open)
        self._double = Double("fake_aws", folder, scenario)
        self._double.start()
        self.url = f"http://{self._double.address}"
        Stream.__init__(self, self.url, ARN)
        Background.__init__(self, pause=0.1)
        self.written = 0
        self._lock = threading.Lock()

    def _new_id(self) -> str:
        self._made += 1
        return f"shardId-{self._made_ms + self._made:020}-{self._made:08x}"

    def close(self) -> None:
        self._double.kill()

    def roll_over(self, shard: str) -> str:
        """Ends a shard; its child goes on with the same items."""
        child = self._new_id()
        with self._lock:
            self._double.tell(f"split {shard} {child}\n")
            self.open[self.open.index(shard)] = child
        return child

    def turn(self) -> None:
        with self._lock:
            # The items of a lineage have one name.
            lines = (f"fill {shard} 5 500 keys 3 name line{n}\n" for n, shard in enumerate(self.open))
            self._double.tell("".join(lines))
            self.written += 5 * len(self.open)
