"""Builds a container's image as its Dockerfile says, where no container engine is: every step is carried out in a small
Debian of its own. What the file does is read from it, so it cannot become another thing than what is tried here."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from servers import ROOT, place
from tree import AS_ROOT, Tree

DOCKERFILE = ROOT / "packaging" / "container" / "Dockerfile"
COMMIT = "0123456789ab"  # of the image under test
DEBIAN = "debian:bookworm-slim"  # scripts/setup makes it


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Words in capitals, each with what stands behind it, on one line."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def context() -> list[str]:
    """The files of the repository that .dockerignore lets through; of its rules the last that fits counts."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    def is_in(path: str) -> bool:
        parts = path.split("/")
        places = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        kept = True
        for rule in rules:
            pattern = rule.removeprefix("!").removeprefix("**/")
            if any(fnmatch.fnmatchcase(place, pattern) for place in places):
                kept = rule.startswith("!")
        return kept

    return [path for path in listed if is_in(path) and (ROOT / path).is_file()]


@dataclass
class Stage:
    tree: Tree | None
    shell: list[str] = field(default_factory=lambda: ["/bin/sh", "-c"])
    folder: str = "/"
    # What its contents follow from so far, as long as that is not the source itself.
    key: str | None = ""
    environment: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def depend_on(self, text: str | None) -> None:
        self.key = None if self.key is None or text is None else hashlib.sha256((self.key + text).encode()).hexdigest()


class Image:
    """The last stage is the image; the others are gone after `build`."""

    def __init__(self, folder: Path, arguments: dict[str, str]) -> None:
        self._folder = folder
        self._arguments = arguments
        self._stages: dict[str, Stage] = {}
        self._stage = Stage(None)

    @property
    def tree(self) -> Tree:
        return self._stage.tree

    @property
    def settings(self) -> dict[str, str]:
        """USER, ENTRYPOINT and so on, as they stand in the file."""
        return self._stage.settings

    def build(self, dockerfile: Path) -> None:
        for word, text in instructions(dockerfile):
            match word:
                case "FROM":
                    self._begin(*text.split(" AS "))
                case "SHELL":
                    self._stage.shell = json.loads(text)
                case "WORKDIR":
                    self._stage.folder = text
                case "ARG":
                    name, default = text.split("=")
                    self._stage.environment.append(f"{name}={self._arguments.get(name, default)}")
                case "COPY" if text.startswith("--from="):
                    self._copy_from(*text.removeprefix("--from=").split())
                case "COPY":
                    *sources, target = text.split()
                    self._copy(sources, target)
                case "RUN":
                    self._run(text)
                case "USER" | "ENV" | "VOLUME" | "EXPOSE" | "ENTRYPOINT" | "CMD":
                    self._stage.settings[word] = text
                case _:
                    raise NotImplementedError(f"{word} {text}")
        for stage in self._stages.values():
            if stage is not self._stage:
                stage.tree.close()

    def _begin(self, base: str, name: str = "image") -> None:
        assert base in (DEBIAN, "scratch"), f"there is no {base} here"
        self._stage = self._stages[name] = Stage(Tree(self._folder / name, empty=base == "scratch"))
        self._stage.depend_on(base + place("D2P_DEBIAN_TREE"))

    def _copy_from(self, name: str, source: str, target: str) -> None:
        """Of another stage: what is in a folder, or files into one."""
        self._stage.depend_on(None)
        origin = f"{shlex.quote(str(self._stages[name].tree.folder))}{source}"
        script = f'mkdir -p "$1"; if [ -d {origin} ]; then cp -a {origin}/. "$1"; else cp -a {origin} "$1"; fi'
        subprocess.run([*AS_ROOT, "bash", "-euc", script, "sh", f"{self.tree.folder}{target}"], check=True)

    def _copy(self, sources: list[str], target: str) -> None:
        """Of the repository: what is in a folder, or files into one."""
        files, contents = context(), ""
        for source in sources:
            base = ROOT / source if (ROOT / source).is_dir() else (ROOT / source).parent
            paths = [path for path in files if source in (".", path) or path.startswith(f"{source}/")]
            assert paths, f"there is no {source} in the context"
            archive = subprocess.run(
                ["tar", "-c", "--owner=0", "--group=0", "-C", base, *(str((ROOT / p).relative_to(base)) for p in paths)],
                check=True,
                stdout=subprocess.PIPE,
            ).stdout
            contents += "".join(f"{path} {hashlib.sha256((ROOT / path).read_bytes()).hexdigest()}\n" for path in paths)
            place_ = f"{self.tree.folder}{Path(self._stage.folder, target)}"
            subprocess.run([*AS_ROOT, "mkdir", "-p", place_], check=True)
            subprocess.run([*AS_ROOT, "tar", "-xp", "--no-same-owner", "-C", place_], input=archive, check=True)
        self._stage.depend_on(None if "." in sources else contents)

    def _run(self, text: str) -> None:
        stage, cache = self._stage, Path(place("D2P_CACHE"))
        # What is downloaded comes from this machine's cache, which has it all: a tree knows no proxy and no authority of its own.
        for target in re.findall(r"--mount=type=cache,target=(\S+) ", text):
            stage.tree.binds[target] = cache
        command = re.sub(r"--mount=\S+ ", "", text)
        stage.depend_on(command)
        # As an engine does: what follows from the same as before is not done again.
        kept = cache / f"container-{stage.key[:8]}.tar" if stage.key else None
        if kept and kept.exists():
            stage.tree.unpack(kept)
            return
        stage.tree.do(*stage.environment, *stage.shell, f"cd {stage.folder} && {command}", seconds=900)
        if kept:
            for old in cache.glob("container-*.tar"):
                old.unlink()
            unfinished = kept.with_suffix(".unfinished")
            stage.tree.pack(unfinished)
            unfinished.rename(kept)
