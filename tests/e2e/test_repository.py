"""What the repository promises of itself: layers, and generated files that are what the program prints."""

from __future__ import annotations

import os
import subprocess

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
