"""The container's image, built step by step as its Dockerfile says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from image import COMMIT, DOCKERFILE, Image
from stream import Table
from topic import Reader, assert_delivered

# The image holds a build of its own.
pytestmark = pytest.mark.optimised_only

SMALL = 24 << 20  # bytes


def test_the_dockerfile_has_no_faults() -> None:
    lint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([lint, DOCKERFILE], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_in_it(image: Image) -> None:
    """The program, its libraries and what belongs to them; nobody can become root, and nothing can be run beside it."""
    files = [path for path in image.tree.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < SMALL
    programs = [path for path in files if path.stat().st_mode & 0o111 and ".so" not in path.name]
    assert [path.name for path in programs] == ["ddb2pulsar"]
    assert not any(path.stat().st_mode & 0o6000 for path in files)
    known = {path.name for path in (image.tree.folder / "var/lib/dpkg/status.d").iterdir()}
    assert {"ddb2pulsar", "libc6", "libssl3", "ca-certificates"} <= known
    for package in known:
        assert (image.tree.folder / "usr/share/doc" / package / "copyright").exists(), package


def test_it_delivers(image: Image, configure: Callable[..., Path], table: Table, reader: Reader) -> None:
    table.put_many(40)
    source = json.loads(configure().read_text())
    source["configs"].pop("stateDirectory")
    image.tree.write("/etc/ddb2pulsar/source.yaml", json.dumps(source))
    user = image.settings["USER"]
    assert all(int(number) > 0 for number in user.split(":"))
    words = [*json.loads(image.settings["ENTRYPOINT"]), *json.loads(image.settings["CMD"]), "--until-caught-up"]
    done = subprocess.run(
        image.tree.command(image.settings["ENV"], *words, user=user),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert_delivered(table.changes(), reader.read_to_end())
    assert list((image.tree.folder / "var/lib/ddb2pulsar").glob("*.worker")), "it keeps its name in its volume"
    version = image.tree.do("/usr/bin/ddb2pulsar", "version")
    assert version.endswith(f" ({COMMIT})\n")
