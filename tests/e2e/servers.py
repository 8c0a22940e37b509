"""The real servers of the end-to-end tests, the demo and the benchmarks: DynamoDB Local and a Pulsar standalone.

Each runs on ports of its own, keeps everything in a scratch folder, and dies with the process that started it.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 180

# DynamoDB Local accepts any key pair; it is here once, so that all tests see the same one.
ACCESS_KEY = "local"
SECRET_KEY = "local"
REGION = "us-east-1"

# What standalone.conf has no line for.
MORE_SETTINGS = ["brokerServicePortTls", "webServicePortTls", "authenticationRefreshCheckSeconds", "maxMessageSize"]

# What the one with connectors takes at most.
PULSAR_IO_MESSAGE_MAX = 200_000

# Of a Pulsar that a test kills. With topic policies, every topic waits for a system topic first, which after a kill opens
# when it likes: up to a minute later than all others.
TO_BE_KILLED = {"topicLevelPoliciesEnabled": "false", "systemTopicEnabled": "false"}

_handed_out: set[int] = set()


class ServerError(RuntimeError):
    """A server that did not do what it was started for, with the end of its log."""


def place(name: str) -> str:
    """One value of scripts/env."""
    return subprocess.run(
        [ROOT / "scripts" / "env", name], check=True, capture_output=True, text=True
    ).stdout.strip()


def free_port() -> int:
    """A port below the range from which the kernel takes ports for outgoing connections, so that it is still
    free when a server is started again."""
    while True:
        port = random.SystemRandom().randrange(15000, 30000)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


def end_of(path: Path, lines: int = 40) -> str:
    """The last lines of a text file."""
    if not path.exists():
        return "(no such file)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


class Server:
    """A process in a group of its own, with its output in a log file."""

    name = "server"

    def __init__(self, folder: Path, outlive: bool = False) -> None:
        self.folder = folder
        self.log = folder / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._outlive = outlive
        folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        # What a JVM unpacks goes where the rest goes: one that is killed does not clean up behind itself.
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        return {**os.environ, "JAVA_TOOL_OPTIONS": f"-Djava.io.tmpdir={temporary}"}

    def is_ready(self) -> bool:
        raise NotImplementedError

    def launch(self) -> None:
        """Starts it without waiting, so that several servers can start at the same time."""
        command = self.command()
        if not self._outlive:
            # The kernel ends it when this process dies, however that happens.
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                start_new_session=True,
            )
        if not self._outlive:
            atexit.register(self.kill)

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            assert self.process is not None
            if self.process.poll() is not None:
                raise ServerError(f"{self.name} ended while it started:\n{end_of(self.log)}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} was not ready after {seconds:.0f} s:\n{end_of(self.log)}")
            time.sleep(0.1)

    def start(self) -> None:
        self.launch()
        self.wait_ready()

    def kill(self) -> None:
        """SIGKILL to the whole group, and waits until it is gone. Does nothing when it is not running."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None


def http(
    method: str, url: str, body: Any = None, seconds: float = 20, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """One request with a JSON body; the status and the text of the answer. 0 when there is no answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, ""


class DynamoDbLocal(Server):
    """DynamoDB Local in memory, or with its data in the scratch folder, so that it survives a kill."""

    name = "dynamodb-local"

    def __init__(self, folder: Path, on_disk: bool = False, outlive: bool = False) -> None:
        super().__init__(folder, outlive)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._home = Path(place("D2P_DYNAMODB_LOCAL_HOME"))
        self._storage = ["-dbPath", str(folder)] if on_disk else ["-inMemory"]

    def command(self) -> list[str]:
        return [
            "java",
            "-Xmx1g",
            "-XX:+UseSerialGC",
            f"-Djava.library.path={self._home / 'native'}",
            "-cp",
            f"{self._home}/lib/*",
            "software.amazon.dynamodb.services.local.main.ServerRunner",
            "-port",
            str(self.port),
            "-sharedDb",
            "-disableTelemetry",
            *self._storage,
        ]

    def is_ready(self) -> bool:
        # Without a signature it answers 400, which is an answer.
        return http("GET", self.url, seconds=2)[0] != 0


class Pulsar(Server):
    """A Pulsar standalone: broker, bookie and RocksDB metadata in one process. The ports and the data stay the same
    when it is killed and started again (the bookie picks a free port itself and keeps it with its data)."""

    name = "pulsar"

    def __init__(
        self,
        folder: Path,
        outlive: bool = False,
        settings: dict[str, str] | None = None,
        admin_token: str | None = None,
    ) -> None:
        """settings: lines of standalone.conf for this one. admin_token: what its admin API wants to see."""
        super().__init__(folder, outlive)
        self.broker_port = free_port()
        self.web_port = free_port()
        self.url = f"pulsar://127.0.0.1:{self.broker_port}"
        self.web_url = f"http://127.0.0.1:{self.web_port}"
        self.home = Path(place("D2P_PULSAR_HOME"))
        self._headers = {"Authorization": f"Bearer {admin_token}"} if admin_token else {}
        self._conf = folder / "standalone.conf"
        self.configure(settings or {})

    def configure(self, own: dict[str, str]) -> None:
        """Writes Pulsar's own file with what two of them on one machine need, and what makes a small one. It is read
        at the start."""
        settings = {
            "brokerServicePort": str(self.broker_port),
            "webServicePort": str(self.web_port),
            "advertisedAddress": "127.0.0.1",
            "bindAddress": "127.0.0.1",
            # A topic that a test does not look at for a minute must still be there afterwards.
            "brokerDeleteInactiveTopicsEnabled": "false",
            "webSocketServiceEnabled": "false",
            "numIOThreads": "2",
            "numOrderedExecutorThreads": "2",
            "numHttpServerThreads": "8",
            "topicOrderedExecutorThreadNum": "2",
            "managedLedgerNumSchedulerThreads": "2",
            "managedLedgerCacheSizeMB": "64",
            "dbStorage_writeCacheMaxSizeMb": "64",
            "dbStorage_readAheadCacheMaxSizeMb": "32",
            "dbStorage_rocksDB_blockCacheSize": "16777216",
            **own,
        }
        text = (self.home / "conf" / "standalone.conf").read_text() + "\n"
        for name in MORE_SETTINGS:
            text += f"{name}=\n"
        for name, value in settings.items():
            text, count = re.subn(rf"(?m)^{name}=.*$", lambda _: f"{name}={value}", text)
            if count != 1:
                raise ServerError(f"standalone.conf has {count} lines for {name}; it should have one")
        self._conf.write_text(text)

    def functions(self) -> list[str]:
        """What is said of the functions worker, which takes its time to start."""
        return ["--no-functions-worker"]

    def command(self) -> list[str]:
        data = self.folder / "data"
        return [
            str(self.home / "bin" / "pulsar"),
            "standalone",
            *self.functions(),
            "--no-stream-storage",
            "--config",
            str(self._conf),
            "--bookkeeper-dir",
            str(data / "bookkeeper"),
            "--metadata-dir",
            str(data / "metadata"),
        ]

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "PULSAR_MEM": "-Xmx1g -XX:MaxDirectMemorySize=1g",
            "PULSAR_GC": "-XX:+UseSerialGC -XX:+PerfDisableSharedMem",
            "PULSAR_GC_LOG": " ",
            "PULSAR_STANDALONE_CONF": str(self._conf),
            "PULSAR_LOG_DIR": str(self.folder / "logs"),
            "PULSAR_LOG_LEVEL": "warn",
        }

    def is_ready(self) -> bool:
        # The namespace is made last; a lookup in it needs everything that a client needs.
        lookup = "/lookup/v2/topic/persistent/public/default/ready"
        return http("GET", self.web_url + lookup, seconds=5, headers=self._headers)[0] == 200

    def admin(self, method: str, path: str, body: Any = None) -> str:
        """One call of the admin API, for example admin("PUT", "persistent/public/default/t/partitions", 4)."""
        status, text = http(method, f"{self.web_url}/admin/v2/{path}", body, headers=self._headers)
        if status // 100 != 2:
            raise ServerError(f"{method} {path}: Pulsar answered {status}: {text}")
        return text

    def create_namespace(self, name: str, deduplication: bool = False) -> None:
        """public/NAME."""
        self.admin("PUT", f"namespaces/public/{name}", {"replication_clusters": ["standalone"]})
        if deduplication:
            self.admin("POST", f"namespaces/public/{name}/deduplication", True)

    def create_topic(self, topic: str, partitions: int = 0) -> None:
        path = f"persistent/public/default/{topic}"
        if partitions > 0:
            self.admin("PUT", f"{path}/partitions", partitions)
        else:
            self.admin("PUT", path)


class PulsarIo(Pulsar):
    """One that runs connectors too, each instance in a process of its own. It keeps archives and logs in its home, so it has
    one of its own, of links."""

    name = "pulsar-io"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, settings={"maxMessageSize": str(PULSAR_IO_MESSAGE_MAX)})
        installed, self.home = self.home, folder / "home"
        self.home.mkdir()
        for entry in installed.iterdir():
            if entry.name == "bin":  # its scripts look for the home beside themselves
                shutil.copytree(entry, self.home / entry.name)
            elif entry.name != "logs":
                (self.home / entry.name).symlink_to(entry)
        self._worker_conf = folder / "functions_worker.yml"
        text = (installed / "conf" / "functions_worker.yml").read_text()
        # So often it is looked for instances that have ended. One that is not looked at three times in a row ends itself.
        text, count = re.subn(r"(?m)^(instanceLivenessCheckFreqMs:).*$", r"\1 5000", text)
        if count != 1:
            raise ServerError("functions_worker.yml has no line for instanceLivenessCheckFreqMs")
        self._worker_conf.write_text(text)
        (folder / "client.conf").write_text(f"webServiceUrl={self.web_url}\nbrokerServiceUrl={self.url}\n")

    def functions(self) -> list[str]:
        return ["--functions-worker-conf", str(self._worker_conf)]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PULSAR_CLIENT_CONF": str(self.folder / "client.conf")}

    def is_ready(self) -> bool:
        ready = http("GET", f"{self.web_url}/admin/v3/sources/public/default", seconds=5)[0] == 200
        return ready and super().is_ready()

    def instance_log(self, name: str, instance: int = 0) -> str:
        """What an instance of a connector in public/default has logged."""
        path = self.home / "logs/functions/public/default" / name / f"{name}-{instance}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def delete_source(self, name: str) -> None:
        """Of public/default."""
        status, text = http("DELETE", f"{self.web_url}/admin/v3/sources/public/default/{name}")
        if status // 100 != 2:
            raise ServerError(f"delete the source {name}: Pulsar answered {status}: {text}")


def wait_for(what: str, check: Callable[[], Any], seconds: float = 60, pause: float = 0.05) -> Any:
    """Calls check until it gives something true, and returns that. Fails with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
