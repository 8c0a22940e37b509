"""Workers of the Java consumer library on a lease table, as Pulsar's Java connector runs them (java/Consumer.java)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from leases import Tenure
from servers import ACCESS_KEY, REGION, SECRET_KEY, end_of, place, wait_for

# Of the connector in Pulsar 4.0.6, and of the newest one.
ADAPTERS = ["1.5.1", "1.6.0"]
SMALL = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]


def compile_consumer(adapter: str, folder: Path) -> list[str]:
    """Once for all workers; the class path that they need."""
    source = Path(__file__).parent / "java" / "Consumer.java"
    library = f"{place('D2P_KCL')}/adapter-{adapter}/*"
    javac = ["javac", "-Xlint:-deprecation", "-nowarn", "-d", str(folder), "-cp", library, str(source)]
    subprocess.run(javac, check=True)
    return ["-cp", f"{folder}:{library}"]


class Consumer:
    """One process, and what it has told so far."""

    def __init__(
        self,
        class_path: list[str],
        folder: Path,
        number: int,
        *,
        stream: str,
        streams_url: str,
        tables_url: str,
        application: str,
        failover_ms: int,
        checkpoint: str = "every batch",
    ) -> None:
        self.worker = f"java-{number}:{uuid4()}"
        self.log = folder / f"java-{number}.stderr"
        self._out = folder / f"java-{number}.stdout"
        options = {
            "worker": self.worker,
            "stream": stream,
            "streams": streams_url,
            "tables": tables_url,
            "application": application,
            "failoverMs": failover_ms,
            "checkpoint": checkpoint,
            "region": REGION,
            "accessKey": ACCESS_KEY,
            "secretKey": SECRET_KEY,
        }
        with self._out.open("wb") as out, self.log.open("wb") as log:
            java = ["java", *SMALL, f"-Djava.io.tmpdir={folder}", *class_path, "Consumer", json.dumps(options)]
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *java],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=log,
            )

    def events(self, kind: str) -> list[dict[str, Any]]:
        """All of one kind, in their order; Consumer.java has the kinds."""
        complete = self._out.read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in complete.splitlines()]
        return [line for line in lines if line["event"] == kind]

    def numbers(self) -> list[str]:
        """Sequence numbers of all records, in the order in which it got them; with repetitions."""
        return [number for line in self.events("records") for number in line["numbers"]]

    def tenures(self) -> list[Tenure]:
        return [Tenure(event["at"], event["shard"], event["after"]) for event in self.events("open")]

    def wait(self, what: str, check: Any, seconds: float = 60) -> Any:
        """As wait_for, but fails at once when the process has ended."""

        def look() -> Any:
            found = check()
            assert found or self.process.poll() is None, f"it ended before {what}:\n{end_of(self.log)}"
            return found

        return wait_for(what, look, seconds)

    def wait_event(self, kind: str) -> None:
        self.wait(f"event '{kind}'", lambda: self.events(kind))

    def wait_numbers(self, count: int) -> None:
        self.wait(f"{count} records", lambda: len(set(self.numbers())) >= count)

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """As the connector's close()."""
        self.tell("close")
        assert self.process.wait(60) == 0, end_of(self.log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


CONSUMERS = pytest.StashKey[list[Consumer]]()
"""Those of a test, so that a failure shows their logs."""
