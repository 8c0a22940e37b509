"""A small Debian that a test may do anything to: packages are installed in it, and systemd runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from servers import ROOT, end_of, place, wait_for

# Whoever may not change roots asks for it, as scripts/setup does.
AS_ROOT = [] if os.geteuid() == 0 else ["sudo"]
ENTER = [str(ROOT / "tests" / "e2e" / "enter_tree")]


class Tree:
    """Gone when it is closed, with everything that runs in it."""

    def __init__(self, folder: Path, empty: bool = False) -> None:
        """folder: a new one, which gets a Debian unless it is to stay empty."""
        self.folder = folder
        self.shared = folder.with_suffix(".shared")
        self._machine: subprocess.Popen[bytes] | None = None
        self.binds = {"/shared": self.shared}
        folder.mkdir(parents=True)
        self.shared.mkdir()
        if not empty:
            self.unpack(Path(place("D2P_DEBIAN_TREE")))
            self.write("/etc/dpkg/dpkg.cfg.d/quick", "force-unsafe-io\n")

    def _as_root(self, *command: str) -> None:
        subprocess.run([*AS_ROOT, *command], check=True)

    def unpack(self, archive: Path) -> None:
        self._as_root("tar", "-xpf", str(archive), "-C", str(self.folder))

    def pack(self, archive: Path) -> None:
        self._as_root("tar", "-cf", str(archive), "-C", str(self.folder), ".")

    def command(self, *command: str, user: str = "") -> list[str]:
        """What runs a command in it."""
        if self._machine is not None:
            return [*AS_ROOT, "nsenter", "--target", str(self._init(self._machine)), "--all", *command]
        binds = "\n".join(f"{folder}:{place}" for place, folder in self.binds.items())
        return [*AS_ROOT, "env", f"BINDS={binds}", f"AS_USER={user}", *ENTER, str(self.folder), *command]

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        subprocess.run(
            [*AS_ROOT, "install", "-D", "-m", f"{mode:o}", "/dev/stdin", f"{self.folder}{path}"],
            input=text.encode(),
            check=True,
        )

    def run(self, *command: str, seconds: float = 180) -> subprocess.CompletedProcess[str]:
        """A command in it, whatever becomes of that; its output is one text."""
        return subprocess.run(
            self.command(*command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )

    def do(self, *command: str, seconds: float = 180) -> str:
        """A command that succeeds; what it printed."""
        done = self.run(*command, seconds=seconds)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def _init(self, entered: subprocess.Popen[bytes]) -> int:
        """The first process in there, of those that this one has started."""
        parents, first = {}, []
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            except OSError:
                continue  # it ended meanwhile
            pid = int(fields["Pid"])
            parents[pid] = int(fields["PPid"])
            if fields["NSpid"].split()[1:] == ["1"]:
                first.append(pid)
        for pid in first:
            ancestor = pid
            while ancestor in parents and ancestor != entered.pid:
                ancestor = parents[ancestor]
            if ancestor == entered.pid:
                return pid
        raise AssertionError("nothing runs in there")

    def end(self, entered: subprocess.Popen[bytes], signal: str = "TERM") -> None:
        """A signal to what was started by `command`, and waits until that is over."""
        if entered.poll() is None:
            self._as_root("kill", f"-{signal}", str(self._init(entered)))
        entered.wait(60)

    def install(self, *packages: str) -> None:
        """By name, or by the path of a package file in the shared folder."""
        self.do("apt-get", "-q", "-y", "--no-install-recommends", "install", *packages)

    def boot(self) -> None:
        with (self.shared / "boot.log").open("wb") as log:
            self._machine = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command("--boot")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for("systemd", self._is_up, seconds=60)

    def _is_up(self) -> bool:
        assert self._machine is not None
        assert self._machine.poll() is None, f"systemd did not start:\n{end_of(self.shared / 'boot.log')}"
        try:
            return self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")
        except AssertionError:
            return False

    def shut_down(self) -> None:
        """As a power cut would."""
        if self._machine is not None:
            self.end(self._machine, "KILL")
            self._machine = None

    def close(self) -> None:
        self.shut_down()
        self._as_root("rm", "-rf", "--one-file-system", str(self.folder))
