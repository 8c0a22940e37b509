"""The Debian package: in a Debian that has never seen this program."""

from __future__ import annotations

import gzip
import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

from program import BINARY
from servers import ROOT
from tree import Tree

# The package holds the optimised build.
pytestmark = pytest.mark.optimised_only

FILES = {
    "/usr/bin/ddb2pulsar": 0o755,
    "/usr/bin/ddb2pulsar-perf": 0o755,
    "/usr/include/ddb2pulsar/credentials_plugin.h": 0o644,
    "/usr/lib/systemd/system/ddb2pulsar@.service": 0o644,
    "/usr/share/bash-completion/completions/ddb2pulsar": 0o644,
    "/usr/share/ddb2pulsar/ddb2pulsar.schema.json": 0o644,
    "/usr/share/doc/ddb2pulsar/changelog.Debian.gz": 0o644,
    "/usr/share/doc/ddb2pulsar/changelog.gz": 0o644,
    "/usr/share/doc/ddb2pulsar/copyright": 0o644,
    **{
        f"/usr/share/doc/ddb2pulsar/examples/{path.name}": 0o644
        for path in [*(ROOT / "examples").glob("*.yaml"), ROOT / "examples" / "credentials_plugin.c"]
    },
    "/usr/share/man/man1/ddb2pulsar-perf.1.gz": 0o644,
    "/usr/share/man/man1/ddb2pulsar.1.gz": 0o644,
    "/usr/share/man/man5/ddb2pulsar.yaml.5.gz": 0o644,
}


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A Debian with the package and what it asks for, and no more."""
    tree = Tree(tmp_path_factory.mktemp("package") / "tree")
    shutil.copy(package, tree.shared)
    tree.install(f"/shared/{package.name}")
    yield tree
    tree.close()


@pytest.fixture(scope="module")
def complete(installed: Tree) -> Tree:
    """And with what shows manuals, completes words and runs services."""
    installed.install("man-db", "bash-completion", "systemd")
    return installed


def test_what_is_in_it(package: Path) -> None:
    listing = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in listing.splitlines():
        kind, owner, _, _, _, path = line.split(maxsplit=5)
        assert owner == "root/root", line
        if kind.startswith("d"):
            assert kind == "drwxr-xr-x", line
        else:
            bits = [0 if letter == "-" else 1 for letter in kind[1:]]
            found[path.removeprefix(".")] = int("".join(map(str, bits)), 2)
    assert found == FILES


def test_what_it_asks_for(package: Path) -> None:
    """Debian's libraries; the CRT is in the program, and nothing of this machine is."""
    fields = subprocess.run(["dpkg-deb", "-f", package], capture_output=True, text=True, check=True).stdout
    needs = set(re.search(r"^Depends: (.*)$", fields, re.MULTILINE)[1].split(", "))
    names = {need.split()[0] for need in needs}
    assert names == {
        *("ca-certificates", "libc6", "libssl3", "libprotobuf-c1", "liblz4-1", "libzstd1", "zlib1g"),
        *("libsnappy1v5", "libyaml-0-2"),
    }


def test_it_runs_where_nothing_else_is(installed: Tree) -> None:
    version = subprocess.run([BINARY, "version"], capture_output=True, text=True, check=True).stdout
    assert installed.do("ddb2pulsar", "version") == version
    assert "awsDynamodbStreamArn" in installed.do("ddb2pulsar", "config", "reference")
    assert installed.do("ddb2pulsar-perf", "--version").startswith("ddb2pulsar-perf ")
    installed.write("/root/bad.yaml", "awsDynamodbStreamArn: orders\n")
    bad = installed.run("ddb2pulsar", "check", "-c", "/root/bad.yaml")
    assert bad.returncode == 2 and "/root/bad.yaml:1:23" in bad.stdout, bad.stdout
    for example in (ROOT / "examples").glob("*.yaml"):
        path = f"/usr/share/doc/ddb2pulsar/examples/{example.name}"
        installed.do("ddb2pulsar", "config", "show", "-c", path)
    for name in ("ddb2pulsar", "ddb2pulsar-perf"):
        program = (installed.folder / "usr/bin" / name).read_bytes()
        assert b".debug_info" not in program and f"{ROOT}/src".encode() not in program


@pytest.mark.parametrize("page", ["ddb2pulsar(1)", "ddb2pulsar-perf(1)", "ddb2pulsar.yaml(5)"])
def test_manual_pages_render(complete: Tree, page: str) -> None:
    name, section = page.rstrip(")").split("(")
    text = complete.do("sh", "-c", f"man --warnings {section} {name} 2>&1")
    assert text.startswith(page.upper()), text[:200]
    assert "\nNAME\n" in text and "warning" not in text.split("\nNAME\n")[0]
    assert complete.do("whatis", name).startswith(f"{name} ({section})")
    raw = gzip.decompress(Path(f"{complete.folder}/usr/share/man/man{section}/{name}.{section}.gz").read_bytes())
    assert raw == (ROOT / "docs" / f"{name}.{section}").read_bytes()


class Terminal:
    """bash as a person has it, in a tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._parent, child = pty.openpty()
        command = tree.command("bash", "--norc", "-i")
        self._process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, start_new_session=True)
        os.close(child)
        self._seen = ""
        self.type("PS1='%> '; . /usr/share/bash-completion/bash_completion; echo rea''dy\n", "ready")

    def type(self, keys: str, until: str, seconds: float = 60) -> str:
        """What was shown since the last time, once it has `until` in it."""
        os.write(self._parent, keys.encode())
        deadline = time.monotonic() + seconds
        while until not in self._seen:
            ready, _, _ = select.select([self._parent], [], [], deadline - time.monotonic())
            assert ready, f"no {until!r} in {self._seen!r}"
            self._seen += os.read(self._parent, 65536).decode(errors="replace")
        shown, self._seen = self._seen, ""
        return shown

    def close(self) -> None:
        self._tree.end(self._process, "KILL")
        os.close(self._parent)


@pytest.fixture(scope="module")
def terminal(complete: Tree) -> Iterator[Terminal]:
    terminal = Terminal(complete)
    # What would be run shows its words instead. Completion asks the program, past this.
    terminal.type("ddb2pulsar() { printf '<%s>' \"$@\"; echo '<end''>'; }; echo de''fined\n", "defined")
    yield terminal
    terminal.close()


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("sta\t", ["status"]),
        ("config ref\t--json-\t", ["config", "reference", "--json-schema"]),
        ("run --until\t", ["run", "--until-caught-up"]),
        ("status --log-level d\t", ["status", "--log-level", "debug"]),
        ("status --log-format=j\t", ["status", "--log-format=json"]),
        ("run --set onDataL\tc\t", ["run", "--set", "onDataLoss=continue"]),
        ("run --set=sink=std\t", ["run", "--set=sink=stdout"]),
        ("run -c /usr/share/doc/ddb2pulsar/examples/ord\t", ["run", "-c", "/usr/share/doc/ddb2pulsar/examples/orders.yaml"]),
    ],
)
def test_completion_completes(terminal: Terminal, typed: str, becomes: list[str]) -> None:
    shown = terminal.type(f"ddb2pulsar {typed}\n", "<end>")
    assert "".join(f"<{word}>" for word in becomes) + "<end>" in shown


def test_the_unit_is_right_and_tight(complete: Tree) -> None:
    verified = complete.run("systemd-analyze", "verify", "ddb2pulsar@orders.service")
    assert (verified.returncode, verified.stdout) == (0, "")
    report = complete.do("systemd-analyze", "security", "--offline=true", "ddb2pulsar@orders.service")
    score = float(re.search(r"exposure level for ddb2pulsar@orders.service: ([0-9.]+)", report)[1])
    assert score <= 1.5, report


def test_it_goes_without_a_trace(complete: Tree) -> None:
    """The last test here, since it takes the package away."""
    complete.do("apt-get", "-q", "-y", "purge", "ddb2pulsar")
    left = complete.do("find", "/usr", "/etc", "/var/lib", "/run", "-name", "*ddb2pulsar*")
    assert left == ""
