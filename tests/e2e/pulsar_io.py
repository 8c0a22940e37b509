"""Connectors in Pulsar IO, by Pulsar's own tools, and the native programs that they start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from servers import PulsarIo, Server, end_of, wait_for

LOADER = "ld-linux-x86-64.so.2"


def stat_of(process: int) -> list[str]:
    """Its state, its parent, and so on; a dead one's when it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["Z", "0"]


def is_alive(process: int) -> bool:
    return stat_of(process)[0] != "Z"


def parent_of(process: int) -> int:
    return int(stat_of(process)[1])


def command_of(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/cmdline").read_text(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return [""]


def natives_below(ancestor: int) -> list[int]:
    """The native programs that a process, or one that it has started, has started and that live."""
    found = []
    for process in [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
        if not is_alive(process) or not command_of(process)[0].endswith(LOADER):
            continue
        above = process
        while above > 1 and above != ancestor:
            above = parent_of(above)
        if above == ancestor:
            found.append(process)
    return sorted(found)


def environment_of(pulsar: PulsarIo) -> dict[str, str]:
    """For Pulsar's tools: this Pulsar is the one they talk to."""
    tools = {name: value for name, value in pulsar.environment().items() if name != "PULSAR_MEM"}
    return {**tools, "PATH": f"{pulsar.home / 'bin'}:{os.environ['PATH']}", "PULSAR_URL": pulsar.url}


def pulsar_admin(pulsar: PulsarIo, *arguments: str | Path) -> str:
    """What it says; it must succeed."""
    done = subprocess.run(
        ["pulsar-admin", *map(str, arguments)],
        env=environment_of(pulsar),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


class LocalRun(Server):
    """`pulsar-admin sources localrun`: a connector, all its instances in one Java process of its own."""

    def __init__(self, folder: Path, pulsar: PulsarIo, archive: Path, config: Path, *options: str) -> None:
        self.name = f"localrun-{config.stem}"
        super().__init__(folder)
        self._pulsar = pulsar
        self._arguments = ["--archive", str(archive), "--source-config-file", str(config), *options]

    def command(self) -> list[str]:
        tool = ["pulsar-admin", "sources", "localrun", "--broker-service-url", self._pulsar.url]
        return [*tool, *self._arguments]

    def environment(self) -> dict[str, str]:
        temporary = super().environment()["JAVA_TOOL_OPTIONS"]
        return {**environment_of(self._pulsar), "JAVA_TOOL_OPTIONS": temporary}

    def is_ready(self) -> bool:
        return bool(self.natives())

    def natives(self) -> list[int]:
        assert self.process is not None
        return natives_below(self.process.pid)

    def java(self) -> int:
        """The process that runs the connector: the native program's parent."""
        return parent_of(self.natives()[0])

    def assert_well(self) -> None:
        assert self.process is not None and self.process.poll() is None, end_of(self.log)

    def stop(self, seconds: float = 60) -> None:
        """As Ctrl-C does, or a supervisor: to all of it; then it is gone."""
        assert self.process is not None
        os.kill(self.java(), signal.SIGTERM)
        self.process.wait(seconds)
        self.process = None


class Source:
    """A connector that Pulsar runs itself, made with `pulsar-admin sources create`."""

    def __init__(self, pulsar: PulsarIo, archive: Path, config: Path, *options: str) -> None:
        self.name = json.loads(config.read_text())["name"]
        self._pulsar = pulsar
        created = pulsar_admin(
            pulsar, "sources", "create", "--archive", archive, "--source-config-file", config, *options
        )
        assert "Created successfully" in created, created

    def natives(self) -> list[int]:
        """In the order of instances, whose numbers their command lines have."""
        assert self._pulsar.process is not None
        mine = []
        for native in natives_below(self._pulsar.process.pid):
            java = command_of(parent_of(native))
            if f'"name":"{self.name}"' in " ".join(java):
                mine.append((int(java[java.index("--instance_id") + 1]), native))
        return [native for _, native in sorted(mine)]

    def delete(self) -> None:
        self._pulsar.delete_source(self.name)
        wait_for("its programs are gone", lambda: not self.natives())
