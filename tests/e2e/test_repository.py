"""What the repository promises of itself: layers, and generated files that are what the program prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from program import BINARY
from servers import ROOT


def passes(*command: str) -> None:
    environment = {**os.environ, "DDB2PULSAR": str(BINARY)}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


def test_layers_include_only_what_is_left_of_them() -> None:
    passes("scripts/check-layers")


def test_generated_files_are_fresh() -> None:
    passes("scripts/check-generated")


def test_other_projects_can_take_the_producer(tmp_path: Path) -> None:
    """As src/pulsar/README.md says; that the example compiles with it alone, the build shows."""
    (tmp_path / "CMakeLists.txt").write_text(
        f"""
        cmake_minimum_required(VERSION 3.25)
        project(other LANGUAGES C)
        set(D2P_PARTS "base;pulsar")
        add_subdirectory({ROOT} ddb2pulsar)
        add_executable(program {ROOT}/examples/produce.c)
        target_link_libraries(program d2p_pulsar)
        """
    )
    passes("cmake", "-S", str(tmp_path), "-B", str(tmp_path / "build"), "-G", "Ninja")
    passes("ninja", "-C", str(tmp_path / "build"), "-n", "program")
