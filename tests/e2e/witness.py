"""Pulsar's own Java client, as a process that is asked what it sees (java/Witness.java)."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from pathlib import Path
from typing import Any

from servers import Pulsar, end_of

ANSWER_SECONDS = 90
SMALL = ["-Xmx512m", "-XX:+ExitOnOutOfMemoryError", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


class Refused(Exception):
    """What the Java client threw: its class's name first."""


class Witness:
    def __init__(self, broker: Pulsar, folder: Path) -> None:
        self.log = folder / "witness.log"
        folder.mkdir(exist_ok=True)
        source = Path(__file__).parent / "java" / "Witness.java"
        java = ["java", f"-Djava.io.tmpdir={folder}", *SMALL, "-cp", f"{broker.home}/lib/*"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *java, str(source), broker.url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def ask(self, what: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        # The deadline of last resort; the requests have their own.
        watch = threading.Timer(ANSWER_SECONDS, self._process.kill)
        watch.start()
        try:
            self._process.stdin.write(json.dumps({"do": what, **request}).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            watch.cancel()
        assert line, f"the witness ended:\n{end_of(self.log)}"
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Refused(f"{answer['error']}: {answer['text']}")
        return answer

    def read(
        self, topic: str, count: int, schema: str = "bytes", compacted: bool = False
    ) -> list[dict[str, Any]]:
        """All messages of a topic, which must be so many. `data` is what came, `value` what the schema makes of it."""
        answer = self.ask("read", topic=topic, count=count, schema=schema, compacted=compacted)
        assert not answer["more"], f"more than {count} messages in {topic}"
        messages: list[dict[str, Any]] = answer["messages"]
        for message in messages:
            for name in ("data", "keyBytes", "orderingKey", "schemaVersion"):
                if message.get(name) is not None:
                    message[name] = base64.b64decode(message[name])
        return messages

    def route(self, topic: str, hashing: str, keys: list[str]) -> list[int]:
        """Where a Java producer puts these keys."""
        partitions: list[int] = self.ask("route", topic=topic, hashing=hashing, keys=keys)["partitions"]
        return partitions

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
