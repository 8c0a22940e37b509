"""The other side of `ddb2pulsar pipe`: its frames, written apart from the program's and from the Java part's."""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from program import BINARY, plain_environment
from servers import end_of

HELLO, RECORD, ALIVE = b"H", b"R", b"L"


@dataclass(frozen=True)
class PipedRecord:
    number: int
    event_ms: int
    key: str | None
    properties: dict[str, str]
    value: bytes

    @property
    def sequence_number(self) -> str:
        return self.properties["SEQUENCE_NUMBER"]


def _record(body: bytes) -> PipedRecord:
    number, event_ms, has_key, count = struct.unpack_from(">QQBB", body)
    at = 18

    def text() -> str:
        nonlocal at
        (size,) = struct.unpack_from(">I", body, at)
        at += 4 + size
        assert at <= len(body)
        return body[at - size : at].decode()

    key = text()
    properties = {text(): text() for _ in range(count)}
    return PipedRecord(number, event_ms, key if has_key else None, properties, body[at:])


class Piped:
    """One run of it. Nothing is acknowledged but by acknowledge()."""

    def __init__(
        self,
        log: Path,
        config: dict[str, Any],
        command: list[str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """command: how to start it instead of `BINARY pipe`."""
        self.log = log
        self.records: list[PipedRecord] = []
        self.version = ""
        self._bytes = b""
        with log.open("wb") as err:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *(command or [str(BINARY), "pipe"])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                env={**plain_environment(), **(environment or {})},
            )
        self.send(b"C" + json.dumps(config).encode())

    def send(self, frame: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(struct.pack(">I", len(frame)) + frame)
        self.process.stdin.flush()

    def acknowledge(self, *numbers: int) -> None:
        for at in range(0, len(numbers), 4096):
            some = numbers[at : at + 4096]
            self.send(b"A" + struct.pack(f">{len(some)}Q", *some))

    def read_frame(self, seconds: float = 60) -> tuple[bytes, bytes] | None:
        """Type and body; None at the end. The program says that it is alive every second."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        deadline = time.monotonic() + seconds
        while True:
            if len(self._bytes) >= 4:
                (size,) = struct.unpack_from(">I", self._bytes)
                if len(self._bytes) >= 4 + size:
                    frame, self._bytes = self._bytes[4 : 4 + size], self._bytes[4 + size :]
                    return frame[:1], frame[1:]
            left = deadline - time.monotonic()
            assert left > 0 and select.select([descriptor], [], [], left)[0], f"no frame:\n{end_of(self.log)}"
            more = os.read(descriptor, 1 << 20)
            if not more:
                assert not self._bytes, "its output ends within a frame"
                return None
            self._bytes += more

    def read(self, count: int, seconds: float = 60) -> list[PipedRecord]:
        """Until so many records have come in all; these that are new."""
        before = len(self.records)
        deadline = time.monotonic() + seconds
        while len(self.records) < count:
            assert time.monotonic() < deadline, f"{len(self.records)} of {count} records:\n{end_of(self.log)}"
            frame = self.read_frame()
            assert frame is not None, f"it ended:\n{end_of(self.log)}"
            kind, body = frame
            if kind == HELLO:
                assert body[0] == 1 and not self.version
                self.version = body[1:].decode()
            elif kind == RECORD:
                self.records.append(_record(body))
                assert self.records[-1].number == len(self.records)
            else:
                assert kind == ALIVE
        return self.records[before:]

    def close_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def wait(self, seconds: float = 60) -> int:
        """Passes over what it still sends, and gives its exit code."""
        while self.read_frame(seconds) is not None:
            pass
        return self.process.wait(seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        text = self.log.read_text(errors="replace")
        assert "Sanitizer" not in text, text
